// Makes each role's stage: which topics it reads, with which consumer, and what it needs.
internal import Core
internal import Deliver
internal import Kafka
internal import Mapping
internal import Pipeline
internal import Registry
internal import Retry
internal import Runtime
internal import Translate

struct StageFactory: Sendable {
    let configuration: BridgeConfiguration
    let kafka: KafkaConfiguration
    let topics: Topics
    let view: RegistryView
    let engineRoom: EngineRoom?
    let replays: ReplayLink
    let registryCaughtUp: @Sendable () -> Void

    private var settings: Settings { configuration.settings }

    /// - Returns: nil for roles that are no stage with a group.
    func make(_ role: Role, failed: @escaping @Sendable (KafkaError) -> Void) -> StageRunner? {
        switch role {
        case .translate:
            let reading = configuration.plans.topics
            return runner(
                role, reading: reading,
                from: .age(milliseconds: settings.translate.startAge.count), failed
            ) {
                TranslateStage(
                    plans: configuration.plans, reading: reading, topics: topics, view: view,
                    payloadBytes: settings.limits.payloadBytes,
                    producer: $0)
            }
        case .deliver:
            guard let room = engineRoom, let secrets = configuration.secrets else { return nil }
            // Nothing that this stage writes has somebody waiting for it, and it is much: a produce request holds a handful of
            // attempts instead of one or two.
            return runner(
                role, reading: [topics.deliveries, topics.deferred], lingerMilliseconds: 10, wake: room.wake, failed
            ) {
                DeliverStage(
                    topics: topics, schedule: schedule, settings: deliverSettings(room), view: view,
                    secrets: secrets, engine: room.engine, results: room.results, producer: $0, replays: replays)
            }
        case .retry:
            return runner(role, reading: [topics.retries], fetch: KafkaConsumer.frugalFetch, pace: .leisurely, failed) {
                RetryStage(topics: topics, producer: $0)
            }
        case .registry:
            return runner(role, reading: [topics.commands], fetch: KafkaConsumer.noticingEnds, failed) {
                RegistryStage(
                    topics: topics, configuration: kafka, webhooksPerAccount: settings.limits.webhooksPerAccount,
                    producer: $0, onCaughtUp: registryCaughtUp)
            }
        case .api, .mail: return nil
        }
    }

    private var schedule: RetrySchedule {
        RetrySchedule(waits: settings.retry.tiers.map(\.count), timeScale: settings.retry.timeScale)
    }

    private func deliverSettings(_ room: EngineRoom) -> DeliverSettings {
        var deliver = DeliverSettings()
        deliver.eventsPerSecond = settings.limits.eventsPerSecond
        deliver.timeoutMilliseconds = settings.egress.timeoutMilliseconds
        deliver.allowHTTP = settings.egress.allowHTTP
        deliver.policy = room.policy
        deliver.deferredAgeMilliseconds = settings.limits.deferredAge.count
        return deliver
    }

    private func runner(
        _ role: Role, reading: [String], from start: KafkaStart = .earliest,
        fetch: KeyValuePairs<String, String> = KafkaConsumer.roomyFetch, pace: FetchPace = .prompt,
        lingerMilliseconds: Int = 1, wake: EventFD = EventFD(),
        _ failed: @escaping @Sendable (KafkaError) -> Void,
        handler: @escaping @Sendable (KafkaProducer) -> any StageHandler
    ) -> StageRunner {
        let group = settings.group(role)
        let instance = settings.instanceID.map { "\($0).\(role.rawValue)" }
        let largest = TopicPlanner.largestRecord(settings)
        return StageRunner(role: role, wake: wake, failed: failed) { [kafka] wake throws(KafkaError) in
            let producer = try KafkaProducer(
                kafka, maxMessageBytes: largest, lingerMilliseconds: lingerMilliseconds, wake: wake)
            let consumer = try KafkaConsumer(
                kafka, group: group, instanceID: instance, topics: reading, start: start, fetch: fetch, pace: pace,
                wake: wake)
            return StageRunner.Parts(consumer: consumer, producer: producer, handler: handler(producer))
        }
    }
}
