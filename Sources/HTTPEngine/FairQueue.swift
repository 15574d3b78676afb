// Attempts that wait for a connection to one receiver: of each webhook in the order they came, and the webhooks in turn, so
// that one with many attempts that hang does not stand before its neighbours at the same provider with all of them.
//
// A webhook whose last waiting attempt gave up keeps its turn until that comes: it is about to ask again, and would else begin
// at the end of a long row each time. Allocates nothing once it has grown.

struct FairQueue: Sendable {
    private static let none: Int32 = -1

    private struct Node: Sendable {
        var attempt: Int
        /// In the order of its owner; of a free one, the next free one.
        var next = FairQueue.none
    }

    private struct Owner: Sendable {
        var id: UInt
        var first = FairQueue.none
        var last = FairQueue.none
        /// In the order of turns; of a free one, the next free one.
        var next = FairQueue.none
    }

    private var nodes: [Node] = []
    private var freeNode = FairQueue.none
    private var owners: [Owner] = []
    private var freeOwner = FairQueue.none
    private var ownerOfID: [UInt: Int32] = [:]
    private var firstTurn = FairQueue.none
    private var lastTurn = FairQueue.none
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// - Parameter owner: names the webhook.
    mutating func append(_ attempt: Int, owner id: UInt) {
        let owner = ownerOfID[id] ?? addOwner(id)
        let node = takeNode(attempt)
        if owners[Int(owner)].first == Self.none {
            owners[Int(owner)].first = node
        } else {
            nodes[Int(owners[Int(owner)].last)].next = node
        }
        owners[Int(owner)].last = node
        count += 1
    }

    /// The next attempt; its webhook's next one comes after all other webhooks' turns.
    mutating func popFirst() -> Int? {
        while firstTurn != Self.none {
            let owner = takeTurn()
            let node = owners[Int(owner)].first
            guard node != Self.none else {
                remove(owner)
                continue
            }
            let attempt = nodes[Int(node)].attempt
            owners[Int(owner)].first = nodes[Int(node)].next
            free(node)
            count -= 1
            if owners[Int(owner)].first == Self.none { remove(owner) } else { addTurn(owner) }
            if count == 0 { dropTurns() }
            return attempt
        }
        return nil
    }

    /// Takes an attempt out that gave up.
    mutating func remove(_ attempt: Int, owner id: UInt) {
        guard let owner = ownerOfID[id] else { return }
        var before = Self.none
        var node = owners[Int(owner)].first
        while node != Self.none, nodes[Int(node)].attempt != attempt { (before, node) = (node, nodes[Int(node)].next) }
        guard node != Self.none else { return }
        let after = nodes[Int(node)].next
        if before == Self.none { owners[Int(owner)].first = after } else { nodes[Int(before)].next = after }
        if after == Self.none { owners[Int(owner)].last = before }
        free(node)
        count -= 1
        if count == 0 { dropTurns() }
    }

    // MARK: Turns

    private mutating func addOwner(_ id: UInt) -> Int32 {
        let owner: Int32
        if freeOwner != Self.none {
            owner = freeOwner
            freeOwner = owners[Int(owner)].next
            owners[Int(owner)] = Owner(id: id)
        } else {
            owner = Int32(owners.count)
            owners.append(Owner(id: id))
        }
        ownerOfID[id] = owner
        addTurn(owner)
        return owner
    }

    private mutating func addTurn(_ owner: Int32) {
        owners[Int(owner)].next = Self.none
        if lastTurn == Self.none { firstTurn = owner } else { owners[Int(lastTurn)].next = owner }
        lastTurn = owner
    }

    private mutating func takeTurn() -> Int32 {
        let owner = firstTurn
        firstTurn = owners[Int(owner)].next
        if firstTurn == Self.none { lastTurn = Self.none }
        return owner
    }

    /// Of an owner that has no turn any more.
    private mutating func remove(_ owner: Int32) {
        ownerOfID[owners[Int(owner)].id] = nil
        owners[Int(owner)].next = freeOwner
        freeOwner = owner
    }

    /// Nobody waits: the turns that were kept for those who gave up are worth nothing.
    private mutating func dropTurns() {
        while firstTurn != Self.none { remove(takeTurn()) }
    }

    // MARK: Nodes

    private mutating func takeNode(_ attempt: Int) -> Int32 {
        guard freeNode != Self.none else {
            nodes.append(Node(attempt: attempt))
            return Int32(nodes.count - 1)
        }
        let node = freeNode
        freeNode = nodes[Int(node)].next
        nodes[Int(node)] = Node(attempt: attempt)
        return node
    }

    private mutating func free(_ node: Int32) {
        nodes[Int(node)].next = freeNode
        freeNode = node
    }
}
