// What waits for a moment: lanes ordered by time. A heap; stale entries are recognised by whoever takes them out.

struct LaneTimers {
    private var heap: [(at: UInt64, lane: WebhookLane)] = []

    var next: UInt64? { heap.first?.at }

    mutating func add(_ lane: WebhookLane, at: UInt64) {
        heap.append((at, lane))
        var child = heap.count - 1
        while child > 0, heap[child].at < heap[(child - 1) / 2].at {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func takeDue(now: UInt64) -> WebhookLane? {
        guard let first = heap.first, first.at <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in 2 * parent + 1...2 * parent + 2 where child < heap.count && heap[child].at < heap[least].at {
                least = child
            }
            if least == parent { return first.lane }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    mutating func removeAll() { heap.removeAll(keepingCapacity: true) }
}
