// Makes each role's stage: which topics it reads, with which consumer, and what it needs.
internal import Core
internal import Deliver
internal import Kafka
internal import Mail
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
                RetryStage(
                    topics: topics, schedule: schedule, payloadBytes: settings.limits.payloadBytes, producer: $0)
            }
        case .registry:
            return runner(
                role, reading: [topics.commands], fetch: KafkaConsumer.noticingEnds, pace: .unhurried, failed
            ) {
                RegistryStage(
                    topics: topics, configuration: kafka, webhooksPerAccount: settings.limits.webhooksPerAccount,
                    apiURL: settings.api.publicURL, payloadBytes: settings.limits.payloadBytes, producer: $0,
                    onCaughtUp: registryCaughtUp)
            }
        case .mail:
            guard let smtp = smtpSettings else { return nil }
            let wake = EventFD()
            // Who switches mail on later does not send last month's.
            return runner(
                role, reading: [topics.emails], from: .age(milliseconds: 24 * 3_600_000), pace: .leisurely, wake: wake,
                failed
            ) { [view] in
                MailStage(
                    topics: topics, settings: smtp, payloadBytes: settings.limits.payloadBytes, producer: $0, wake: wake
                ) { account, written, since in
                    let confirmedAt = view.confirmedAt
                    let (isKnown, wasRemoved) = view.read { ($0.accounts[account] != nil, $0.wasRemoved(account)) }
                    return MailAudience.judge(
                        isKnown: isKnown, wasRemoved: wasRemoved, hasLoaded: confirmedAt > 0,
                        isConfirmed: confirmedAt > since,
                        ageMilliseconds: written < 0 ? nil : Clock.wallMilliseconds() - written)
                }
            }
        case .api: return nil
        }
    }

    private var smtpSettings: SMTPSettings? {
        let mail = settings.mail
        guard let server = mail.smtp, let from = mail.from else { return nil }
        var smtp = SMTPSettings(server: server, from: from)
        smtp.username = mail.username
        smtp.password = configuration.mailPassword
        smtp.requireTLS = mail.requireTLS
        smtp.authoritiesFile = mail.caFile
        smtp.timeoutMilliseconds = mail.timeoutMilliseconds
        return smtp
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
        deliver.payloadBytes = settings.limits.payloadBytes
        return deliver
    }

    private func runner(
        _ role: Role, reading: [String], from start: KafkaStart = .earliest,
        fetch: KeyValuePairs<String, String> = KafkaConsumer.roomyFetch, pace: FetchPace = .prompt,
        lingerMilliseconds: Double = 0.5, wake: EventFD = EventFD(),
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
