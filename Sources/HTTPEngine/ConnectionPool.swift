// Which connection a request gets. A pure value: it is told what happened and says what to do; sockets are the engine's.
// Connections are named by small slot numbers which the pool hands out, waiting attempts by their own numbers.
//
// Bounds: open connections in total and per key. Reuse takes the idle connection used last, because it is the least
// likely to have been given up by its receiver; when the total is reached the one idle longest makes room. Who waits at a
// key's bound is served by webhook, in turn (`FairQueue`).
package import Core

/// What must be the same for two requests to share a connection. The judged address is part of it, so that a name
/// which resolves elsewhere tomorrow never rides on a connection judged today.
package struct PoolKey: Hashable, Sendable {
    package let host: String
    package let port: UInt16
    package let isTLS: Bool
    package let address: IPAddress

    package init(host: String, port: UInt16, isTLS: Bool, address: IPAddress) {
        self.host = host
        self.port = port
        self.isTLS = isTLS
        self.address = address
    }

    /// Address and port tell nearly all keys apart, and hashing a name for every request costs more than all else here.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(address.high ^ address.low &* 0x9e37_79b9_7f4a_7c15 ^ UInt64(port))
    }
}

package struct ConnectionPool: Sendable {
    package struct Limits: Sendable {
        package var total = 4096
        package var perKey = 16
        package var idleNanoseconds: UInt64 = 15_000_000_000
        package var ageNanoseconds: UInt64 = 300_000_000_000
        package init() {}
    }

    package enum Acquisition: Equatable, Sendable {
        case reuse(slot: Int)
        /// Open a connection in this slot, after closing the evicted one if there is one.
        case open(slot: Int, evicted: Int?)
        /// At a limit; the attempt will come back in a `Next`.
        case wait
    }

    /// A waiting attempt whose turn has come: open a connection in this slot for it.
    package struct Next: Equatable, Sendable {
        package let attempt: Int
        package let slot: Int
        package init(attempt: Int, slot: Int) {
            self.attempt = attempt
            self.slot = slot
        }
    }

    package enum Release: Equatable, Sendable {
        case idle
        /// Give the connection to this waiting attempt at once.
        case handOver(attempt: Int)
        /// Close it, and call `closed`.
        case close
    }

    private static let none: Int32 = -1

    private struct Slot {
        var group: Int32 = ConnectionPool.none
        var isIdle = false
        var openedAt: UInt64 = 0
        var idleSince: UInt64 = 0
        var idleLimit: UInt64 = 0
        // Neighbours in the list of all idle connections, oldest first.
        var older = ConnectionPool.none
        var newer = ConnectionPool.none
    }

    private struct Group {
        var key: PoolKey
        var open = 0
        var idle: [Int] = []
        var waiting = FairQueue()
        var isQueued = false
    }

    private let limits: Limits
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var groups: [Group] = []
    private var freeGroups: [Int32] = []
    private var groupOfKey: [PoolKey: Int32] = [:]
    /// Groups with waiting attempts that only the total holds back, in the order they asked.
    private var heldBack: [Int32] = []
    private var oldestIdle = ConnectionPool.none
    private var newestIdle = ConnectionPool.none

    package private(set) var open = 0
    package private(set) var idle = 0

    package init(limits: Limits) { self.limits = limits }

    // MARK: Events

    package func hasIdle(_ key: PoolKey) -> Bool {
        groupOfKey[key].map { !groups[Int($0)].idle.isEmpty } ?? false
    }

    /// An attempt wants a connection.
    /// - Parameters:
    ///   - owner: whose attempt it is; where several wait for one key they are served in turn.
    ///   - mayWait: false if a limit means no; `wait` is then the whole answer.
    package mutating func acquire(
        _ key: PoolKey, attempt: Int, owner: UInt = 0, now: UInt64, mayWait: Bool = true
    ) -> Acquisition {
        let group = groupIndex(key)
        // The newest idle one which is fit; unfit ones stay for the sweep, they are older or were promised less time.
        var position = groups[group].idle.count - 1
        while position >= 0 {
            let slot = groups[group].idle[position]
            if isFit(slots[slot], now) {
                groups[group].idle.remove(at: position)
                unlinkIdle(slot)
                return .reuse(slot: slot)
            }
            position -= 1
        }
        if groups[group].open < limits.perKey, open < limits.total {
            return .open(slot: take(group, now), evicted: nil)
        }
        let evictable =
            groups[group].open >= limits.perKey
            ? groups[group].idle.first : oldestIdle == Self.none ? nil : Int(oldestIdle)
        if let evictable {
            forget(evictable)
            // The group may just have lost its last connection and with it its place; the slot may be the same again.
            return .open(slot: take(groupIndex(key), now), evicted: evictable)
        }
        guard mayWait else {
            dropIfUnused(group)
            return .wait
        }
        groups[group].waiting.append(attempt, owner: owner)
        if groups[group].open < limits.perKey { queue(group) }
        return .wait
    }

    /// An exchange ended and the connection is in step.
    /// - Parameter idleLimit: nanoseconds the receiver promised to keep it, if it told.
    package mutating func release(_ slot: Int, now: UInt64, idleLimit: UInt64?) -> Release {
        let group = Int(slots[slot].group)
        guard now - slots[slot].openedAt < limits.ageNanoseconds else { return .close }
        if let next = groups[group].waiting.popFirst() { return .handOver(attempt: next) }
        // Another key waits for a connection of the total: room is worth more than reuse.
        if !heldBack.isEmpty { return .close }
        slots[slot].idleSince = now
        slots[slot].idleLimit = min(limits.idleNanoseconds, idleLimit ?? .max)
        guard slots[slot].idleLimit > 0 else { return .close }
        linkIdle(slot)
        groups[group].idle.append(slot)
        return .idle
    }

    /// A connection is gone, for whatever reason. Says who may open one in its stead.
    package mutating func closed(_ slot: Int, now: UInt64) -> Next? {
        let group = Int(slots[slot].group)
        forget(slot)
        return nextWaiting(preferring: group, now: now)
    }

    /// A waiting attempt gave up; it must not be handed a connection any more.
    package mutating func cancelWaiting(_ attempt: Int, owner: UInt = 0, key: PoolKey) {
        guard let group = groupOfKey[key] else { return }
        groups[Int(group)].waiting.remove(attempt, owner: owner)
        dropIfUnused(Int(group))
    }

    /// The next connection that was idle too long; it is forgotten here, the caller closes it.
    package mutating func takeExpired(now: UInt64) -> Int? {
        guard oldestIdle != Self.none else { return nil }
        let slot = Int(oldestIdle)
        guard now - slots[slot].idleSince >= limits.idleNanoseconds else { return nil }
        forget(slot)
        return slot
    }

    /// The connection idle longest, to make room for another; it is forgotten here, the caller closes it.
    package mutating func takeOldestIdle() -> Int? {
        guard oldestIdle != Self.none else { return nil }
        let slot = Int(oldestIdle)
        forget(slot)
        return slot
    }

    /// When `takeExpired` is worth a call.
    package var nextExpiry: UInt64? {
        oldestIdle == Self.none ? nil : slots[Int(oldestIdle)].idleSince + limits.idleNanoseconds
    }

    // MARK: Inside

    private func isFit(_ slot: Slot, _ now: UInt64) -> Bool {
        now - slot.idleSince < slot.idleLimit && now - slot.openedAt < limits.ageNanoseconds
    }

    private mutating func groupIndex(_ key: PoolKey) -> Int {
        if let index = groupOfKey[key] { return Int(index) }
        let index: Int32
        if let free = freeGroups.popLast() {
            index = free
            groups[Int(index)] = Group(key: key)
        } else {
            index = Int32(groups.count)
            groups.append(Group(key: key))
        }
        groupOfKey[key] = index
        return Int(index)
    }

    private mutating func dropIfUnused(_ group: Int) {
        guard groups[group].open == 0, groups[group].waiting.isEmpty, !groups[group].isQueued,
            groupOfKey[groups[group].key] == Int32(group)
        else { return }
        groupOfKey[groups[group].key] = nil
        freeGroups.append(Int32(group))
    }

    private mutating func take(_ group: Int, _ now: UInt64) -> Int {
        let slot = freeSlots.popLast() ?? slots.count
        let entry = Slot(group: Int32(group), openedAt: now)
        if slot == slots.count { slots.append(entry) } else { slots[slot] = entry }
        groups[group].open += 1
        open += 1
        return slot
    }

    private mutating func forget(_ slot: Int) {
        let group = Int(slots[slot].group)
        precondition(group >= 0, "a connection was closed twice")
        if slots[slot].isIdle {
            groups[group].idle.removeAll { $0 == slot }
            unlinkIdle(slot)
        }
        slots[slot].group = Self.none
        freeSlots.append(slot)
        groups[group].open -= 1
        open -= 1
        dropIfUnused(group)
    }

    private mutating func queue(_ group: Int) {
        guard !groups[group].isQueued else { return }
        groups[group].isQueued = true
        heldBack.append(Int32(group))
    }

    private mutating func nextWaiting(preferring group: Int, now: UInt64) -> Next? {
        if heldBack.isEmpty {
            // Nobody else waits for the total, so the closed one's own group is the only candidate.
            guard groups[group].open < limits.perKey, open < limits.total,
                let attempt = groups[group].waiting.popFirst()
            else { return nil }
            return Next(attempt: attempt, slot: take(group, now))
        }
        if !groups[group].waiting.isEmpty, groups[group].open < limits.perKey { queue(group) }
        while open < limits.total, !heldBack.isEmpty {
            let candidate = Int(heldBack.removeFirst())
            groups[candidate].isQueued = false
            guard groups[candidate].open < limits.perKey, let attempt = groups[candidate].waiting.popFirst() else {
                dropIfUnused(candidate)
                continue
            }
            let next = Next(attempt: attempt, slot: take(candidate, now))
            if !groups[candidate].waiting.isEmpty, groups[candidate].open < limits.perKey { queue(candidate) }
            return next
        }
        return nil
    }

    private mutating func linkIdle(_ slot: Int) {
        slots[slot].isIdle = true
        slots[slot].older = newestIdle
        slots[slot].newer = Self.none
        if newestIdle == Self.none { oldestIdle = Int32(slot) } else { slots[Int(newestIdle)].newer = Int32(slot) }
        newestIdle = Int32(slot)
        idle += 1
    }

    private mutating func unlinkIdle(_ slot: Int) {
        let entry = slots[slot]
        if entry.older == Self.none { oldestIdle = entry.newer } else { slots[Int(entry.older)].newer = entry.newer }
        if entry.newer == Self.none { newestIdle = entry.older } else { slots[Int(entry.newer)].older = entry.older }
        slots[slot].isIdle = false
        idle -= 1
    }
}
