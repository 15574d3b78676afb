// Layers over layers: who wins, what values may look like, where paths lead.
import Configuration
import Core
import Testing

@Suite struct LoaderTests {
    let folder = TemporaryFolder()

    private func load(
        _ file: String? = nil, environment: [String: String] = [:], sets: [String] = [],
        needs: ConfigurationRequest.Needs = []
    ) throws -> LoadedConfiguration {
        let path = file.map { folder.write("bridge.json5", $0) }
        return try ConfigurationLoader.load(
            ConfigurationRequest(path: path, sets: sets, environment: environment, needs: needs))
    }

    @Test func `flags win over variables, variables over the file, the file over defaults`() throws {
        let file = "{limits: {eventsPerSecond: 1, webhooksPerAccount: 2}, api: {listen: '127.0.0.1:1'}}"
        let environment = [
            "BRIDGE_API_LISTEN": "127.0.0.1:2", "BRIDGE_LIMITS_EVENTS_PER_SECOND": "3", "BRIDGE_CRASH_AT": "x",
            "PATH": "y",
        ]
        let loaded = try load(file, environment: environment, sets: ["api.listen=0.0.0.0:4", "api.listen=0.0.0.0:5"])
        #expect(loaded.settings.api.listen.port == 5)
        #expect(loaded.settings.limits.eventsPerSecond == 3)
        #expect(loaded.settings.limits.webhooksPerAccount == 2)
        #expect(loaded.settings.limits.payloadBytes == 1_048_576)
        #expect(loaded.warnings.isEmpty)
        #expect(loaded.sources["limits.eventsPerSecond"] == .environment("BRIDGE_LIMITS_EVENTS_PER_SECOND"))
    }

    @Test func `nothing set is the defaults`() throws {
        var settings = try load().settings
        settings.mappingsFolder = ""
        settings.schemasFolder = ""
        #expect(settings == Settings())
    }

    @Test(arguments: [
        ("BRIDGE_RETRY_TIME_SCALE", "0.01"), ("BRIDGE_EGRESS_ALLOW_HTTP", "true"), ("BRIDGE_APPLICATION_ID", "42"),
        ("BRIDGE_EGRESS_ALLOW_NETWORKS", "127.0.0.0/8, ::1"), ("BRIDGE_EGRESS_CA_FILE", ""),
        ("BRIDGE_INSTANCE_ID", "a-1"),
        ("BRIDGE_TOPICS_RETENTION_HOURS_DEAD_LETTERS", "9"), ("BRIDGE_MAIL_REQUIRE_TLS", "false"),
        ("BRIDGE_RETRY_TIERS", "1s,1s,1s,1s,1s,1s,1s,2s"), ("BRIDGE_TRANSLATE_START_AGE", "7d"),
    ])
    func `a variable is the key in capitals`(name: String, value: String) throws {
        #expect(try load(environment: [name: value]).warnings.isEmpty)
    }

    @Test func `variables and flags take plain text, lists with commas, and JSON`() throws {
        let settings = try load(
            environment: ["BRIDGE_APPLICATION_ID": "42", "BRIDGE_EGRESS_ALLOW_NETWORKS": "127.0.0.0/8, ::1"],
            sets: [
                "retry.timeScale=0.5", "egress.allowHTTP=true", "limits={\"eventsPerSecond\":0,\"deferredAge\":\"1h\"}",
                "retry.tiers=[\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"2s\"]",
            ]
        ).settings
        #expect(settings.applicationID == "42")
        #expect(settings.egress.allowNetworks == ["127.0.0.0/8", "::1/128"])
        #expect(settings.retry.timeScale == 0.5)
        #expect(settings.egress.allowHTTP)
        #expect(settings.limits.eventsPerSecond == 0)
        #expect(settings.limits.deferredAge == .hours(1))
        #expect(settings.retry.tiers.map(\.count) == [1000, 1000, 1000, 1000, 1000, 1000, 1000, 2000])
    }

