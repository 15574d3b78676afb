// Which gaps in a partition are losses.
import Pipeline
import Testing

@Suite struct GapWatchTests {
    @Test func whatLiesBeforeTheLogsStartIsLost() {
        let rows: [(name: Comment, gap: Range<Int64>, start: Int64, lost: Int64)] = [
            ("compacted or markers", 5..<7, 0, 0), ("read on right before the start", 5..<7, 5, 0),
            ("all of it was deleted", 5..<9, 9, 4), ("deleted, and a marker behind", 5..<9, 8, 3),
            ("the log has moved on since", 5..<9, 100, 4),
        ]
        for row in rows {
            var watch = GapWatch()
            watch.note(row.gap, assignment: 1)
            #expect(watch.assignmentsToAsk(now: 1) == [1])
            #expect(watch.lost(assignment: 1, logStart: row.start) == row.lost, row.name)
            #expect(watch.assignmentsToAsk(now: 1 << 40).isEmpty, "it is judged once")
        }
    }

    @Test func asksOnceASecondAndAgainWhereThereWasNoAnswer() {
        var watch = GapWatch()
        watch.note(5..<6, assignment: 1)
        #expect(watch.assignmentsToAsk(now: 1).isEmpty, "one offset is a transaction's marker")
        watch.note(5..<9, assignment: 1)
        watch.note(5..<9, assignment: 2)
        #expect(watch.assignmentsToAsk(now: 10) == [1, 2])
        #expect(watch.lost(assignment: 1, logStart: nil) == 0)
        #expect(watch.lost(assignment: 2, logStart: 9) == 4)
        #expect(watch.assignmentsToAsk(now: 999_999_999).isEmpty)
        #expect(watch.assignmentsToAsk(now: 999_999_999, isLast: true) == [1])
        #expect(watch.lost(assignment: 1, logStart: nil) == 0)
        #expect(watch.assignmentsToAsk(now: 2_000_000_010) == [1])
        #expect(watch.lost(assignment: 1, logStart: 9) == 4)
    }

    @Test func keepsTheLargestGaps() {
        var watch = GapWatch()
        for offset in 0..<1000 { watch.note(Int64(offset * 10)..<Int64(offset * 10 + 2), assignment: 1) }
        watch.note(20_000..<20_500, assignment: 1)
        watch.note(7..<9, assignment: 2)
        #expect(watch.lost(assignment: 1, logStart: .max) == 500 + 2 * Int64(GapWatch.keptGaps - 1))
        #expect(watch.lost(assignment: 2, logStart: .max) == 2)
        watch.note(1..<3, assignment: 3)
        watch.removeAll()
        #expect(watch.assignmentsToAsk(now: 1).isEmpty)
    }
}
