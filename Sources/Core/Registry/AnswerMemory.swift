// The registry's memory of what it has answered, so that a repeated command is answered again and not applied again.
// Bounded by time and by count; a take-over fills it from `results` and from the ids that state records carry.

/// What is remembered of a command whose id was made of an idempotency key, so that whoever repeats the request has the
/// answer that the first one had.
package struct Receipt: Equatable, Sendable {
    package var account: AccountID
    /// The request's digest: the same key with another request is refused.
    package var fingerprint: String
    /// When the command was made, by its sender's clock.
    package var at: Timestamp
    /// The webhook as the command left it, with its newest replay at most; nil where it is gone or was refused.
    package var webhook: Webhook?

    package init(account: AccountID, fingerprint: String, at: Timestamp, webhook: Webhook?) {
        self.account = account
        self.fingerprint = fingerprint
        self.at = at
        self.webhook = webhook
        if let replays = webhook?.replays { self.webhook?.replays = Array(replays.suffix(1)) }
    }

    /// The receipt of a command that was just judged; nil of one without a key.
    package init?(of command: Command, _ answer: Answer, in state: RegistryState) {
        guard let fingerprint = command.fingerprint else { return nil }
        let left = answer == .applied ? command.change.webhook.flatMap { state.webhooks[$0] } : nil
        self.init(account: command.account, fingerprint: fingerprint, at: command.at, webhook: left)
    }
}

package struct AnswerMemory: Sendable {
    private struct Entry {
        let id: CommandID
        let at: Int64
    }

    private struct Known {
        let answer: Answer
        let kept: Kept?
        let at: Int64

        var receipt: Receipt? { kept?.receipt }
    }

    /// An object, since a receipt takes 300 bytes and most answers are without.
    private final class Kept: Sendable {
        let receipt: Receipt
        init(_ receipt: Receipt) { self.receipt = receipt }
    }

    /// What is known of a command's id.
    package enum Recollection: Equatable, Sendable {
        case unknown
        case repeated(Answer, Receipt?)
        /// Its idempotency key belongs to another request.
        case otherRequest
    }

    private let keptMilliseconds: Int64
    private let most: Int
    private let receiptsPerAccount: Int
    private var answers: [CommandID: Known] = [:]
    /// In the order they came; the first `gone` are forgotten.
    private var order: [Entry] = []
    private var gone = 0
    /// Those with receipts, in the order they came.
    private var receipts: [AccountID: [CommandID]] = [:]

    /// - Parameters:
    ///   - keptMilliseconds: how long an answer is remembered.
    ///   - most: how many are, at most; the oldest go first.
    ///   - receiptsPerAccount: how many of them with receipts, at most, which are larger.
    package init(
        keptMilliseconds: Int64 = 24 * 3_600_000, most: Int = 100_000, receiptsPerAccount: Int = 1000
    ) {
        self.keptMilliseconds = keptMilliseconds
        self.most = max(1, most)
        self.receiptsPerAccount = max(1, receiptsPerAccount)
    }

    package var count: Int { answers.count }

    package subscript(id: CommandID) -> Answer? { answers[id]?.answer }

    /// A command that came too late has not happened: the same key again, in a command made later, is a new one.
    package func recall(_ command: Command) -> Recollection {
        guard let known = answers[command.id] else { return .unknown }
        guard let fingerprint = command.fingerprint, let receipt = known.receipt else {
            return .repeated(known.answer, known.receipt)
        }
        if known.answer == .refused(.tooLate), receipt.at != command.at { return .unknown }
        guard receipt.fingerprint == fingerprint, receipt.account == command.account else { return .otherRequest }
        return .repeated(known.answer, receipt)
    }

    /// Remembers an answer; the first one to a command stays, unless it says that the command came too late.
    /// - Parameters:
    ///   - receipt: of a command with an idempotency key.
    ///   - at: when it was given.
    ///   - now: the same clock's present; what is older than a day by then is not remembered at all.
    package mutating func note(
        _ id: CommandID, _ answer: Answer, _ receipt: Receipt? = nil, at: Timestamp, now: Timestamp
    ) {
        let earliest = now.milliseconds - keptMilliseconds
        forget(before: earliest)
        // Said of another request than the one the id belongs to.
        guard at.milliseconds >= earliest, answer != .refused(.keyReused) else { return }
        if let known = answers[id] {
            guard known.answer == .refused(.tooLate), let receipt, receipt.at != known.receipt?.at else { return }
            forget(id)
        }
        while order.count - gone >= most { forgetFirst() }
        answers[id] = Known(answer: answer, kept: receipt.map(Kept.init), at: at.milliseconds)
        order.append(Entry(id: id, at: at.milliseconds))
        guard let account = receipt?.account else { return }
        receipts[account, default: []].append(id)
        if let ids = receipts[account], ids.count > receiptsPerAccount { forget(ids[0]) }
    }

    private mutating func forget(before earliest: Int64) {
        while gone < order.count, order[gone].at < earliest { forgetFirst() }
    }

    private mutating func forgetFirst() {
        guard gone < order.count else { return }
        let first = order[gone]
        // It may have been forgotten and come again since.
        if answers[first.id]?.at == first.at { forget(first.id) }
        gone += 1
        // Moved together now and then, so that forgetting costs nothing that grows.
        if gone > 1024, gone * 2 > order.count {
            order.removeFirst(gone)
            gone = 0
        }
    }

    private mutating func forget(_ id: CommandID) {
        guard let account = answers.removeValue(forKey: id)?.receipt?.account else { return }
        guard let index = receipts[account]?.firstIndex(of: id) else { return }
        receipts[account]?.remove(at: index)
        if receipts[account]?.isEmpty == true { receipts[account] = nil }
    }
}
