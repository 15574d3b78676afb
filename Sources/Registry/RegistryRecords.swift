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
        let action: RegistryAction =
            switch repair {
            case .account(let id): state.accounts[id].map { .writeAccount($0) } ?? .removeAccount(id)
            case .webhook(let id): state.webhooks[id].map { .writeWebhook($0) } ?? .removeWebhook(id)
            }
        let (topic, key, value) = content(of: action)
        if let value {
            producer.produce(topic, partition: 0, key: key, value: value, headers: headers, token: 0)
        } else {
            producer.produce(topic, partition: 0, key: key, value: nil, headers: headers, token: 0)
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
        switch action {
        case .notice(let notice):
            Log.info("webhook notice", .name(notice.kind.rawValue), .webhook(notice.webhook.description))
        case .email(_, let order):
            Log.info("webhook mail", .name(order.template.rawValue), .webhook(order.webhook.description))
        case .writeAccount, .removeAccount, .writeWebhook, .removeWebhook: break
        }
        let (topic, key, value) = content(of: action)
        if let value {
            loop.produce(topic, partition: 0, key: key, value: value, headers: headers, for: record)
        } else {
            loop.produce(topic, partition: 0, key: key, value: nil, headers: headers, for: record)
        }
    }

    /// - Returns: nil in place of a value for a tombstone.
    private func content(of action: RegistryAction) -> (KafkaProducer.Topic, key: [UInt8], value: [UInt8]?) {
        func bytes(of id: some CustomStringConvertible) -> [UInt8] { Array(id.description.utf8) }
        var writer = JSONWriter()
        switch action {
        case .notice(let notice): return (notices, bytes(of: notice.webhook), notice.json)
        case .email(let account, let order):
            return (emails, bytes(of: account), order.json(account: account, api: apiURL))
        case .writeAccount(let account):
            account.write(to: &writer)
            return (accounts, bytes(of: account.id), writer.bytes)
        case .writeWebhook(let webhook):
            webhook.write(to: &writer)
            return (subscriptions, bytes(of: webhook.id), writer.bytes)
        case .removeWebhook(let id): return (subscriptions, bytes(of: id), nil)
        case .removeAccount(let id): return (accounts, bytes(of: id), nil)
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
