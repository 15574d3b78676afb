import Core
import Testing

private let second: UInt64 = 1_000_000_000
private let millisecond: UInt64 = 1_000_000

private func item(
    _ slot: Int, _ kind: Lane.Item.Kind = .fresh, attempts: Int = 0, bytes: Int = 100, since: UInt64 = 0
) -> Lane.Item {
    Lane.Item(slot: slot, kind: kind, attempts: attempts, bytes: bytes, since: since)
}

/// A lane whose rate is off, with these records waiting.
private func lane(perSecond: Int = 0, _ items: Lane.Item...) -> Lane {
    var lane = Lane(bucket: TokenBucket(perSecond: perSecond, burst: 5, emptySince: 0))
    for item in items { _ = lane.add(item, wasDeferred: item.kind == .deferred) }
    return lane
}

extension Lane {
    fileprivate mutating func startAll(now: UInt64 = 1) -> [Int] {
        var slots: [Int] = []
        while case .start(let item) = next(now: now) { slots.append(Int(item.slot)) }
        return slots
    }
}

@Suite struct LaneTests {
    @Test func retriesGoFirstThenNewAndDeferredOnesInTurn() {
        var lane = lane(
            item(1), item(2), item(3, .deferred), item(4, .deferred), item(5, .retry, attempts: 1), item(6, .deferred))
        for _ in 0..<8 { lane.finished(slot: 99, kind: .fresh, .success, now: 1) }
        #expect(lane.startAll() == [5, 3, 1, 4, 2, 6])
    }

    @Test func concurrencyStartsAtTwoGrowsToSixteenAndHalvesOnOverload() {
        var lane = lane()
        for slot in 0..<100 { _ = lane.add(item(slot, .deferred), wasDeferred: true) }
        #expect(lane.startAll() == [0, 1])
        lane.finished(slot: 0, kind: .fresh, .success, now: 1)
        #expect(lane.startAll().count == 2, "one place is free again and one more is allowed")
        for _ in 0..<40 {
            lane.finished(slot: 0, kind: .fresh, .success, now: 1)
            _ = lane.startAll()
        }
        #expect(lane.concurrency == 16)
        lane.finished(slot: 0, kind: .fresh, .overload, now: 1)
        #expect(lane.concurrency == 8)
        lane.finished(slot: 0, kind: .fresh, .failure, now: 1)
        lane.finished(slot: 0, kind: .fresh, .void, now: 1)
        #expect(lane.concurrency == 8)
        for _ in 0..<5 { lane.finished(slot: 0, kind: .fresh, .overload, now: 1) }
        #expect(lane.concurrency == 1, "one attempt at a time is always allowed")
    }

    /// Offered far more than its rate for 30 s: 100/s ± 5 %, never more than 110 in any second.
    @Test func bucketHoldsTheDocumentedRate() {
        var lane = lane(perSecond: 100)
        var sent: [UInt64] = []
        var now: UInt64 = 0
        var slot = 0
        while now < 30 * second {
            while lane.waiting < 50 {
                _ = lane.add(item(slot, since: now), wasDeferred: false)
                slot += 1
            }
            switch lane.next(now: now) {
            case .start(let item):
                sent.append(now)
                lane.finished(slot: item.slot, kind: item.kind, .success, now: now)
            case .wait(let until): now = max(until, now + millisecond)
            default: now += millisecond
            }
        }
        #expect((2850...3150).contains(sent.count))
        for (index, start) in sent.enumerated() {
            #expect(sent[index...].prefix { $0 < start + second }.count <= 110)
        }
    }

    @Test func newOwnerBeginsWithAnEmptyBucketAndAnIdleOneFillsToItsBurst() {
        var bucket = TokenBucket(perSecond: 100, burst: 5, emptySince: second)
        #expect(bucket.nextToken(now: second) == second + 10 * millisecond)
        let later = 5 * second
        for _ in 0..<5 {
            #expect(bucket.nextToken(now: later) <= later)
            bucket.take(now: later)
        }
        #expect(bucket.nextToken(now: later) == later + 10 * millisecond)
    }

