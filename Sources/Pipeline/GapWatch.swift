// Offsets that were not there where the next record was expected. Most gaps are ordinary: transaction markers, compaction. But
// where the broker has deleted what was not read yet, the client goes on at the log's start without a word; so the log's start
// is asked for, and what lies before it is lost.

package struct GapWatch {
    package struct Gap: Equatable {
        package let assignment: UInt32
        package let offsets: Range<Int64>
    }

    /// Of each assignment the largest are remembered until they are judged.
    package static let keptGaps = 16
    /// A topic of transactions has gaps all the time.
    private static let interval: UInt64 = 1_000_000_000

    private var gaps: [Gap] = []
    private var nextQuestion: UInt64 = 0

    package init() {}

    /// A gap of one offset is a transaction's marker: retention takes whole segments, and asking the broker after each transaction
    /// would make the stage wait for it.
    package mutating func note(_ offsets: Range<Int64>, assignment: UInt32) {
        guard offsets.count > 1 else { return }
        let gap = Gap(assignment: assignment, offsets: offsets)
        let own = gaps.indices.filter { gaps[$0].assignment == assignment }
        guard own.count >= Self.keptGaps else { return gaps.append(gap) }
        guard let smallest = own.min(by: { gaps[$0].offsets.count < gaps[$1].offsets.count }),
            gaps[smallest].offsets.count < offsets.count
        else { return }
        gaps[smallest] = gap
    }

    /// Whose log's start is to be asked for now.
    /// - Parameters:
    ///   - now: monotonic nanoseconds.
    ///   - isLast: the assignments end, and nobody asks later.
    package mutating func assignmentsToAsk(now: UInt64, isLast: Bool = false) -> Set<UInt32> {
        guard !gaps.isEmpty, isLast || now >= nextQuestion else { return [] }
        nextQuestion = now + Self.interval
        return Set(gaps.map(\.assignment))
    }

    /// Judges the gaps of an assignment and forgets them.
    /// - Parameter logStart: the first offset that is kept; nil where the broker did not say, then they are judged later.
    /// - Returns: how many records are lost, counted by their offsets: markers among them count too.
    package mutating func lost(assignment: UInt32, logStart: Int64?) -> Int64 {
        guard let logStart else { return 0 }
        var lost: Int64 = 0
        gaps.removeAll { gap in
            guard gap.assignment == assignment else { return false }
            lost += max(0, min(gap.offsets.upperBound, logStart) - gap.offsets.lowerBound)
            return true
        }
        return lost
    }

    /// The assignments are over.
    package mutating func removeAll() { gaps.removeAll() }
}
