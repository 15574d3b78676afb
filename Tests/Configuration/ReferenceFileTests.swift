// config/bridge.json5 is what the table says, loads, and is the defaults.
import Configuration
import Core
import Testing

@Suite struct ReferenceFileTests {
    let folder = TemporaryFolder()

    @Test func `the reference file is the table's`() {
        // If this fails: webhook-bridge config reference > config/bridge.json5
        #expect(readText(repositoryFile("config/bridge.json5")) == ReferenceFile.text())
    }

    @Test func `the reference file is the defaults`() throws {
        let path = folder.write("bridge.json5", ReferenceFile.text())
        let loaded = try ConfigurationLoader.load(
            .init(path: path, environment: [:], needs: [.cluster, .mappings, .state]))
        var expected = Settings()
        expected.kafka.properties["bootstrap.servers"] = .init(value: "localhost:9092")
        expected.mappingsFolder = folder.path + "/mappings"
        expected.schemasFolder = loaded.settings.schemasFolder
        expected.state.directory = folder.path + "/state"
        #expect(loaded.settings == expected)
        #expect(loaded.warnings.isEmpty)
    }

    @Test func `only the key file is left to set`() {
        let path = folder.write("bridge.json5", ReferenceFile.text())
        let check = checkConfiguration(path: path, sets: [], environment: [:])
        #expect(check.faults.map(\.key) == ["secrets.keyFile"])
        #expect(check.exitCode == 2)
        #expect(check.output.hasSuffix("\n1 fault\n"))
    }

    @Test func `a fine configuration shows what is in force and no secret`() {
        let path = folder.write("bridge.json5", ReferenceFile.text())
        folder.write("secrets.key", [UInt8](1...32))
        let check = checkConfiguration(
            path: path, sets: ["secrets.keyFile=\(folder.path)/secrets.key", "kafka.sasl.password=hunter2"],
            environment: ["BRIDGE_LIMITS_EVENTS_PER_SECOND": "7"])
        #expect(check.exitCode == 0)
        #expect(check.output.hasPrefix("configuration is fine\n"))
        #expect(check.output.contains("  limits.eventsPerSecond = 7    // BRIDGE_LIMITS_EVENTS_PER_SECOND\n"))
        #expect(check.output.contains("  topics.retentionHours.attempts = 720"))
        #expect(check.output.contains("  kafka.sasl.password = ***    // --set kafka.sasl.password\n"))
        #expect(!check.output.contains("hunter2"))
    }
}
