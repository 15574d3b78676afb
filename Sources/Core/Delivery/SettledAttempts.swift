// The duplicate guard: which attempts this owner has settled lately. A crash between a stored retry and the committed offset
// leaves a delivery and its retry both alive; each then fails into a retry of its own, and from there on everything would
// come twice. The owner drops what it has settled already, so the second way ends where the first has been.

package struct SettledAttempts: Sendable {
    private struct Key: Hashable {
        let delivery: DeliveryID
        let attempt: Int32
        /// A webhook switched on again begins anew: what was given up may be sent again by hand, with the same id.
        let generation: Int32
    }

    private let capacity: Int
    private var recent: Set<Key> = []
    private var older: Set<Key> = []

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
        recent.insert(key(delivery, generation, attempt))
    }

    /// Whether the attempt a record asks for has been settled by this owner.
    package func contains(_ delivery: DeliveryID, generation: Int, attempt: Int) -> Bool {
        guard !recent.isEmpty || !older.isEmpty else { return false }
        let key = key(delivery, generation, attempt)
        return recent.contains(key) || older.contains(key)
    }

    private func key(_ delivery: DeliveryID, _ generation: Int, _ attempt: Int) -> Key {
        Key(delivery: delivery, attempt: Int32(clamping: attempt), generation: Int32(clamping: generation))
    }
}
