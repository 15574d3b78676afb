// One webhook in the stage's hands: its lane, and what the registry's view says of it.
internal import Core
internal import Registry

/// Belongs to the delivery stage's thread.
final class WebhookLane {
    let id: WebhookID
    let shard: Int32
    var lane: Lane
    /// Whether it stands in the stage's queue of lanes to serve.
    var isQueued = false
    /// The earliest moment it is on the timer for; 0 for none.
    var timer: UInt64 = 0
    /// When it last had something to do, monotonic nanoseconds.
    var lastUsed: UInt64 = 0
    private(set) var state = TargetState.unknown
    private var version: UInt64 = 0

    init(id: WebhookID, shard: Int32, lane: Lane) {
        self.id = id
        self.shard = shard
        self.lane = lane
    }

    /// Looks the webhook up again if the view has changed since the last time.
    func refresh(_ view: RegistryView, make: (Webhook) -> TargetState) {
        let current = view.version
        guard current != version else { return }
        version = current
        guard let webhook = view.read({ $0.webhooks[id] }) else {
            state = view.read { $0.wasRemoved(id) } ? .deleted : .unknown
            return
        }
        if case .active(let target) = state, target.webhook == webhook { return }
        state = webhook.isActive ? make(webhook) : .inactive(generation: webhook.generation)
    }
}

/// What waits for a moment: lanes ordered by time. A heap; stale entries are recognised by whoever takes them out.
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
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].at < heap[least].at {
                least = child
            }
            if least == parent { return first.lane }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    mutating func removeAll() { heap.removeAll(keepingCapacity: true) }
}
