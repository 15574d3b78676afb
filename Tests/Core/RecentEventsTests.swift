// How much of the last moments is remembered.
import Core
import Testing

@Suite struct RecentEventsTests {
    private func add(_ number: Int, at: Int64, bytes: Int = 1, to recent: inout RecentEvents) {
        let entry = RecentEvents.Entry(
            event: EventID(high: 0, low: UInt32(number)), type: "user.updated", account: nil, subject: nil, topic: "t",
            partition: 0, offset: Int64(number), timestamp: -1, traceparent: nil, routedAt: at, known: 0)
        [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: bytes).withUnsafeBytes {
            recent.add(entry, body: $0)
        }
    }

    private func offsets(_ recent: RecentEvents) -> [Int64] {
        var offsets: [Int64] = []
        recent.forEach { entry, body in
            #expect(body.allSatisfy { $0 == UInt8(truncatingIfNeeded: entry.offset) }, "each with its own body")
            offsets.append(entry.offset)
        }
        return offsets
    }

    @Test func keepsWhatIsYoungEnough() {
        var recent = RecentEvents()
        let begin: Int64 = 1_700_000_000_000
        for number in 0..<100 { add(number, at: begin + Int64(number) * 100, to: &recent) }
        let kept = offsets(recent)
        #expect(kept == Array(kept.first!...99) && kept.count >= 20 && kept.count <= 42)
    }

    @Test func keepsNoMoreThanItMay() {
        var recent = RecentEvents()
        for number in 0..<20_000 { add(number, at: 5, to: &recent) }
        var kept = offsets(recent)
        #expect(kept.count >= RecentEvents.maximumEntries && kept.count <= 2 * RecentEvents.maximumEntries)
        #expect(kept.last == 19_999)
        for number in 0..<100 { add(number, at: 6, bytes: 1 << 17, to: &recent) }
        kept = offsets(recent)
        #expect(kept == Array(kept.first!...99) && kept.count >= 16 && kept.count <= 32)
    }

    @Test func aClockThatIsSetBackForgetsNothingYoung() {
        var recent = RecentEvents()
        add(1, at: 10_000, to: &recent)
        add(2, at: 5000, to: &recent)
        add(3, at: 5001, to: &recent)
        #expect(offsets(recent) == [1, 2, 3])
    }
}
