// The test events whose askers have no answer yet, as a value: first the broker has to have the event, then, where the
// asker waits for it, its attempt has to be made.
internal import Core

struct PendingTests<Asker> {
    struct Limits {
        /// Of all accounts together.
        var total = 256
        /// So that one account whose endpoint hangs does not take the others' places.
        var perAccount = 8
        /// From the broker's acknowledgement to the attempt's record.
        var waitNanoseconds: UInt64 = 7_000_000_000
    }

    enum Refusal { case tooMany, tooManyOfAccount }

    enum Ending: Equatable {
        /// The broker has the event; its attempt was not asked for, or not seen in time.
        case accepted
        case attempted(AttemptRow)
        case unconfirmed
    }

    struct Ended {
        let event: EventID
        let askers: [Asker]
        let ending: Ending
    }

    private struct Pending {
        /// Several where a request was sent again with its idempotency key.
        var askers: [Asker]
        let account: AccountID
        let waits: Bool
        /// Nobody is told of the attempt before the acknowledgement.
        let holds: Bool
        /// What was held.
        var row: AttemptRow?
        /// Set once the broker has the event.
        var deadline: UInt64?
    }

    private let limits: Limits
    private var pending: [EventID: Pending] = [:]
    private var isReleased = false

    init(limits: Limits) { self.limits = limits }

    var isEmpty: Bool { pending.isEmpty }
    var askers: Int { pending.values.reduce(0) { $0 + $1.askers.count } }

    /// When ``expire(now:)`` has something to do; nil while it has not.
    var nextDeadline: UInt64? { pending.values.lazy.compactMap(\.deadline).min() }

    func contains(_ event: EventID) -> Bool { pending[event] != nil }

    /// Remembers who asks, before the event is handed over. Who asks for one that somebody waits for already waits with him.
    /// - Returns: nil, or why not; then nothing was remembered.
    mutating func add(
        _ event: EventID, account: AccountID, waits: Bool, holds: Bool = false, asker: Asker
    ) -> Refusal? {
        guard askers < limits.total else { return .tooMany }
        // No index by account: both numbers are small, and a person asks.
        let ofAccount = pending.values.reduce(0) { $0 + ($1.account == account ? $1.askers.count : 0) }
        guard ofAccount < limits.perAccount else { return .tooManyOfAccount }
        if pending[event] == nil {
            pending[event] = Pending(askers: [], account: account, waits: waits, holds: holds)
        }
        pending[event]?.askers.append(asker)
        return nil
    }

    mutating func acknowledged(_ event: EventID, now: UInt64) -> Ended? {
        guard let entry = pending[event], entry.deadline == nil else { return nil }
        if let row = entry.row { return end(event, .attempted(row)) }
        guard entry.waits, !isReleased else { return end(event, .accepted) }
        pending[event]?.deadline = now + limits.waitNanoseconds
        return nil
    }

    /// The broker does not have the event, as far as anybody knows.
    mutating func givenUp(_ event: EventID) -> Ended? { end(event, .unconfirmed) }

    /// An attempt was recorded, which may be seen before the acknowledgement.
    mutating func saw(_ row: AttemptRow) -> Ended? {
        guard let entry = pending[row.event], entry.waits else { return nil }
        guard entry.deadline != nil || !entry.holds else {
            pending[row.event]?.row = row
            return nil
        }
        return end(row.event, .attempted(row))
    }

    mutating func expire(now: UInt64) -> [Ended] { acceptAll { now >= $0 } }

    /// Nobody waits for an attempt any more.
    mutating func release() -> [Ended] {
        isReleased = true
        return acceptAll { _ in true }
    }

    private mutating func acceptAll(where isOver: (UInt64) -> Bool) -> [Ended] {
        let over = pending.filter { $0.value.deadline.map(isOver) ?? false }.keys
        return over.compactMap { end($0, .accepted) }
    }

    private mutating func end(_ event: EventID, _ ending: Ending) -> Ended? {
        pending.removeValue(forKey: event).map { Ended(event: event, askers: $0.askers, ending: ending) }
    }
}
