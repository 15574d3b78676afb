// The registry's memory of what it has answered, so that a repeated command is answered again and not applied again.
// Bounded by time and by count; a take-over fills it from `results` and from the ids that state records carry.

package struct AnswerMemory: Sendable {
    private struct Entry {
        let id: CommandID
        let at: Int64
    }

    private let keptMilliseconds: Int64
    private let most: Int
    private var answers: [CommandID: Answer] = [:]
    /// In the order they came; the first `gone` are forgotten.
    private var order: [Entry] = []
    private var gone = 0

    /// - Parameters:
    ///   - keptMilliseconds: how long an answer is remembered.
    ///   - most: how many are, at most; the oldest go first.
    package init(keptMilliseconds: Int64 = 24 * 3_600_000, most: Int = 100_000) {
        self.keptMilliseconds = keptMilliseconds
        self.most = max(1, most)
    }

    package var count: Int { answers.count }

    package subscript(id: CommandID) -> Answer? { answers[id] }

    /// Remembers an answer; the first one to a command stays.
    /// - Parameters:
    ///   - at: when it was given.
    ///   - now: the same clock's present; what is older than a day by then is not remembered at all.
    package mutating func note(_ id: CommandID, _ answer: Answer, at: Timestamp, now: Timestamp) {
        let earliest = now.milliseconds - keptMilliseconds
        forget(before: earliest)
        guard at.milliseconds >= earliest, answers[id] == nil else { return }
        if answers.count >= most { forgetFirst() }
        answers[id] = answer
        order.append(Entry(id: id, at: at.milliseconds))
    }

    private mutating func forget(before earliest: Int64) {
        while gone < order.count, order[gone].at < earliest { forgetFirst() }
    }

    private mutating func forgetFirst() {
        answers[order[gone].id] = nil
        gone += 1
        // Moved together now and then, so that forgetting costs nothing that grows.
        if gone > 1024, gone * 2 > order.count {
            order.removeFirst(gone)
            gone = 0
        }
    }
}
