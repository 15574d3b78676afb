// Which records of a partition are finished, and how far the committed offset may go: the contiguous watermark, so that
// a late success never commits past an earlier failure.

/// Counts, for each record read, the effects that are not yet acknowledged. A record is finished at zero.
package struct Ledger: Sendable {
    /// Pending effects by offset − `watermark`, large gaps left out; offsets the log does not have (compacted, transaction
    /// markers) are 0.
    private var pending: RingBuffer = RingBuffer()
    /// Large gaps between the watermark and the last record read: where a broker has deleted what was not read yet, millions of
    /// offsets may be missing.
    private var gaps: [Range<Int64>] = []
    private static let largeGap = 4096
    private static let mostGaps = 16
    /// The next offset to commit: everything below it is finished.
    package private(set) var watermark: Int64 = 0
    /// The next offset to read.
    package private(set) var next: Int64 = 0
    private var isEmpty = true
    /// Records opened and not finished.
    package private(set) var unfinished = 0

    package init() {}

    /// Offsets between the oldest unfinished record and the newest read that are allowed at most (design §2).
    package static let maxSpan = 65_536

    /// Offsets between the watermark and the last record read; bounded by whoever reads.
    package var span: Int { gaps.count >= Self.mostGaps ? Self.maxSpan : pending.count }

    /// Whether a record has been read since the assignment.
    package var hasBegun: Bool { !isEmpty }

    /// Takes a record on, with one pending effect: its processing.
    /// - Returns: false for an offset below what was read already, which the caller drops.
    package mutating func open(_ offset: Int64) -> Bool {
        if isEmpty {
            isEmpty = false
            watermark = offset
            next = offset
        }
        guard offset >= next else { return false }
        // A gap at the head of an otherwise finished partition is passed at once, so that the span counts real records.
        if unfinished == 0 {
            pending.removeFirst(pending.count)
            gaps.removeAll(keepingCapacity: true)
            watermark = offset
            next = offset
        }
        if offset - next >= Self.largeGap {
            gaps.append(next..<offset)
            next = offset
        }
        while next < offset {
            pending.append(0)
            next += 1
        }
        pending.append(1)
        next += 1
        unfinished += 1
        return true
    }

    /// One more effect of an unfinished record.
    package mutating func add(_ offset: Int64) {
        let index = index(of: offset)
        precondition(offset >= watermark && offset < next && pending[index] > 0, "effect of a finished record")
        pending[index] += 1
    }

    /// One effect of a record is done.
    /// - Returns: whether the record is finished now.
    @discardableResult
    package mutating func settle(_ offset: Int64) -> Bool {
        let index = index(of: offset)
        precondition(offset >= watermark && offset < next && pending[index] > 0, "effect settled twice")
        pending[index] -= 1
        guard pending[index] == 0 else { return false }
        unfinished -= 1
        if index == 0 { advance() }
        return true
    }

    private mutating func advance() {
        var passed = 0
        while passed < pending.count, pending[passed] == 0 { passed += 1 }
        pending.removeFirst(passed)
        watermark += Int64(passed)
        while let gap = gaps.first, gap.lowerBound <= watermark {
            watermark += Int64(gap.count)
            gaps.removeFirst()
        }
    }

    private func index(of offset: Int64) -> Int {
        var index = Int(offset - watermark)
        for gap in gaps where gap.lowerBound < offset { index -= gap.count }
        return index
    }
}

/// A growing ring of counts.
private struct RingBuffer: Sendable {
    /// 32 bits: one record for everyone may cause more than 65,535.
    private var storage: [UInt32] = Array(repeating: 0, count: 64)
    private var head = 0
    private(set) var count = 0

    subscript(index: Int) -> UInt32 {
        get { storage[(head + index) & (storage.count - 1)] }
        set { storage[(head + index) & (storage.count - 1)] = newValue }
    }

    mutating func append(_ value: UInt32) {
        if count == storage.count { grow() }
        storage[(head + count) & (storage.count - 1)] = value
        count += 1
    }

    mutating func removeFirst(_ number: Int) {
        head = (head + number) & (storage.count - 1)
        count -= number
    }

    private mutating func grow() {
        var larger = [UInt32](repeating: 0, count: storage.count * 2)
        for index in 0..<count { larger[index] = self[index] }
        storage = larger
        head = 0
    }
}