    @Test func `retention is a number for all or an object, and the higher layer wins`() throws {
        let settings = try load("{topics: {retentionHours: {attempts: 5, 'dead-letters': 6}}}").settings
        #expect(settings.topics.retentionHours.attempts == 5)
        #expect(settings.topics.retentionHours.deadLetters == 6)
        #expect(settings.topics.retentionHours.deliveries == 168)
        let all = try load("{topics: {retentionHours: {attempts: 5}}}", sets: ["topics.retentionHours=72"]).settings
        #expect(all.topics.retentionHours == .init(all: 72))
    }

    @Test func `kafka properties keep their names and their text`() throws {
        folder.write("password", " s3cret\n")
        let loaded = try load(
            "{kafka: {'bootstrap.servers': 'a:1', 'socket.keepalive.enable': true, 'linger.ms': 1e1, ssl: {'ca.location': '/x'}, 'sasl.password': {file: 'password'}}}",
            environment: ["BRIDGE_KAFKA_BOOTSTRAP_SERVERS": "b:1,c:1", "BRIDGE_KAFKA_SASL_USERNAME": "007"],
            sets: ["kafka.session.timeout.ms=6000", "kafka.client.id=null", "kafka.ssl.key.password=1e5"],
            needs: .cluster)
        let kafka = loaded.settings.kafka
        #expect(
            kafka.pairs.map { "\($0.name)=\($0.value)" } == [
                "bootstrap.servers=b:1,c:1", "linger.ms=1e1", "sasl.password=s3cret", "sasl.username=007",
                "session.timeout.ms=6000",
                "socket.keepalive.enable=true", "ssl.ca.location=/x", "ssl.key.password=1e5",
            ])
        #expect(kafka.bootstrapServers == "b:1,c:1")
        #expect(!"\(loaded.settings)".contains("s3cret"))
        #expect(!"\(loaded.settings)".contains("1e5"))
    }

    @Test func `what the bridge sets itself is ignored with a warning`() throws {
        let loaded = try load(sets: ["kafka.group.id=mine", "kafka.acks=1"])
        #expect(loaded.settings.kafka.properties.isEmpty)
        #expect(loaded.warnings.map(\.key) == ["kafka.group.id", "kafka.acks"])
    }

    @Test func `an unknown variable only warns, with the nearest one`() throws {
        let loaded = try load(environment: ["BRIDGE_API_LISTN": "x", "BRIDGE_KAFKA_": "y"])
        #expect(loaded.warnings.count == 2)
        #expect(
            loaded.warnings[0].description
                == "BRIDGE_API_LISTN: no setting has this variable; did you mean BRIDGE_API_LISTEN?")
    }

    @Test func `paths are relative to who wrote them`() throws {
        let settings = try load("{secrets: {keyFile: 'k'}, egress: {}}", sets: ["state.directory=var/s"]).settings
        #expect(settings.secrets.keyFile == folder.path + "/k")
        #expect(settings.state.directory == "var/s")
        #expect(settings.mappingsFolder == folder.path + "/mappings")
        #expect(try load("{mappings: '/abs', state: {directory: 'x'}}").settings.mappingsFolder == "/abs")
        #expect(try load("{}").settings.state.directory == folder.path + "/state")
    }

    @Test func `a key file is one raw key or lines`() throws {
        let raw = [UInt8](1...32)
        folder.write("raw.key", raw)
        let one = try load("{secrets: {keyFile: 'raw.key'}}", needs: .secrets).secretKeys
        #expect(one?.keys == [SecretKey(id: "default", bytes: raw)])
        // 32 bytes 1…32 and 32 zero bytes in base64.
        folder.write(
            "lines.key",
            "# newest first\n2024-b:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\r\n\ndefault:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            mode: 0o400)
        let two = try load("{secrets: {keyFile: 'lines.key'}}", needs: .secrets).secretKeys
        #expect(two?.encrypting == SecretKey(id: "2024-b", bytes: raw))
        #expect(two?.key(id: "default")?.bytes == [UInt8](repeating: 0, count: 32))
        #expect("\(two!) \(String(reflecting: two!))".contains("1, 2, 3") == false)
    }

    @Test func `the key file is left alone where it is not needed`() throws {
        #expect(try load("{secrets: {keyFile: 'missing'}}").secretKeys == nil)
    }
}
