// What a process listens on: the ops listener from the first moment, the API once the view is loaded.
internal import API
internal import Core
internal import Crypto
internal import Foundation
internal import HTTPServer
internal import Kafka
internal import Registry
internal import Replay
internal import Runtime
internal import Translate

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
        var desk: ReplayDesk?
        var waits: ReplayWaits?
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
        kafka: KafkaConfiguration, topics: Topics, plans: MappingPlans, view: RegistryView,
        client: any RegistryClient, secrets: SecretBox, tls: HTTPServerTLS?
    ) throws(BridgeFault) {
        var limits = LogLimits()
        limits.rowsPerWebhook = settings.logs.entriesPerWebhook
        limits.ageMilliseconds = Int64(settings.logs.retentionHours) * 3_600_000
        // What hinders here hinders the store as well, which says so and goes on without.
        try? FileManager.default.createDirectory(
            atPath: settings.state.directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let logs = LogStore(directory: settings.state.directory, limits: limits)
        let deliveries = DeliveryWriter(kafka: kafka, topics: topics, largest: TopicPlanner.largestRecord(settings))
        let tests = TestEvents(sink: deliveries, attemptMilliseconds: settings.egress.timeoutMilliseconds) {
            deliveries.wakeUp()
        }
        let waits = ReplayWaits { deliveries.wakeUp() }
        deliveries.start { now in
            let next = [tests.expire(now: now), waits.check(now: now) { id in view.read { $0.webhooks[id] } }]
            return next.compactMap(\.self).min()
        }
        let desk = ReplayDesk(
            kafka: kafka, topics: topics, plans: plans, view: view, payloadBytes: settings.limits.payloadBytes)
        desk.start()
        let feed = LogFeed(logs: logs, tests: tests, kafka: kafka, topics: topics)
        let allowHTTP = settings.egress.allowHTTP
        let policy = AddressPolicy(settings.egress, ownListeners: listeners)
        do {
            let api = try APIServer(
                listen: settings.api.listen.description, tls: tls, view: view, client: client, logs: logs, tests: tests,
                sources: desk, deliveries: deliveries, waits: waits, secretBox: secrets,
                ipRanges: settings.egress.ipRanges, limits: settings.limits
            ) { text in
                do throws(EndpointFault) {
                    _ = try EndpointURL(text, allowHTTP: allowHTTP, policy: policy)
                    return nil
                } catch { return error.text }
            }
            open.withLock {
                $0 = Open(
                    api: api, logs: logs, feed: feed, tests: tests, deliveries: deliveries, desk: desk, waits: waits)
            }
        } catch {
            desk.stop()
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
        taken.waits?.release()
        taken.desk?.stop()
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

extension ReplayDesk: ReplaySource {}
