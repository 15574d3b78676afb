// The registry's memory of what it has answered, so that a repeated command is answered again and not applied again.
// A take-over fills it from `results` and from the ids that state records carry. Answers to requests with an idempotency key,
// which users were promised, and all others have limits of their own: progress reports must not push a user's key out.

/// What is remembered of a command whose id was made of an idempotency key, so that whoever repeats the request has the
/// answer that the first one had.
package struct Receipt: Equatable, Sendable {
    package var account: AccountID
    /// The request's digest: the same key with another request is refused.
    package var fingerprint: String
    /// When the command was made, by its sender's clock.
    package var at: Timestamp
    /// The webhook as the command left it, with its newest replay at most and of that the counts; nil where it is gone or
    /// was refused.
    package var webhook: Webhook?

    package init(account: AccountID, fingerprint: String, at: Timestamp, webhook: Webhook?) {
        self.account = account
        self.fingerprint = fingerprint
        self.at = at
        self.webhook = webhook
        // Where a replay has to read takes up to a megabyte, and no answer tells it.
        if let newest = webhook?.replays.last { self.webhook?.replays = [newest.summary] }
    }

    /// What it takes of the memory, about: itself, its places in the tables, and what its texts take beside it.
    package var byteCount: Int {
        var bytes = 800 + fingerprint.utf8.count
        guard let webhook else { return bytes }
        bytes += webhook.url.utf8.count + (webhook.description?.utf8.count ?? 0)
        bytes += webhook.events.reduce(0) { $0 + $1.utf8.count + 16 }
        bytes += webhook.secrets.reduce(0) { $0 + $1.keyID.utf8.count + $1.box.count + 64 }
        bytes += (webhook.disabled?.lastError.utf8.count ?? 0) + (webhook.disabled?.reason.utf8.count ?? 0)
        bytes += webhook.replays.reduce(0) { $0 + ($1.reason?.utf8.count ?? 0) + 256 }
        return bytes
    }

    /// The receipt of a command that was just judged; nil of one without a key.
    package init?(of command: Command, _ answer: Answer, in state: RegistryState) {
        guard let fingerprint = command.fingerprint else { return nil }
        let left = answer == .applied ? command.change.webhook.flatMap { state.webhooks[$0] } : nil
        self.init(account: command.account, fingerprint: fingerprint, at: command.at, webhook: left)
    }
}

extension Answer {
    /// Whether it is what a request with the same idempotency key is answered again. What was refused for the moment only
    /// carried out nothing, and the same key may try it again.
    package var holdsKey: Bool {
        switch self {
        case .refused(.tooLate), .refused(.preconditionFailed), .refused(.olderGeneration), .refused(.withdrawn): false
        case .applied, .refused: true
        }
    }
}

