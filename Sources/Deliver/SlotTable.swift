// The records in the delivery stage's hands, by slot. A token names a slot and its use, so that a late result cannot be
// taken for the slot's next record.
internal import Core
internal import Pipeline

struct SlotTable {
    struct Entry {
        let delivery: Delivery
        let record: RecordReference
    }

    private var entries: [Entry?] = []
    private var uses: [UInt32] = []
    private var free: [Int] = []
    /// Body bytes held.
    private(set) var bytes = 0

    subscript(slot: Int) -> Entry { entries[slot]! }

    mutating func add(_ delivery: Delivery, _ record: RecordReference) -> Int {
        bytes += delivery.body.count
        let entry = Entry(delivery: delivery, record: record)
        if let slot = free.popLast() {
            entries[slot] = entry
            uses[slot] &+= 1
            return slot
        }
        entries.append(entry)
        uses.append(1)
        return entries.count - 1
    }

    mutating func remove(_ slot: Int) -> Entry {
        let entry = entries[slot]!
        bytes -= entry.delivery.body.count
        entries[slot] = nil
        free.append(slot)
        return entry
    }

    func token(_ slot: Int) -> UInt64 { UInt64(uses[slot]) << 32 | UInt64(slot) }

    /// The slot a token names, if it still holds the same record.
    func slot(_ token: UInt64) -> Int? {
        let slot = Int(token & 0xFFFF_FFFF)
        guard slot < entries.count, entries[slot] != nil, uses[slot] == UInt32(token >> 32) else { return nil }
        return slot
    }

    /// Empties the slots that wait; those of POSTs under way stay until their results come.
    mutating func remove(waiting: Set<Int>) {
        for slot in waiting { _ = remove(slot) }
    }
}