    @Test func whatCannotStartWithinASecondIsDeferredAndWhatComesFromThereIsNot() {
        var lane = lane(item(1), item(2), item(3, since: 5), item(4, .deferred))
        #expect(lane.startAll() == [4, 1])
        #expect(lane.next(now: second - 1) == .wait(until: second), "two under way and none to spare")
        #expect(lane.next(now: second) == .defer(item(2)))
        #expect(lane.next(now: second) == .wait(until: second + 5))
        _ = lane.add(item(5, .deferred), wasDeferred: true)
        #expect(lane.next(now: second + 5) == .defer(item(3, since: 5)))
        #expect(lane.next(now: 60 * second) == .nothing, "the deferred one waits as long as it takes")
    }

    @Test func shareIsBoundedInRecordsAndBytes() {
        var lane = lane()
        for slot in 0..<Lane.maxWaiting {
            let isTaken = lane.add(item(slot), wasDeferred: false)
            #expect(isTaken)
        }
        let fits = lane.add(item(64), wasDeferred: false)
        #expect(!fits)
        let isTaken = lane.add(item(65, .deferred), wasDeferred: true)
        #expect(isTaken, "what was deferred is never sent there again")
        #expect(lane.startAll().count == 2)
        let fitsAgain = lane.add(item(66), wasDeferred: false)
        #expect(fitsAgain)

        var heavy = Lane(bucket: TokenBucket(perSecond: 0, burst: 5, emptySince: 0))
        var answers: [Bool] = []
        for slot in 0..<6 { answers.append(heavy.add(item(slot, bytes: 1 << 20), wasDeferred: false)) }
        #expect(answers == [true, true, true, true, false, false], "a quarter of the partition's 16 MiB")
        var huge = Lane(bucket: TokenBucket(perSecond: 0, burst: 5, emptySince: 0))
        let single = huge.add(item(1, bytes: 8 << 20), wasDeferred: false)
        #expect(single, "one record always fits")
    }

    @Test func fullLaneThatMovesIsToldFromOneThatStands() {
        var lane = lane()
        for slot in 0..<70 { _ = lane.add(item(slot), wasDeferred: false) }
        #expect(lane.isFullButFlowing(now: millisecond), "it filled a moment ago")
        #expect(!lane.isFullButFlowing(now: 100 * millisecond), "nothing has moved since")
        #expect(lane.startAll() == [0, 1])
        lane.finished(slot: 0, kind: .fresh, .success, now: second)
        for slot in 70..<74 { _ = lane.add(item(slot), wasDeferred: false) }
        #expect(lane.isFullButFlowing(now: second + millisecond))
        #expect(!lane.isFullButFlowing(now: second + 100 * millisecond), "it stands")
        lane.finished(slot: 1, kind: .fresh, .success, took: 300 * millisecond, now: second)
        #expect(!lane.isFullButFlowing(now: second + millisecond), "whoever answers slowly is not waited for")
    }

    /// A hanging endpoint's lane is emptied after a second and fills again: that is no reason to wait for it.
    @Test func laneOfAnEndpointThatHangsIsNotWaitedFor() {
        var lane = lane(item(1), item(2))
        #expect(lane.startAll() == [1, 2])
        for slot in 3..<70 { _ = lane.add(item(slot, since: second), wasDeferred: false) }
        #expect(!lane.isFullButFlowing(now: second + millisecond))
    }

    @Test func whatWeCouldNotStartWaitsAMomentAndGoesAgain() {
        var lane = lane(item(1))
        #expect(lane.next(now: 1) == .start(item(1)))
        lane.cancelled(item(1), now: 1)
        #expect(lane.inFlight == 0)
        #expect(lane.next(now: 1) == .wait(until: 100 * millisecond + 1))
        #expect(lane.next(now: 100 * millisecond + 1) == .start(item(1)))
    }

    @Test func testsPassTheRateAndTheCircuitAndCountNowhere() {
        var lane = openLane()
        let before = (lane.circuit.failuresInRow, lane.concurrency)
        for slot in 0..<6 { _ = lane.add(item(slot, .test), wasDeferred: false) }
        #expect(lane.startAll(now: 20 * second) == [0, 1, 2, 3], "four at a time")
        #expect(lane.inFlight == 0)
        lane.finished(slot: 0, kind: .test, .overload, now: 20 * second)
        lane.finished(slot: 1, kind: .test, .success, now: 20 * second)
        #expect(lane.circuit.isOpen && before == (lane.circuit.failuresInRow, lane.concurrency))
        #expect(lane.startAll(now: 20 * second) == [4, 5])
    }

