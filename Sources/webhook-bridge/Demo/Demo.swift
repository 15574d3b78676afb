// `demo`: the whole bridge in one process on the embedded broker, with a receiver that works and one that fails. Nothing
// in it is faked: records go through the topics, webhooks are registered over HTTP, and what is printed is read from the
// bridge's own topics.
internal import Bridge
internal import Configuration
internal import Core
internal import Crypto
internal import Foundation
internal import Kafka
internal import Runtime

enum Demo {
    /// The eight waits shrink from 44 h 35 m 35 s to 32 s.
    private static let timeScale = "0.0002"
    private static let readySeconds = 30.0

    static func run(_ options: DemoOptions) throws(Exit) {
        let signals = StopSignals()
        Log.configure(level: .error, format: .text)
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        Terminal.print("Starting an embedded broker, the bridge with all its roles, and two receivers …")

        var loaded = try load(options, folder: folder, bootstrap: "127.0.0.1:1")
        let cluster = try BrokerCommand.makeCluster(loaded.settings)
        loaded = try load(options, folder: folder, bootstrap: cluster.bootstrapServers)
        let bridge = Bridge(
            BridgeConfiguration(
                settings: loaded.settings, roles: Set(Role.defaults(mailIsConfigured: false)),
                plans: try loaded.mappingPlans(), secrets: loaded.secretBox))
        defer { bridge.stop() }
        do throws(BridgeFault) { try bridge.start() } catch { throw .failure(error.description) }
        guard wait(seconds: readySeconds, { bridge.isReady }) else {
            throw .failure("the bridge did not get ready: \(bridge.unreadiness.joined(separator: "; "))")
        }
        let stage = try DemoStage(bridge: bridge, kafka: loaded.kafka)
        try stage.play(topics: Topics(prefix: loaded.settings.topics.prefix, shards: loaded.settings.topics.partitions))
        {
            signals.wait(milliseconds: 0)
        }
        if options.keep {
            stage.explainKeep(api: bridge.apiPort ?? 0, ops: bridge.opsPort ?? 0, bootstrap: cluster.bootstrapServers)
            stage.follow { signals.wait(milliseconds: 0) }
        }
    }

    private static func load(
        _ options: DemoOptions, folder: String, bootstrap: String
    ) throws(Exit) -> LoadedConfiguration {
        let kafka = KafkaMockCluster.clientProperties.map { "kafka.\($0.name)=\"\($0.value)\"" }
        return try LoadedConfiguration.load(
            ConfigurationOptions(
                path: nil,
                sets: kafka + [
                    "kafka.bootstrap.servers=\"\(bootstrap)\"", "topics.partitions=4", "api.listen=\"127.0.0.1:0\"",
                    "ops.listen=\"127.0.0.1:0\"", "egress.allowHTTP=true", "egress.allowNetworks=[\"127.0.0.0/8\"]",
                    "retry.timeScale=\(timeScale)", "secrets.keyFile=\"\(folder)/key\"",
                    "state.directory=\"\(folder)/state\"",
                ] + options.sets), needs: .all)
    }

    private static func temporaryFolder() throws(Exit) -> String {
        let folder = FileManager.default.temporaryDirectory.path + "/webhook-bridge-demo-" + hex(Random.bytes(6))
        do {
            try FileManager.default.createDirectory(
                atPath: folder + "/state", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch { throw .failure("cannot make the folder \(folder)") }
        guard
            FileManager.default.createFile(
                atPath: folder + "/key", contents: Data(Random.bytes(32)), attributes: [.posixPermissions: 0o600])
        else { throw .failure("cannot write \(folder)/key") }
        return folder
    }

    /// - Returns: whether the condition came true in time.
    static func wait(seconds: Double, _ condition: () -> Bool) -> Bool {
        let deadline = Clock.monotonic() + UInt64(seconds * 1e9)
        let pause = EventFD()
        while !condition() {
            guard Clock.monotonic() < deadline else { return false }
            pause.wait(milliseconds: 10)
        }
        return true
    }
}
