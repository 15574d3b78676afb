// One queue of a lane: a ring that grows, so that neither end moves the rest and a steady state allocates nothing.

struct LaneQueue: Sendable {
    private var ring: [Lane.Item] = []
    private var head = 0
    private(set) var count = 0

    var first: Lane.Item? { count > 0 ? ring[head] : nil }

    mutating func append(_ item: Lane.Item) {
        if count == ring.count { grow(item) }
        ring[(head + count) & (ring.count - 1)] = item
        count += 1
    }

    mutating func popFirst() -> Lane.Item? {
        guard count > 0 else { return nil }
        let item = ring[head]
        head = (head + 1) & (ring.count - 1)
        count -= 1
        return item
    }

    mutating func popLast() -> Lane.Item? {
        guard count > 0 else { return nil }
        count -= 1
        return ring[(head + count) & (ring.count - 1)]
    }

    /// - Parameter filler: any item; fills the room that is not used yet.
    private mutating func grow(_ filler: Lane.Item) {
        var larger = [Lane.Item](repeating: filler, count: max(8, ring.count * 2))
        for index in 0..<count { larger[index] = ring[(head + index) & (ring.count - 1)] }
        ring = larger
        head = 0
    }
}
