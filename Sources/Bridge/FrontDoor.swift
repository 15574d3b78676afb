// What a process listens on: the ops listener from the first moment, the API once the view is loaded.
internal import API
internal import Core
internal import Crypto
internal import Foundation
internal import HTTPServer
internal import Kafka
internal import Registry
internal import Runtime

final class FrontDoor: Sendable {
    private let settings: Settings
    private let ops: OpsServer
    private let open = Guarded(Open())
    private let processMetrics = ProcessMetrics.collect()

    private struct Open {
        var api: APIServer?
        var logs: LogStore?
        var feed: LogFeed?
        var tests: TestEvents?
        var deliveries: DeliveryWriter?
    }

    /// - Parameters:
    ///   - unreadiness: why the process is not ready; empty when it is.
    ///   - complaints: what is wrong with it although it lives; empty when nothing is.
    init(
        settings: Settings, unreadiness: @escaping @Sendable () -> [String],
        complaints: @escaping @Sendable () -> [String]
    ) throws(BridgeFault) {
        self.settings = settings
        do {
            ops = try OpsServer(
                listen: settings.ops.listen.description, complaints: complaints,
                readiness: {
                    let reasons = unreadiness()
                    return (reasons.isEmpty, reasons)
                }, metrics: { Metrics.text })
        } catch { throw .listener(error.description) }
    }

    var opsPort: Int { ops.port }
    var apiPort: Int? { open.withLock { $0.api?.port } }

    /// Our own listeners, which no webhook may point at.
    var listeners: Set<AddressPolicy.Listener> {
        var listeners: Set<AddressPolicy.Listener> = []
        for (host, port) in [
            (settings.ops.listen.host, ops.port), (settings.api.listen.host, apiPort ?? Int(settings.api.listen.port)),
        ] {
            guard port > 0, let address = IPAddress(host) else { continue }
            listeners.insert(AddressPolicy.Listener(address: address, port: UInt16(port)))
        }
        return listeners
    }

    func openAPI(
        kafka: KafkaConfiguration, topics: Topics, view: RegistryView, client: any RegistryClient, secrets: SecretBox
    ) throws(BridgeFault) {
        var limits = LogLimits()
        limits.rowsPerWebhook = settings.logs.entriesPerWebhook
        limits.ageMilliseconds = Int64(settings.logs.retentionHours) * 3_600_000
        // What hinders here hinders the store as well, which says so and goes on without.
        try? FileManager.default.createDirectory(
            atPath: settings.state.directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let logs = LogStore(directory: settings.state.directory, limits: limits)
        let deliveries = DeliveryWriter(kafka: kafka, topics: topics)
        let tests = TestEvents(sink: deliveries, attemptMilliseconds: settings.egress.timeoutMilliseconds)
        deliveries.start { tests.expire(now: $0) }
        let feed = LogFeed(logs: logs, tests: tests, kafka: kafka, topics: topics)
        let allowHTTP = settings.egress.allowHTTP
        let policy = AddressPolicy(settings.egress, ownListeners: listeners)
        do {
            let api = try APIServer(
                listen: settings.api.listen.description, view: view, client: client, logs: logs, tests: tests,
                secretBox: secrets, ipRanges: settings.egress.ipRanges,
                webhooksPerAccount: settings.limits.webhooksPerAccount
            ) { text in
                do throws(EndpointFault) {
                    _ = try EndpointURL(text, allowHTTP: allowHTTP, policy: policy)
                    return nil
                } catch { return error.text }
            }
            open.withLock { $0 = Open(api: api, logs: logs, feed: feed, tests: tests, deliveries: deliveries) }
        } catch {
            deliveries.stop()
            feed.stop()
            logs.stop()
            throw .listener(error.description)
        }
    }

    /// Answers what is under way and accepts nothing more.
    func closeAPI() {
        let taken = open.withLock { current in
            defer { current = Open() }
            return current
        }
        taken.tests?.release()
        taken.api?.stop()
        taken.deliveries?.stop()
        taken.feed?.stop()
        taken.logs?.stop()
    }

    func close() {
        closeAPI()
        ops.stop()
        processMetrics.cancel()
    }
}
