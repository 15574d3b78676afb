// The records that the registry writes: what stands in them and on which topic, each key's on partition 0.
internal import Core
internal import JSON
internal import Kafka
internal import Pipeline
internal import Runtime

/// The stage's thread owns it, with the producer.
struct RegistryRecords {
    private let producer: KafkaProducer
    private let notices: KafkaProducer.Topic
    private let emails: KafkaProducer.Topic
    private let accounts: KafkaProducer.Topic
    private let subscriptions: KafkaProducer.Topic
    private let results: KafkaProducer.Topic
    private let apiURL: String?

    /// What caused a record; told by its headers.
    struct Origin {
        let command: CommandID
        let epoch: Int
        /// The command's last record of the state, which shows it whole.
        let isLast: Bool
        let receipt: Receipt?
        /// What a withdrawal undid by it.
        let withdraws: [CommandResult]
    }

    /// - Parameter apiURL: where subscribers reach the API, for the commands in mails; nil: `$API`.
    init(_ topics: Topics, _ producer: KafkaProducer, apiURL: String?) {
        self.producer = producer
        self.apiURL = apiURL
        notices = producer.topic(topics.notices)
        emails = producer.topic(topics.emails)
        accounts = producer.topic(topics.accounts)
        subscriptions = producer.topic(topics.subscriptions)
        results = producer.topic(topics.results)
    }

    // MARK: Of the owner

    func mark(_ log: RegistryLog, _ marker: EpochMarker) {
        let topic =
            switch log {
            case .results: results
            case .accounts: accounts
            case .subscriptions: subscriptions
            }
        producer.produce(
            topic, partition: 0, key: Array(EpochMarker.key.utf8), value: marker.json,
            headers: KafkaHeaders(capacity: 1), token: 0)
    }

    /// Writes again what a superseded owner has written over.
    func write(_ repair: RegistryHolding.Repair, as state: RegistryState, epoch: Int) {
        let headers = KafkaHeaders(capacity: 1)
        headers.add("epoch", String(epoch))
        var writer = JSONWriter()
        let topic: KafkaProducer.Topic
        let key: String
        switch repair {
        case .account(let id):
            (topic, key) = (accounts, id.description)
            state.accounts[id]?.write(to: &writer)
        case .webhook(let id):
            (topic, key) = (subscriptions, id.description)
            state.webhooks[id]?.write(to: &writer)
        }
        // Nothing written: the state does not have it.
        if writer.bytes.isEmpty {
            producer.produce(topic, partition: 0, key: Array(key.utf8), value: nil, headers: headers, token: 0)
        } else {
            producer.produce(topic, partition: 0, key: Array(key.utf8), value: writer.bytes, headers: headers, token: 0)
        }
    }

    // MARK: Of commands

    func write(_ action: RegistryAction, from origin: Origin, for record: RecordReference, _ loop: StageLoop) {
        let headers = KafkaHeaders(capacity: 7)
        headers.add("command-id", origin.command.description)
        switch action {
        case .notice, .email: break
        case .writeAccount, .removeAccount, .writeWebhook, .removeWebhook:
            headers.add("epoch", String(origin.epoch))
            if !origin.isLast { headers.add("continued", "true") }
            if !origin.withdraws.isEmpty {
                headers.add("withdraws", UndoneCommand.text(origin.withdraws))
            }
            if let receipt = origin.receipt {
                headers.add("fingerprint", receipt.fingerprint)
                headers.add("account-id", receipt.account.description)
                headers.add("requested-at", receipt.at.description)
            }
        }
        var writer = JSONWriter()
        let topic: KafkaProducer.Topic
        let key: String
        var value: [UInt8]?
        switch action {
        case .notice(let notice):
            (topic, key, value) = (notices, notice.webhook.description, notice.json)
            Log.info("webhook notice", .name(notice.kind.rawValue), .webhook(key))
        case .email(let account, let order):
            (topic, key, value) = (emails, account.description, order.json(account: account, api: apiURL))
            Log.info("webhook mail", .name(order.template.rawValue), .webhook(order.webhook.description))
        case .writeAccount(let account):
            account.write(to: &writer)
            (topic, key, value) = (accounts, account.id.description, writer.bytes)
        case .writeWebhook(let webhook):
            webhook.write(to: &writer)
            (topic, key, value) = (subscriptions, webhook.id.description, writer.bytes)
        case .removeWebhook(let id): (topic, key) = (subscriptions, id.description)
        case .removeAccount(let id): (topic, key) = (accounts, id.description)
        }
        if let value {
            loop.produce(topic, partition: 0, key: Array(key.utf8), value: value, headers: headers, for: record)
        } else {
            loop.produce(topic, partition: 0, key: Array(key.utf8), value: nil, headers: headers, for: record)
        }
    }

    func write(
        _ result: CommandResult, account: AccountID, epoch: Int, for record: RecordReference, _ loop: StageLoop
    ) {
        let headers = KafkaHeaders(capacity: 1)
        headers.add("epoch", String(epoch))
        loop.produce(
            results, partition: 0, key: Array(account.description.utf8), value: result.json, headers: headers,
            for: record)
    }
}

/// The header `withdraws` of a record that undoes changes: `COMMAND` or `COMMAND@TIME`, the time that of the request whose
/// idempotency key it was made of, separated by commas.
enum UndoneCommand {
    static func text(_ answers: [CommandResult]) -> String {
        answers.map { answer in
            "\(answer.command)" + (answer.receipt.map { "@\($0.at)" } ?? "")
        }.joined(separator: ",")
    }

    static func list(_ header: String) -> [(CommandID, requestedAt: Timestamp?)] {
        header.split(separator: ",").compactMap { entry in
            let parts = entry.split(separator: "@", maxSplits: 1)
            guard let id = parts.first.flatMap({ CommandID(String($0)) }) else { return nil }
            return (id, parts.count == 2 ? Timestamp(rfc3339: String(parts[1])) : nil)
        }
    }
}