    @Test func firstDeliveryAfterActivationGoesAlone() {
        var lane = openLane()
        lane.activated()
        #expect(!lane.circuit.isOpen)
        for slot in 0..<5 { _ = lane.add(item(slot, since: 20 * second), wasDeferred: false) }
        #expect(lane.startAll(now: 20 * second) == [0])
        lane.finished(slot: 0, kind: .fresh, .success, now: 20 * second)
        #expect(lane.startAll(now: 20 * second) == [1, 2])
    }

    @Test func takingOutEmptiesTheLane() {
        var lane = lane(item(1), item(2, .retry), item(3, .deferred), item(4, .test))
        var slots: Set<Int32> = []
        while let item = lane.takeOut() { slots.insert(item.slot) }
        #expect(slots == [1, 2, 3, 4] && lane.isIdle)
    }
}

/// A lane whose circuit opened at 10 s.
private func openLane() -> Lane {
    var lane = lane()
    for number in 0..<10 {
        _ = lane.add(item(number, since: UInt64(number) * second), wasDeferred: false)
        guard case .start(let item) = lane.next(now: UInt64(number) * second) else { return lane }
        lane.finished(slot: item.slot, kind: item.kind, .failure, now: UInt64(number) * second)
    }
    _ = lane.add(item(10, since: 10 * second), wasDeferred: false)
    if case .start(let item) = lane.next(now: 10 * second) {
        lane.finished(slot: item.slot, kind: item.kind, .failure, now: 10 * second)
    }
    return lane
}

@Suite struct CircuitTests {
    @Test(arguments: [(9, 60, false), (10, 9, false), (10, 10, true), (200, 9, false), (200, 11, true)])
    func opensAfterTenFailuresInARowThatSpanTenSeconds(failures: Int, seconds: Int, opens: Bool) {
        var circuit = Circuit()
        for number in 0..<failures {
            circuit.failed(now: second + UInt64(number) * UInt64(seconds) * second / UInt64(failures - 1))
        }
        #expect(circuit.isOpen == opens)
    }

    @Test func successInBetweenBeginsTheCountAnew() {
        var circuit = Circuit()
        for number in 0..<30 {
            circuit.failed(now: UInt64(number) * second)
            if number % 9 == 8 { circuit.succeeded() }
        }
        #expect(!circuit.isOpen)
    }

    @Test func openCircuitParksAllButTheRecordWithTheMostAttempts() {
        var lane = openLane()
        let now = 11 * second
        for (slot, attempts) in [(20, 0), (21, 3), (22, 1), (23, 3)] {
            let kind: Lane.Item.Kind = attempts > 0 ? .retry : .deferred
            _ = lane.add(item(slot, kind, attempts: attempts, since: now), wasDeferred: kind == .deferred)
        }
        var parked: [Int32] = []
        var step = lane.next(now: now)
        while case .park(let item) = step {
            parked.append(item.slot)
            step = lane.next(now: now)
        }
        #expect(parked.sorted() == [20, 22, 23], "the first of the two with three attempts stays")
        #expect(step == .wait(until: 15 * second), "five seconds after it opened")
        let probe = item(21, .retry, attempts: 3, since: now)
        #expect(lane.next(now: 15 * second) == .start(probe))

        _ = lane.add(item(24, since: 15 * second), wasDeferred: false)
        #expect(lane.next(now: 21 * second) == .nothing, "one probe at a time, and the next record waits for its end")
        lane.finished(slot: 21, kind: .retry, .overload, now: 21 * second)
        #expect(lane.next(now: 21 * second) == .start(item(24, since: 15 * second)))
        lane.finished(slot: 24, kind: .fresh, .failure, now: 21 * second)
        _ = lane.add(item(25, since: 22 * second), wasDeferred: false)
        #expect(lane.next(now: 22 * second) == .wait(until: 26 * second), "five seconds from start to start")
    }

    @Test func successOfTheProbeClosesItAndTheWaitingRecordGoesNext() {
        var lane = openLane()
        _ = lane.add(item(20, since: 11 * second), wasDeferred: false)
        #expect(lane.next(now: 15 * second) == .start(item(20, since: 11 * second)))
        _ = lane.add(item(21, since: 15 * second), wasDeferred: false)
        #expect(lane.next(now: 15 * second) == .nothing)
        lane.finished(slot: 20, kind: .fresh, .success, now: 16 * second)
        #expect(!lane.circuit.isOpen)
        #expect(lane.next(now: 16 * second) == .start(item(21, since: 15 * second)))
    }

