// The duplicate guard: which attempts this owner has settled lately. A crash between a stored retry and the committed offset
// leaves a delivery and its retry both alive; each then fails into a retry of its own, and from there on everything would
// come twice. The owner drops what it has settled already, so the second way ends where the first has been.

/// Which attempt a record asks for. Of two records with the same one, one is the other's twin.
package struct AttemptKey: Hashable, Sendable {
    private let delivery: DeliveryID
    private let attempt: Int32
    /// A webhook switched on again begins anew: what was given up may be sent again by hand, with the same id.
    private let generation: Int32

    /// - Parameter attempt: attempts made before it, as the record carries it.
    package init(_ delivery: DeliveryID, generation: Int, attempt: Int) {
        self.delivery = delivery
        self.attempt = Int32(clamping: attempt)
        self.generation = Int32(clamping: generation)
    }
}

package struct SettledAttempts: Sendable {
    private let capacity: Int
    private var recent: Set<AttemptKey> = []
    private var older: Set<AttemptKey> = []

    /// - Parameter capacity: the last so many are remembered for certain, and at most twice as many.
    package init(capacity: Int = 32_768) { self.capacity = max(1, capacity) }

    package var count: Int { recent.count + older.count }

    /// Notes an attempt whose consequences are written.
    /// - Parameters:
    ///   - attempt: attempts made before it, as the record carries it.
    ///   - isSuccess: the first attempt of a delivery that succeeds is not kept: it has no retry that could come twice, and
    ///     nearly all attempts are such.
    package mutating func note(_ delivery: DeliveryID, generation: Int, attempt: Int, isSuccess: Bool) {
        guard attempt > 0 || !isSuccess else { return }
        if recent.count >= capacity {
            older = recent
            recent = []
        }
        recent.insert(AttemptKey(delivery, generation: generation, attempt: attempt))
    }

    /// Whether the attempt a record asks for has been settled by this owner.
    package func contains(_ delivery: DeliveryID, generation: Int, attempt: Int) -> Bool {
        guard !recent.isEmpty || !older.isEmpty else { return false }
        let key = AttemptKey(delivery, generation: generation, attempt: attempt)
        return recent.contains(key) || older.contains(key)
    }
}
