import Kafka
import Testing

@Suite struct LostRecordsTests {
    @Test func whatLiesBetweenThePositionAndTheLogsStartIsLost() {
        let rows: [(name: Comment, committed: Int64, start: Int64?, lost: Int64)] = [
            ("read on", 7, 3, 0), ("at the start", 3, 3, 0), ("one is gone", 2, 3, 1), ("all that was there", 0, 9, 9),
            ("nothing was committed", -1001, 9, 0), ("the broker does not say", 2, nil, 0),
        ]
        for row in rows { #expect(lostRecords(committed: row.committed, logStart: row.start) == row.lost, row.name) }
    }
}
