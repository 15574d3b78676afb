// The wait of a parked record: never early, and no clock that is set moves it.
import Core
import Testing

@Suite struct RetryWaitTests {
    private let written: Int64 = 1_700_000_000_000
    private let monotonic: UInt64 = 5_000_000_000

    /// Milliseconds until the record goes.
    private func wait(dueIn: Int64?, readAfter: Int64, written: Int64?, tier: Int64 = 30_000) -> Int64 {
        let due = dueIn.map { Timestamp(milliseconds: self.written + $0) }
        let end = RetryWait.end(
            due: due, written: written ?? -1, tierWait: tier, wall: self.written + readAfter, monotonic: monotonic)
        #expect(end >= monotonic)
        return Int64((end - monotonic) / 1_000_000)
    }

    @Test func isWhatIsLeftOfIt() {
        #expect(wait(dueIn: 30_000, readAfter: 0, written: written) == 30_000)
        #expect(wait(dueIn: 30_000, readAfter: 12_000, written: written) == 18_000)
        #expect(wait(dueIn: 30_000, readAfter: 30_000, written: written) == 0)
        #expect(wait(dueIn: 30_000, readAfter: 90_000, written: written) == 0)
        #expect(wait(dueIn: nil, readAfter: 0, written: written) == 0)
    }

    @Test func aClockSetBackAddsNothing() {
        #expect(wait(dueIn: 30_000, readAfter: -3_600_000, written: written) == 30_000)
        #expect(wait(dueIn: 30_000, readAfter: -400_000, written: written) == 30_000)
    }

    @Test func aLongerWaitFromBeforeAChangeOfTheTiersIsKept() {
        #expect(wait(dueIn: 86_400_000, readAfter: 0, written: written, tier: 1000) == 86_400_000)
        #expect(wait(dueIn: 86_400_000, readAfter: -3_600_000, written: written, tier: 1000) == 86_400_000)
    }

    @Test func aBrokersOwnStampMakesNothingEarly() {
        // The broker's clock is an hour ahead, or there is no stamp.
        #expect(wait(dueIn: 30_000, readAfter: 0, written: written + 3_600_000) == 30_000)
        #expect(wait(dueIn: 30_000, readAfter: 0, written: nil) == 30_000)
    }

    @Test func aDueTimeMadeByHandOverflowsNothing() {
        #expect(wait(dueIn: .max - written, readAfter: 0, written: written) == 366 * 86_400_000)
        #expect(wait(dueIn: .min + written, readAfter: 0, written: written) == 0)
    }
}
