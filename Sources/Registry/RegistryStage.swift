// REGISTRY: the single writer of `accounts` and `subscriptions`, on topics of one partition: one owner, one order.
// Commands of a batch are applied one after the other; what they cause goes out in three waves, each acknowledged before
// the next: notices and emails, then state, then answers.
package import Core
internal import JSON
package import Kafka
package import Pipeline
internal import Runtime

package final class RegistryStage: StageHandler {
    private let topics: Topics
    private let configuration: KafkaConfiguration
    private let webhooksPerAccount: Int
    private let apiURL: String?
    private let producer: KafkaProducer
    private let notices: KafkaProducer.Topic
    private let emails: KafkaProducer.Topic
    private let accounts: KafkaProducer.Topic
    private let subscriptions: KafkaProducer.Topic
    private let results: KafkaProducer.Topic
    private let deadLetters: DeadLetters
    private let parser = JSONParser()

    private var state: RegistryState
    /// Answers of the last day: a repeated command is answered again, not applied again.
    private var answered: [CommandID: CommandResult] = [:]
    private var queue: [Job] = []
    private var wave = Wave.idle
    private var owned: [StagePartition] = []
    private var isCaughtUp = false
    private let onCaughtUp: @Sendable () -> Void

    private struct Job {
        let record: RecordReference
        let account: AccountID
        let result: CommandResult
        var actions: [RegistryAction]

        var isAnnounced: Bool {
            actions.contains {
                if case .notice = $0 { return true }
                if case .email = $0 { return true }
                return false
            }
        }
    }

    private enum Wave {
        case idle
        case announcing([Job])
        case writing([Job])
    }

    /// - Parameters:
    ///   - apiURL: where subscribers reach the API, for the commands in mails; nil: `$API`.
    ///   - payloadBytes: `limits.payloadBytes`.
    ///   - onCaughtUp: called once the commands found at the first take-over are applied, and at once when this member
    ///     owns nothing.
    package init(
        topics: Topics, configuration: KafkaConfiguration, webhooksPerAccount: Int, apiURL: String? = nil,
        payloadBytes: Int, producer: KafkaProducer, onCaughtUp: @escaping @Sendable () -> Void
    ) {
        self.apiURL = apiURL
        self.onCaughtUp = onCaughtUp
        self.topics = topics
        self.configuration = configuration
        self.webhooksPerAccount = webhooksPerAccount
        self.producer = producer
        state = RegistryState(webhooksPerAccount: webhooksPerAccount)
        notices = producer.topic(topics.notices)
        emails = producer.topic(topics.emails)
        accounts = producer.topic(topics.accounts)
        subscriptions = producer.topic(topics.subscriptions)
        results = producer.topic(topics.results)
        deadLetters = DeadLetters(topics, producer, largest: payloadBytes)
    }

    // MARK: Taking over

    /// Reads state and answers to their ends before the first command is applied.
    package func assigned(_ partitions: [StagePartition], _ loop: StageLoop) {
        owned = partitions
        guard !partitions.isEmpty else { return noteCaughtUp() }
        state = RegistryState(webhooksPerAccount: webhooksPerAccount)
        answered = [:]
        do {
            let reader = try KafkaReader(configuration, purpose: "registry-takeover")
            reader.assign([
                (topics.accounts, 0, .beginning), (topics.subscriptions, 0, .beginning),
                (topics.results, 0, .beginning),
            ])
            while !reader.hasReachedEnds {
                reader.poll(milliseconds: 100) { load($0) }
                loop.isWorking()
            }
            Log.info("registry taken over", .count(state.webhooks.count))
        } catch {
            // A configuration that made the group's consumer makes this reader too.
            preconditionFailure("registry reader: \(error)")
        }
    }

    private func load(_ message: borrowing KafkaMessage) {
        let topic = message.topic
        // A kill between a state record and its answer: the command was applied, and its repetition must hear so.
        if topic != topics.results, let id = message.header("command-id").flatMap({ CommandID($0) }),
            answered[id] == nil
        {
            answered[id] = CommandResult(command: id, answer: .applied, wroteState: true)
        }
        do {
            guard let value = message.value else {
                if topic == topics.accounts { AccountID(message.key).map { state.unloadAccount($0) } }
                if topic == topics.subscriptions { WebhookID(message.key).map { state.unloadWebhook($0) } }
                return
            }
            try parser.parse(value) { json in
                switch topic {
                case topics.accounts: state.load(try Account(json: json))
                case topics.subscriptions: state.load(try Webhook(json: json))
                default:
                    let result = try CommandResult(json: json)
                    answered[result.command] = result
                }
            }
        } catch {
            Log.error(
                "registry record cannot be read and is passed over", .topic(topic), .offset(message.offset),
                .error("\(error)"))
        }
    }

    // MARK: Commands

    package func budget(for partition: StagePartition) -> Int {
        if case .idle = wave { return 200 - queue.count }
        return 0
    }

    package func handle(
        _ message: borrowing KafkaMessage, _ record: RecordReference, _: StagePartition, _ loop: StageLoop
    ) {
        guard let value = message.value else { return loop.finish(record) }
        do {
            let command = try parser.parse(value) { try Command(json: $0) }
            queue.append(apply(command, record))
        } catch {
            deadLetters.write(
                message, reason: .malformedRecord, message: "not a registry command: \(error)", for: record, loop)
            loop.finish(record)
        }
    }

    private func apply(_ command: Command, _ record: RecordReference) -> Job {
        if var earlier = answered[command.id] {
            // Its state record went out with the first answer and will not come again: there is nothing to wait for.
            earlier.wroteState = false
            return Job(record: record, account: command.account, result: earlier, actions: [])
        }
        let (answer, actions) = state.apply(command, now: Timestamp(milliseconds: Clock.wallMilliseconds()))
        let wroteState = actions.contains {
            switch $0 {
            case .writeAccount, .writeWebhook, .removeWebhook, .removeAccount: true
            case .notice, .email: false
            }
        }
        let result = CommandResult(command: command.id, answer: answer, wroteState: wroteState)
        answered[command.id] = result
        if case .refused(let refusal) = answer {
            Log.info(
                "command refused", .command(command.typeName), .account(command.account.description),
                .code(refusal.rawValue))
        } else {
            Log.info("command applied", .command(command.typeName), .account(command.account.description))
        }
        return Job(record: record, account: command.account, result: result, actions: actions)
    }

    // MARK: Waves

    package func turn(now: UInt64, _ loop: StageLoop) -> UInt64? {
        // Each wave ends when the broker has everything; this producer carries nothing else.
        guard producer.unacknowledged == 0 else { return nil }
        switch wave {
        case .idle:
            guard !queue.isEmpty else {
                if !owned.isEmpty, owned.allSatisfy({ $0.kafka.hasReachedEnd }) { noteCaughtUp() }
                return nil
            }
            let jobs = queue
            queue = []
            for job in jobs { announce(job, loop) }
            wave = .announcing(jobs)
        case .announcing(let jobs):
            if jobs.contains(where: \.isAnnounced) { CrashPoint.disableAnnounced.pass() }
            for job in jobs { write(job, loop) }
            wave = .writing(jobs)
        case .writing(let jobs):
            CrashPoint.stateWritten.pass()
            for job in jobs {
                loop.produce(
                    results, partition: 0, key: Array(job.account.description.utf8), value: job.result.json,
                    headers: KafkaHeaders(capacity: 1), for: job.record)
                loop.finish(job.record)
            }
            wave = .idle
        }
        // An empty wave has nothing to wait for.
        return producer.unacknowledged == 0 ? now : nil
    }

    private func announce(_ job: Job, _ loop: StageLoop) {
        for action in job.actions {
            switch action {
            case .notice(let notice):
                send(notices, notice.webhook.description, notice.json, job, loop)
                Log.info("webhook notice", .name(notice.kind.rawValue), .webhook(notice.webhook.description))
            case .email(let account, let order):
                send(emails, account.description, order.json(account: account, api: apiURL), job, loop)
                Log.info("webhook mail", .name(order.template.rawValue), .webhook(order.webhook.description))
            case .writeAccount, .writeWebhook, .removeWebhook, .removeAccount: break
            }
        }
    }

    private func write(_ job: Job, _ loop: StageLoop) {
        for action in job.actions {
            switch action {
            case .notice, .email: break
            case .writeAccount(let account):
                var writer = JSONWriter()
                account.write(to: &writer)
                send(accounts, account.id.description, writer.bytes, job, loop)
            case .writeWebhook(let webhook):
                var writer = JSONWriter()
                webhook.write(to: &writer)
                send(subscriptions, webhook.id.description, writer.bytes, job, loop)
            case .removeWebhook(let id): remove(subscriptions, id.description, job, loop)
            case .removeAccount(let id): remove(accounts, id.description, job, loop)
            }
        }
    }

    private func send(
        _ topic: KafkaProducer.Topic, _ key: String, _ value: [UInt8], _ job: Job, _ loop: StageLoop
    ) {
        loop.produce(
            topic, partition: 0, key: Array(key.utf8), value: value, headers: commandHeader(job), for: job.record)
    }

    private func remove(_ topic: KafkaProducer.Topic, _ key: String, _ job: Job, _ loop: StageLoop) {
        loop.produce(
            topic, partition: 0, key: Array(key.utf8), value: nil, headers: commandHeader(job), for: job.record)
    }

    private func commandHeader(_ job: Job) -> KafkaHeaders {
        let headers = KafkaHeaders(capacity: 1)
        headers.add("command-id", job.result.command.description)
        return headers
    }

    private func noteCaughtUp() {
        guard !isCaughtUp else { return }
        isCaughtUp = true
        onCaughtUp()
    }

    // MARK: Leaving

    package func drain(_: StageLoop) {}

    package var isDrained: Bool {
        if case .idle = wave { return queue.isEmpty }
        return false
    }

    package func revoked() {
        owned = []
        queue = []
        wave = .idle
    }
}
