// What the registry holds while it owns its partition: state, answers, and the epoch that they are held under. It reads its
// topics to their ends to take over, and goes on reading them to see that nobody else writes.
internal import Core
internal import Crypto
internal import JSON
internal import Kafka
internal import Runtime

/// The stage's thread owns it. Made at an assignment, dropped with it.
final class RegistryHolding {
    /// A key that a superseded owner has written after this owner's marker.
    enum Repair: Hashable {
        case account(AccountID)
        case webhook(WebhookID)
    }

    var state: RegistryState
    private(set) var answered = AnswerMemory()
    /// What can be withdrawn still.
    var changes = AppliedChanges()
    private(set) var ownership = RegistryOwnership(
        owner: Random.bytes(8).reduce(0) { $0 << 8 | UInt64($1) })
    /// What has to be written again, as the state has it.
    private(set) var repairs: Set<Repair> = []
    /// What the epochs ask for, in their order; the stage takes it out once it is done.
    var due: [RegistryOwnership.Action] = []

    private let logs: RegistryTopics
    private let reader: KafkaReader
    private let parser = JSONParser()

    /// A record this old may have made compaction drop what was there before it; `min.compaction.lag.ms` is an hour.
    private static let compactedMilliseconds: Int64 = 1_800_000
    /// Nobody's broker is waited for longer than this to take a withdrawal that stands behind its command.
    private static let withdrawableMilliseconds: Int64 = 3_600_000

    /// - Parameter wake: signalled when there is something to read.
    init(_ configuration: KafkaConfiguration, topics: Topics, webhooksPerAccount: Int, wake: EventFD) throws(KafkaError)
    {
        logs = RegistryTopics(topics)
        state = RegistryState(webhooksPerAccount: webhooksPerAccount)
        reader = try KafkaReader(
            configuration, purpose: "registry", pace: .unhurried, prefetch: KafkaReader.loading, wake: wake)
        reader.assign([
            (topics.accounts, 0, .beginning), (topics.subscriptions, 0, .beginning), (topics.results, 0, .beginning),
        ])
    }

    var isOwning: Bool { ownership.phase == .owning }

    /// Reads what is there, without waiting.
    /// - Parameter confirmed: called for each of this owner's answers that stands on `results` before any higher epoch.
    /// - Returns: how many records were read.
    func read(confirmed: (CommandResult) -> Void) -> Int {
        let count = reader.poll(milliseconds: 0) { take($0, confirmed) }
        if reader.hasReachedEnds, let action = ownership.reachedEnds() { due.append(action) }
        return count
    }

    func remember(_ result: CommandResult, now: Timestamp) {
        answered.note(result.command, result.answer, result.receipt, at: now, now: now)
    }

    /// Takes a command's change back, and with it what was withdrawn before and could not be undone beneath it.
    /// - Returns: the record to write, all of them being one webhook's, and the answer to each command that was undone; none
    ///   where there is nothing to undo.
    func withdraw(
        _ id: CommandID, requestedAt: Timestamp, now: Timestamp
    ) -> (answers: [CommandResult], action: RegistryAction?) {
        var answers: [CommandResult] = []
        var last: RegistryAction?
        for change in changes.withdraw(id, requestedAt: requestedAt) {
            if !change.changesNothing {
                guard let action = state.undo(change) else { break }
                last = action
            }
            let receipt = answered.receipt(of: change.command)
            answered.withdraw(change.command, requestedAt: receipt?.at, now: now)
            answers.append(withdrawalAnswer(to: change.command))
        }
        return (answers, last)
    }

    /// The answer to a command that was undone before this owner came; nil of any other.
    func earlierWithdrawal(of id: CommandID) -> CommandResult? {
        answered[id] == .refused(.withdrawn) ? withdrawalAnswer(to: id) : nil
    }

    private func withdrawalAnswer(to id: CommandID) -> CommandResult {
        let receipt = answered.receipt(of: id)
        return CommandResult(
            command: id, answer: .refused(.withdrawn), wroteState: false, receipt: receipt, requestedAt: receipt?.at)
    }

    /// The repairs that are due; they count as done.
    func takeRepairs() -> [Repair] {
        defer { repairs = [] }
        return Array(repairs)
    }