    @Test func endpointWithFewEventsGetsEachOfThemAtOnce() {
        var lane = openLane()
        for number in UInt64(1)...20 {
            let now = 10 * second + number * 60 * second
            _ = lane.add(item(Int(number), since: now), wasDeferred: false)
            guard case .start(let started) = lane.next(now: now) else { return #expect(Bool(false), "it waits") }
            lane.finished(slot: started.slot, kind: started.kind, .failure, now: now + second)
        }
    }
}

@Suite struct DeferredShareTests {
    @Test func othersAreThoseThisOwnerWroteAndAfterAMoveThoseItFound() {
        var share = DeferredShare(now: 0)
        var holder = DeferredShare.Backlog()
        var other = DeferredShare.Backlog()
        #expect(share.othersWait(behind: holder, next: 0), "nothing is known yet")
        share.wrote(&other)
        share.began(logEnd: 10)
        other = DeferredShare.Backlog()
        #expect(share.othersWait(behind: holder, next: 9))
        #expect(!share.othersWait(behind: holder, next: 10), "all that was found is read")
        share.wrote(&holder)
        #expect(!share.othersWait(behind: holder, next: 10), "alone it waits behind nobody")
        share.wrote(&other)
        #expect(share.othersWait(behind: holder, next: 10))
        share.read(9, &other)
        #expect(other.count == 1, "an older record is not the one that was counted")
        share.read(11, &other)
        #expect(!share.othersWait(behind: holder, next: 12) && share.outside == 1)
    }

    @Test func noSecondSeesMoreThanFiveHundredRotations() {
        var share = DeferredShare(now: 0)
        var at: [UInt64] = []
        var now: UInt64 = second
        while now < 4 * second {
            if let until = share.rotate(now: now) { now = until } else { at.append(now) }
        }
        for (index, start) in at.enumerated() {
            #expect(at[index...].prefix { $0 < start + second }.count <= DeferredShare.rotationsPerSecond)
        }
        #expect(at.count > 1400)
    }

    @Test func ageCountsFromTheFirstDeferral() {
        let first = Timestamp(milliseconds: 1000)
        #expect(!DeferredShare.isTooOld(deferredAt: first, now: first.adding(milliseconds: 60), limitMilliseconds: 60))
        #expect(DeferredShare.isTooOld(deferredAt: first, now: first.adding(milliseconds: 61), limitMilliseconds: 60))
    }
}

@Suite struct LaneHealthTests {
    @Test(
        arguments: [
            (true, false, 0, false, false, false, nil, LaneState.healthy),
            (false, true, 9, true, true, true, 9, .disabled),
            (true, true, 0, false, false, false, 1, .failing),
            (true, false, 3, false, false, false, 1, .failing),
            (true, false, 2, false, false, false, 1, .healthy),
            (true, false, 0, true, true, true, 1, .limited),
            (true, false, 0, false, true, false, 1, .healthy),
            (true, false, 0, true, false, true, 1, .slow),
            (true, false, 0, false, false, false, 1000, .slow),
        ] as [(Bool, Bool, Int, Bool, Bool, Bool, UInt32?, LaneState)])
    func oneWordForWhyItWaits(
        active: Bool, open: Bool, failures: Int, behind: Bool, limited: Bool, saturated: Bool, median: UInt32?,
        state: LaneState
    ) {
        #expect(
            LaneState.judge(
                isActive: active, isCircuitOpen: open, failuresInRow: failures, isBehind: behind, isLimited: limited,
                isSaturated: saturated, medianMilliseconds: median) == state)
    }

    @Test func percentilesAreOfTheLatestAnswers() {
        var latencies = RecentLatencies()
        #expect(latencies.p50 == nil)
        latencies.add(milliseconds: 7)
        #expect(latencies.p50 == 7 && latencies.p99 == 7)
        for _ in 0..<211 { latencies.add(milliseconds: 500) }
        #expect(latencies.p50 == 500)
        for value in 1...128 { latencies.add(milliseconds: value) }
        #expect(latencies.p50 == 96 && latencies.p99 == 128)
    }
}
