// Deadlines of attempts. Nearly every one is cancelled long before it is due, so adding and cancelling must cost next to
// nothing: a hashed wheel of 4 ms slots with intrusive lists. It fires late by at most a slot, never early.

package struct TimerWheel: Sendable {
    private static let slotNanoseconds: UInt64 = 4_000_000
    private static let slots = 2048
    private static let none: Int32 = -1

    private struct Entry {
        var next = TimerWheel.none
        var previous = TimerWheel.none
        var slot = TimerWheel.none
        var deadline: UInt64 = 0
    }

    private var entries: [Entry] = []
    private var first: [Int32]
    /// One bit a slot that has entries, so that the next one is found without walking them all.
    private var occupied: [UInt64]
    /// The next tick whose slot has not been looked at.
    private var tick: UInt64
    package private(set) var count = 0

    package init(now: UInt64) {
        first = Array(repeating: Self.none, count: Self.slots)
        occupied = Array(repeating: 0, count: Self.slots / 64)
        tick = now / Self.slotNanoseconds
    }

    /// Sets the timer of a small integer id, instead of the one it had.
    package mutating func set(_ id: Int, at deadline: UInt64) {
        cancel(id)
        while entries.count <= id { entries.append(Entry()) }
        // Rounded up: a slot is looked at when its time has passed as a whole.
        let due = max(deadline / Self.slotNanoseconds + 1, tick)
        let slot = Int(due) & (Self.slots - 1)
        let head = first[slot]
        entries[id] = Entry(next: head, previous: Self.none, slot: Int32(slot), deadline: deadline)
        if head != Self.none { entries[Int(head)].previous = Int32(id) }
        first[slot] = Int32(id)
        occupied[slot >> 6] |= 1 << UInt64(slot & 63)
        count += 1
    }

    package mutating func cancel(_ id: Int) {
        guard id < entries.count, entries[id].slot != Self.none else { return }
        let entry = entries[id]
        if entry.previous == Self.none {
            first[Int(entry.slot)] = entry.next
            if entry.next == Self.none { occupied[Int(entry.slot) >> 6] &= ~(1 << UInt64(entry.slot & 63)) }
        } else {
            entries[Int(entry.previous)].next = entry.next
        }
        if entry.next != Self.none { entries[Int(entry.next)].previous = entry.previous }
        entries[id].slot = Self.none
        count -= 1
    }

    /// Takes out every id that is due and appends it to `due`.
    package mutating func expire(now: UInt64, into due: inout [Int]) {
        let last = now / Self.slotNanoseconds
        guard count > 0, last >= tick else {
            tick = max(tick, last + 1)
            return
        }
        // After a long pause every slot is looked at once.
        let passed = min(last - tick + 1, UInt64(Self.slots))
        for step in 0..<passed {
            let slot = Int(tick + step) & (Self.slots - 1)
            var id = first[slot]
            while id != Self.none {
                let entry = entries[Int(id)]
                // A deadline more than a turn of the wheel away stays.
                if entry.deadline <= now {
                    cancel(Int(id))
                    due.append(Int(id))
                }
                id = entry.next
            }
        }
        tick = last + 1
    }

    /// When to look again; nil if nothing is set.
    package func nextLook() -> UInt64? {
        guard count > 0 else { return nil }
        let start = Int(tick) & (Self.slots - 1)
        var word = start >> 6
        var bits = occupied[word] & (UInt64.max << UInt64(start & 63))
        for step in 0...occupied.count {
            if bits != 0 {
                let slot = word << 6 + bits.trailingZeroBitCount
                let distance = (slot - start + Self.slots) & (Self.slots - 1)
                return (tick + UInt64(distance)) * Self.slotNanoseconds
            }
            guard step < occupied.count else { break }
            word = (word + 1) % occupied.count
            bits = occupied[word]
        }
        return (tick + UInt64(Self.slots)) * Self.slotNanoseconds
    }
}
