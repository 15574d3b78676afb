// The records in the delivery stage's hands, by slot. A token names a slot and its use, so that a late result cannot be
// taken for the slot's next record.
internal import Core
internal import Pipeline

/// One record between its reading and its end. Belongs to the delivery stage's thread; an object, so that it is handed
/// round without copying the delivery.
final class HeldRecord {
    /// Constant, so that it is lent and not copied.
    let delivery: Delivery
    let record: RecordReference
    let lane: WebhookLane
    let intake: Intake
    /// As the lane knows it.
    let item: Lane.Item
    /// Whether the engine has it.
    var isInFlight = false

    init(_ delivery: Delivery, _ record: RecordReference, _ lane: WebhookLane, _ intake: Intake, _ item: Lane.Item) {
        self.delivery = delivery
        self.record = record
        self.lane = lane
        self.intake = intake
        self.item = item
    }
}

struct SlotTable {
    private var records: [HeldRecord?] = []
    private var uses: [UInt32] = []
    private var free: [Int] = []
    /// The slots of attempts after the first: only those have twins (a crash leaves a delivery and its retry both alive), and
    /// they are few, so that a first attempt costs nothing here.
    private var retries: [AttemptKey: Int32] = [:]
    /// Body bytes held, of all partitions.
    private(set) var bytes = 0

    /// The slot of the record that is added next.
    var nextSlot: Int { free.last ?? records.count }

    subscript(slot: Int32) -> HeldRecord { records[Int(slot)]! }

    /// - Parameter record: its item names ``nextSlot``.
    mutating func add(_ record: HeldRecord) {
        let size = record.delivery.body.count
        bytes += size
        record.intake.bytes += size
        if let key = Self.key(record.delivery) { retries[key] = Int32(nextSlot) }
        if let slot = free.popLast() {
            records[slot] = record
            uses[slot] &+= 1
        } else {
            records.append(record)
            uses.append(1)
        }
    }

    @discardableResult
    mutating func remove(_ slot: Int32) -> HeldRecord {
        let record = records[Int(slot)]!
        let size = record.delivery.body.count
        bytes -= size
        record.intake.bytes -= size
        // One of an assignment that is over may have a successor under the same key.
        if let key = Self.key(record.delivery), retries[key] == slot { retries[key] = nil }
        records[Int(slot)] = nil
        free.append(Int(slot))
        return record
    }

    private static func key(_ delivery: Delivery) -> AttemptKey? {
        delivery.attempt > 0
            ? AttemptKey(delivery.id, generation: delivery.generation, attempt: delivery.attempt) : nil
    }

    /// The record in hand that asks for the same attempt, unless it is a first one.
    func twin(of delivery: Delivery) -> HeldRecord? {
        guard let key = Self.key(delivery), let slot = retries[key] else { return nil }
        return records[Int(slot)]
    }

    func token(_ slot: Int32) -> UInt64 { UInt64(uses[Int(slot)]) << 32 | UInt64(slot) }

    /// The record a token names, if its slot still holds it.
    func record(_ token: UInt64) -> HeldRecord? {
        let slot = Int(token & 0xFFFF_FFFF)
        guard slot < records.count, uses[slot] == UInt32(token >> 32) else { return nil }
        return records[slot]
    }

    /// The highest offset of a partition that the engine has; -1 for none.
    func highestInFlight(of intake: Intake) -> Int64 {
        records.reduce(-1) { highest, held in
            guard let held, held.isInFlight, held.intake === intake else { return highest }
            return max(highest, held.record.offset)
        }
    }
}
