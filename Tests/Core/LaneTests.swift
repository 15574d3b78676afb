import Core
import Testing

@Suite struct LaneTests {
    private func item(_ slot: Int, retry: Bool = false, deferred: Bool = false, since: UInt64 = 0) -> Lane.Item {
        Lane.Item(slot: slot, isRetry: retry, wasDeferred: deferred, since: since)
    }

    private func lane(perSecond: Int = 0) -> Lane {
        Lane(bucket: TokenBucket(perSecond: perSecond, burst: 5, emptySince: 0))
    }

    @Test func retriesGoAheadOfNewEvents() {
        var lane = lane()
        lane.add(item(1))
        lane.add(item(2, retry: true))
        let order = [lane.next(now: 1), lane.next(now: 1), lane.next(now: 1)]
        #expect(order == [.start(item(2, retry: true)), .start(item(1)), .nothing])
    }

    @Test func concurrencyStartsAtTwoGrowsToSixteenAndHalvesOnOverload() {
        var lane = lane()
        for slot in 0..<100 { lane.add(item(slot)) }
        func startAll(_ lane: inout Lane) -> Int {
            var started = 0
            while case .start = lane.next(now: 1) { started += 1 }
            return started
        }
        var started = startAll(&lane)
        #expect(started == 2)
        lane.finished(.success)
        started = startAll(&lane)
        #expect(started == 2, "one place is free again and one more is allowed")
        for _ in 0..<40 {
            lane.finished(.success)
            _ = startAll(&lane)
        }
        #expect(lane.concurrency == 16)
        lane.finished(.overload)
        #expect(lane.concurrency == 8)
        lane.finished(.failure)
        #expect(lane.concurrency == 8)
        for _ in 0..<10 { lane.finished(.overload) }
        #expect(lane.concurrency == 1, "one attempt at a time is always allowed")
    }

    /// Offered far more than its rate for 30 s: 100/s ± 5 %, never more than 110 in any second.
    @Test func bucketHoldsTheDocumentedRate() {
        var lane = lane(perSecond: 100)
        var sent: [UInt64] = []
        var now: UInt64 = 0
        for slot in 0..<64 { lane.add(item(slot)) }
        while now < 30_000_000_000 {
            switch lane.next(now: now) {
            case .start:
                sent.append(now)
                lane.finished(.success)
                lane.add(item(sent.count))
            case .wait(let until):
                #expect(until > now)
                now = until
            case .nothing: now += 1_000_000
            }
        }
        #expect((2850...3150).contains(sent.count))
        for (index, start) in sent.enumerated() {
            let within = sent[index...].prefix { $0 < start + 1_000_000_000 }.count
            #expect(within <= 110)
        }
    }

    @Test func newOwnerBeginsWithAnEmptyBucketAndAnIdleOneFillsToItsBurst() {
        var bucket = TokenBucket(perSecond: 100, burst: 5, emptySince: 1_000_000_000)
        #expect(bucket.nextToken(now: 1_000_000_000) == 1_010_000_000)
        let later: UInt64 = 5_000_000_000
        for _ in 0..<5 {
            #expect(bucket.nextToken(now: later) <= later)
            bucket.take(now: later)
        }
        #expect(bucket.nextToken(now: later) == later + 10_000_000)
    }

    @Test func onlyWhatWasNeverDeferredGrowsStale() {
        var lane = lane()
        lane.add(item(1, deferred: true, since: 10))
        lane.add(item(2, since: 20))
        lane.add(item(3, since: 30))
        #expect(lane.oldestDeferrable == 20)
        let stale = lane.takeStale(before: 30)
        #expect(stale.map(\.slot) == [2])
        #expect(lane.waiting == 2)
        let rest = lane.takeAll()
        #expect(rest.map(\.slot) == [1, 3])
        #expect(lane.isIdle)
    }
}