package struct AnswerMemory: Sendable {
    private struct Entry {
        let at: Int64
        let serial: UInt64
        let id: CommandID
    }

    private struct Known {
        let answer: Answer
        let kept: Kept?
        /// Which note it is of, so that what is remembered of one that is gone is known for it.
        let serial: UInt64

        var receipt: Receipt? { kept?.receipt }
    }

    /// An object, since a receipt takes 300 bytes and most answers are without.
    private final class Kept: Sendable {
        let receipt: Receipt
        let bytes: Int

        init(_ receipt: Receipt) {
            self.receipt = receipt
            bytes = receipt.byteCount
        }
    }

    /// What one account's receipts come to.
    private struct Holding {
        /// The oldest first.
        var entries: [Entry] = []
        var bytes = 0
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
    private let mostBytes: Int
    private var answers: [CommandID: Known] = [:]
    private var serial: UInt64 = 0
    /// Those without receipts, and those with.
    private var plain = OldestFirst()
    private var keyed = OldestFirst()
    private var holdings: [AccountID: Holding] = [:]
    private var keyedCount = 0
    private var keyedBytes = 0

    /// - Parameters:
    ///   - keptMilliseconds: how long an answer is remembered.
    ///   - most: how many are without a receipt, at most; the oldest go first. A take-over applies the commands again whose
    ///     answers were not read back, some waves of 200.
    ///   - receiptsPerAccount: how many with one, at most, of each account.
    ///   - mostBytes: what all receipts take, at most. Over it an account with more than its share loses its own oldest, else
    ///     the oldest of all goes.
    package init(
        keptMilliseconds: Int64 = 24 * 3_600_000, most: Int = 20_000, receiptsPerAccount: Int = 1000,
        mostBytes: Int = 64 << 20
    ) {
        self.keptMilliseconds = keptMilliseconds
        self.most = max(1, most)
        self.receiptsPerAccount = max(1, receiptsPerAccount)
        self.mostBytes = mostBytes
    }

    package var count: Int { answers.count }

    /// What the receipts take, about.
    package var receiptBytes: Int { keyedBytes }

    package subscript(id: CommandID) -> Answer? { answers[id]?.answer }

    /// The receipt of the request whose answer is remembered.
    package func receipt(of id: CommandID) -> Receipt? { answers[id]?.receipt }

    /// A command that came too late has not happened, nor has one that was made for another state: the same key again, in a
    /// command made later, is a new one.
    package func recall(_ command: Command) -> Recollection {
        guard let known = answers[command.id] else { return .unknown }
        guard let fingerprint = command.fingerprint, let receipt = known.receipt else {
            return .repeated(known.answer, known.receipt)
        }
        if !known.answer.holdsKey, receipt.at != command.at { return .unknown }
        guard receipt.fingerprint == fingerprint, receipt.account == command.account else { return .otherRequest }
        return .repeated(known.answer, receipt)
    }

    /// A command was undone: what was answered to it is true no more, and its key is free.
    /// - Parameter requestedAt: the receipt's time; nil of one without a key. What is known of a later request with the key is
    ///   true still.
    package mutating func withdraw(_ id: CommandID, requestedAt: Timestamp?, now: Timestamp) {
        guard var receipt = answers[id].map(\.receipt), receipt?.at == requestedAt else { return }
        receipt?.webhook = nil
        note(id, .refused(.withdrawn), receipt, at: now, now: now)
    }

    /// Remembers an answer; the first one to a command stays, unless it does not hold its key or was withdrawn.
    /// - Parameters:
    ///   - receipt: of a command with an idempotency key.
    ///   - at: when it was given. In whatever order they are noted, as a take-over reads several topics, the oldest go first.
    ///   - now: the same clock's present; what is older than a day by then is not remembered at all.
    package mutating func note(
        _ id: CommandID, _ answer: Answer, _ receipt: Receipt? = nil, at: Timestamp, now: Timestamp
    ) {
        let earliest = now.milliseconds - keptMilliseconds
        forget(before: earliest)
        // Said of another request than the one the id belongs to.
        guard at.milliseconds >= earliest, answer != .refused(.keyReused) else { return }
        if let known = answers[id] {
            let isOfTheSame = receipt?.at == known.receipt?.at
            let isWithdrawal = answer == .refused(.withdrawn) && isOfTheSame
            guard isWithdrawal || (!known.answer.holdsKey && receipt != nil && !isOfTheSame) else { return }
            forget(id)
        }
        serial += 1
        let entry = Entry(at: at.milliseconds, serial: serial, id: id)
        let kept = receipt.map(Kept.init)
        answers[id] = Known(answer: answer, kept: kept, serial: serial)
        if let kept { hold(kept, entry) } else { plain.insert(entry) }
        while answers.count - keyedCount > most, let oldest = oldest(of: \.plain) { forget(oldest.id) }
        tidy()
    }

    private mutating func hold(_ kept: Kept, _ entry: Entry) {
        let account = kept.receipt.account
        keyed.insert(entry)
        keyedCount += 1
        keyedBytes += kept.bytes
        holdings[account, default: Holding()].bytes += kept.bytes
        let index = holdings[account]?.entries.lastIndex { $0.at <= entry.at }.map { $0 + 1 } ?? 0
        holdings[account]?.entries.insert(entry, at: index)
        if holdings[account]?.entries.count ?? 0 > receiptsPerAccount, let oldest = holdings[account]?.entries.first {
            forget(oldest.id)
        }
        while keyedBytes > mostBytes {
            if let bytes = holdings[account]?.bytes, bytes > mostBytes / holdings.count,
                let oldest = holdings[account]?.entries.first
            {
                forget(oldest.id)
            } else if let oldest = oldest(of: \.keyed) {
                forget(oldest.id)
            } else {
                return
            }
        }
    }

    private mutating func forget(before earliest: Int64) {
        while let oldest = oldest(of: \.plain), oldest.at < earliest { forget(oldest.id) }
        while let oldest = oldest(of: \.keyed), oldest.at < earliest { forget(oldest.id) }
    }

    private mutating func forget(_ id: CommandID) {
        guard let kept = answers.removeValue(forKey: id)?.kept else { return }
        keyedCount -= 1
        keyedBytes -= kept.bytes
        let account = kept.receipt.account
        guard let index = holdings[account]?.entries.firstIndex(where: { $0.id == id }) else { return }
        holdings[account]?.entries.remove(at: index)
        holdings[account]?.bytes -= kept.bytes
        if holdings[account]?.entries.isEmpty == true { holdings[account] = nil }
    }

    /// The oldest that is still remembered.
    private mutating func oldest(of order: WritableKeyPath<AnswerMemory, OldestFirst>) -> Entry? {
        while let first = self[keyPath: order].first {
            if isLive(first) { return first }
            self[keyPath: order].removeFirst()
        }
        return nil
    }

    private func isLive(_ entry: Entry) -> Bool { answers[entry.id]?.serial == entry.serial }

    /// Forgetting leaves an entry behind in its order; they are dropped together once they are the most.
    private mutating func tidy() {
        if plain.count > 2 * (answers.count - keyedCount) + 1024 { plain = plain.filter(isLive) }
        if keyed.count > 2 * keyedCount + 1024 { keyed = keyed.filter(isLive) }
    }

    /// A binary heap: entries come nearly in order, and not quite.
    private struct OldestFirst: Sendable {
        private var entries: [Entry] = []

        var count: Int { entries.count }
        var first: Entry? { entries.first }

        func filter(_ isWanted: (Entry) -> Bool) -> OldestFirst {
            var wanted = OldestFirst()
            for entry in entries where isWanted(entry) { wanted.insert(entry) }
            return wanted
        }

        private func isBefore(_ one: Int, _ other: Int) -> Bool {
            (entries[one].at, entries[one].serial) < (entries[other].at, entries[other].serial)
        }

        mutating func insert(_ entry: Entry) {
            entries.append(entry)
            var place = entries.count - 1
            while place > 0, isBefore(place, (place - 1) / 2) {
                entries.swapAt(place, (place - 1) / 2)
                place = (place - 1) / 2
            }
        }

        mutating func removeFirst() {
            guard let last = entries.popLast(), !entries.isEmpty else { return }
            entries[0] = last
            var place = 0
            while true {
                var least = place
                for child in [2 * place + 1, 2 * place + 2] where child < entries.count && isBefore(child, least) {
                    least = child
                }
                guard least != place else { return }
                entries.swapAt(place, least)
                place = least
            }
        }
    }
}