    private func take(_ message: borrowing KafkaMessage, _ confirmed: (CommandResult) -> Void) {
        let log = logs.log(of: message)
        do {
            if let marker = try EpochMarker(message, parser) {
                if let action = ownership.saw(marker, on: log) { due.append(action) }
                return
            }
            switch ownership.saw(recordOf: message.epoch, on: log) {
            case .stop: if !due.contains(.stop) { due.append(.stop) }
            case .own: if log == .results { confirmed(try result(message)) }
            case .superseded: if log != .results { try passOver(message, log) }
            case .take: try load(message, log)
            }
        } catch {
            Log.error(
                "registry record cannot be read and is passed over", .topic(message.topic), .offset(message.offset),
                .error("\(error)"))
        }
    }

    private func result(_ message: borrowing KafkaMessage) throws -> CommandResult {
        guard let value = message.value else { throw RegistryRecordError(description: "an answer without a value") }
        return try parser.parse(value) { try CommandResult(json: $0) }
    }

    private func load(_ message: borrowing KafkaMessage, _ log: RegistryLog) throws {
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let written = message.timestamp >= 0 ? Timestamp(milliseconds: message.timestamp) : now
        if log == .results {
            let result = try result(message)
            if let requestedAt = result.requestedAt, requestedAt != result.receipt?.at, result.answer == .applied,
                isWithdrawable(written, now)
            {
                changes.noteAsker(of: result.command, requestedAt: requestedAt)
            }
            return answered.note(result.command, result.answer, result.receipt, at: written, now: now)
        }
        let key = repair(message, log)
        if let key { repairs.remove(key) }
        var before: Webhook?
        if case .webhook(let id) = key { before = state.webhooks[id] }
        var webhook: Webhook?
        if let value = message.value {
            try parser.parse(value) { json in
                switch log {
                case .accounts: state.load(try Account(json: json))
                case .subscriptions:
                    webhook = state.load(try Webhook(json: json))
                case .results: break
                }
            }
        } else {
            switch key {
            case .account(let id): state.unloadAccount(id)
            case .webhook(let id): state.unloadWebhook(id)
            case nil: break
            }
        }
        // A kill between a state record and its answer: the command was applied, and its repetition must hear so. Not of a
        // command that has written a part of its records only: applying it again writes the rest.
        guard message.header("continued") == nil, let command = message.header("command-id").flatMap({ CommandID($0) })
        else {
            return
        }
        // The header is there for commands with an idempotency key, and the record's key is their webhook's.
        var receipt: Receipt?
        if let fingerprint = message.header("fingerprint"),
            let account = message.header("account-id").flatMap({ AccountID($0) })
        {
            let at = message.header("requested-at").flatMap { Timestamp(rfc3339: $0) }
            receipt = Receipt(account: account, fingerprint: fingerprint, at: at ?? written, webhook: webhook)
        }
        answered.note(command, .applied, receipt, at: written, now: now)
        guard case .webhook(let id)? = key else { return }
        if let undone = message.header("withdraws") {
            for (id, requestedAt) in UndoneCommand.list(undone) {
                changes.forget(id)
                answered.withdraw(id, requestedAt: requestedAt, now: written)
            }
        } else if isWithdrawable(written, now), before != nil || webhook?.revision == 1 {
            // A first record that is no creation's stands behind one that could not be read.
            changes.note(command, of: id, from: before, to: webhook, requestedAt: receipt?.at)
        }
    }

    private func isWithdrawable(_ written: Timestamp, _ now: Timestamp) -> Bool {
        now.milliseconds - written.milliseconds < Self.withdrawableMilliseconds
    }

    /// A superseded owner's record: not part of the state, but every view has taken it in. It is part of the state after all
    /// where compaction may have dropped the key's record before it, for else the key would be lost.
    private func passOver(_ message: borrowing KafkaMessage, _ log: RegistryLog) throws {
        guard let repair = repair(message, log) else { return }
        let isKnown =
            switch repair {
            case .account(let id): state.accounts[id] != nil
            case .webhook(let id): state.webhooks[id] != nil
            }
        let age = Clock.wallMilliseconds() - message.timestamp
        if !isKnown, message.value != nil, message.timestamp >= 0, age > Self.compactedMilliseconds {
            return try load(message, log)
        }
        Log.warning(
            "a superseded registry wrote a record; the state is written again", .topic(message.topic),
            .offset(message.offset))
        repairs.insert(repair)
    }

    private func repair(_ message: borrowing KafkaMessage, _ log: RegistryLog) -> Repair? {
        switch log {
        case .accounts: AccountID(message.key).map { .account($0) }
        case .subscriptions: WebhookID(message.key).map { .webhook($0) }
        case .results: nil
        }
    }
}
