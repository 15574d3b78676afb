// The engine's other pure parts, without sockets: the pool in a random walk, the wheel, the DNS cache, endpoints.
import Core
import HTTPEngine
import Testing

@Suite struct ConnectionPoolTests {
    private static func key(_ number: Int) -> PoolKey {
        PoolKey(host: "h\(number)", port: 443, isTLS: true, address: IPAddress(v4: UInt32(number)))
    }
    private static func limits(total: Int, perKey: Int) -> ConnectionPool.Limits {
        var limits = ConnectionPool.Limits()
        limits.total = total
        limits.perKey = perKey
        return limits
    }
    private static let second: UInt64 = 1_000_000_000

    @Test func reusesTheNewestIdleConnection() {
        var pool = ConnectionPool(limits: Self.limits(total: 10, perKey: 10))
        #expect(pool.acquire(Self.key(1), attempt: 0, now: 0) == .open(slot: 0, evicted: nil))
        #expect(pool.acquire(Self.key(1), attempt: 1, now: 0) == .open(slot: 1, evicted: nil))
        #expect(pool.release(0, now: 1, idleLimit: nil) == .idle)
        #expect(pool.release(1, now: 2, idleLimit: nil) == .idle)
        #expect(pool.acquire(Self.key(1), attempt: 2, now: 3) == .reuse(slot: 1))
        #expect(pool.acquire(Self.key(1), attempt: 3, now: 3) == .reuse(slot: 0))
    }

    @Test func keepsKeysApart() {
        var pool = ConnectionPool(limits: Self.limits(total: 10, perKey: 10))
        _ = pool.acquire(Self.key(1), attempt: 0, now: 0)
        _ = pool.release(0, now: 0, idleLimit: nil)
        #expect(pool.acquire(Self.key(2), attempt: 1, now: 0) == .open(slot: 1, evicted: nil))
        let sameName = PoolKey(host: "h1", port: 443, isTLS: true, address: IPAddress(v4: 99))
        #expect(!pool.hasIdle(sameName) && pool.hasIdle(Self.key(1)))
    }

    @Test func doesNotReuseWhatIsStaleOldOrShortOfItsPromise() {
        var pool = ConnectionPool(limits: Self.limits(total: 1, perKey: 1))
        _ = pool.acquire(Self.key(1), attempt: 0, now: 0)
        #expect(pool.release(0, now: 0, idleLimit: nil) == .idle)
        #expect(pool.acquire(Self.key(1), attempt: 1, now: 15 * Self.second) == .open(slot: 0, evicted: 0))
        #expect(pool.release(0, now: 20 * Self.second, idleLimit: 4 * Self.second) == .idle)
        #expect(pool.acquire(Self.key(1), attempt: 2, now: 24 * Self.second) == .open(slot: 0, evicted: 0))
        #expect(pool.release(0, now: 400 * Self.second, idleLimit: nil) == .close)
        #expect(pool.closed(0, now: 400 * Self.second) == nil)
        #expect(pool.open == 0)
    }

    @Test func expiresTheIdleOnes() {
        var pool = ConnectionPool(limits: Self.limits(total: 10, perKey: 10))
        for number in 0..<3 { _ = pool.acquire(Self.key(number), attempt: number, now: 0) }
        for number in 0..<3 { _ = pool.release(number, now: UInt64(number) * Self.second, idleLimit: nil) }
        #expect(pool.nextExpiry == 15 * Self.second)
        #expect(pool.takeExpired(now: 15 * Self.second - 1) == nil)
        #expect(pool.takeExpired(now: 16 * Self.second) == 0)
        #expect(pool.takeExpired(now: 16 * Self.second) == 1)
        #expect(pool.takeExpired(now: 16 * Self.second) == nil)
        #expect(pool.open == 1 && pool.idle == 1)
    }

    @Test func givesUpTheOneIdleLongest() {
        var pool = ConnectionPool(limits: Self.limits(total: 10, perKey: 10))
        for number in 0..<2 { _ = pool.acquire(Self.key(number), attempt: number, now: 0) }
        #expect(pool.takeOldestIdle() == nil)
        _ = pool.release(1, now: 1, idleLimit: nil)
        _ = pool.release(0, now: 2, idleLimit: nil)
        #expect(pool.takeOldestIdle() == 1)
        #expect(pool.open == 1 && pool.idle == 1)
    }

    @Test func waitsAtALimitAndIsServedInOrder() {
        var pool = ConnectionPool(limits: Self.limits(total: 2, perKey: 1))
        #expect(pool.acquire(Self.key(1), attempt: 10, now: 0) == .open(slot: 0, evicted: nil))
        #expect(pool.acquire(Self.key(1), attempt: 11, now: 0) == .wait)
        #expect(pool.acquire(Self.key(2), attempt: 20, now: 0) == .open(slot: 1, evicted: nil))
        #expect(pool.acquire(Self.key(3), attempt: 30, now: 0) == .wait)
        #expect(pool.release(0, now: 0, idleLimit: nil) == .handOver(attempt: 11))
        #expect(pool.release(1, now: 0, idleLimit: nil) == .close)
        #expect(pool.closed(1, now: 0) == .init(attempt: 30, slot: 1))
    }

    @Test func ownersOfOneKeyAreServedInTurn() {
        var pool = ConnectionPool(limits: Self.limits(total: 10, perKey: 1))
        #expect(pool.acquire(Self.key(1), attempt: 0, owner: 1, now: 0) == .open(slot: 0, evicted: nil))
        // Ten of one webhook, then one each of two others.
        for attempt in 1...10 {
            #expect(pool.acquire(Self.key(1), attempt: attempt, owner: 1, now: 0) == .wait)
        }
        #expect(pool.acquire(Self.key(1), attempt: 20, owner: 2, now: 0) == .wait)
        #expect(pool.acquire(Self.key(1), attempt: 30, owner: 3, now: 0) == .wait)
        for next in [1, 20, 30, 2, 3] { #expect(pool.release(0, now: 0, idleLimit: nil) == .handOver(attempt: next)) }
        // One that gives up and asks again has its turn where it had it.
        #expect(pool.acquire(Self.key(1), attempt: 21, owner: 2, now: 0) == .wait)
        #expect(pool.acquire(Self.key(1), attempt: 31, owner: 3, now: 0) == .wait)
        pool.cancelWaiting(21, owner: 2, key: Self.key(1))
        #expect(pool.acquire(Self.key(1), attempt: 22, owner: 2, now: 0) == .wait)
        // And one that does not come back is passed over.
        pool.cancelWaiting(31, owner: 3, key: Self.key(1))
        for next in [4, 22, 5] { #expect(pool.closed(0, now: 0) == .init(attempt: next, slot: 0)) }
        for attempt in 6...10 { pool.cancelWaiting(attempt, owner: 1, key: Self.key(1)) }
        #expect(pool.closed(0, now: 0) == nil && pool.open == 0)
    }

    /// Ten thousand random events; the pool is never over a limit, never lends a connection twice, strands nobody.
    @Test func walk() {
        var generator = SystemRandomNumberGenerator()
        var pool = ConnectionPool(limits: Self.limits(total: 7, perKey: 3))
        var busy: [Int: Int] = [:]  // slot → key
        var idle: Set<Int> = []
        var waiting: [Int: Int] = [:]  // attempt → key
        func owner(_ attempt: Int) -> UInt { UInt(attempt % 4) }
        var keyOfSlot: [Int: Int] = [:]
        var attempt = 0
        var now: UInt64 = 0

        func lend(_ slot: Int, _ key: Int) {
            #expect(busy[slot] == nil)
            busy[slot] = key
            keyOfSlot[slot] = key
            idle.remove(slot)
        }
        func close(_ slot: Int) {
            busy[slot] = nil
            idle.remove(slot)
            guard let next = pool.closed(slot, now: now) else { return }
            guard let key = waiting.removeValue(forKey: next.attempt) else {
                Issue.record("a connection for an attempt that does not wait")
                return
            }
            lend(next.slot, key)
        }
        for _ in 0..<10_000 {
            now += UInt64.random(in: 0...Self.second / 2, using: &generator)
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<4:
                let key = Int.random(in: 0..<5, using: &generator)
                attempt += 1
                switch pool.acquire(Self.key(key), attempt: attempt, owner: owner(attempt), now: now) {
                case .reuse(let slot):
                    #expect(idle.contains(slot) && keyOfSlot[slot] == key)
                    lend(slot, key)
                case .open(let slot, let evicted):
                    if let evicted {
                        #expect(idle.contains(evicted))
                        idle.remove(evicted)
                    }
                    lend(slot, key)
                case .wait: waiting[attempt] = key
                }
            case 4..<8:
                guard let slot = busy.keys.randomElement(using: &generator), let key = busy[slot] else { continue }
                busy[slot] = nil
                switch pool.release(slot, now: now, idleLimit: Bool.random(using: &generator) ? nil : Self.second) {
                case .idle: idle.insert(slot)
                case .handOver(let next):
                    #expect(waiting.removeValue(forKey: next) == key)
                    lend(slot, key)
                case .close: close(slot)
                }
            case 8:
                guard let slot = (Array(busy.keys) + Array(idle)).randomElement(using: &generator) else { continue }
                close(slot)
            default:
                if let gone = waiting.keys.randomElement(using: &generator), let key = waiting.removeValue(forKey: gone)
                {
                    pool.cancelWaiting(gone, owner: owner(gone), key: Self.key(key))
                }
                while let slot = pool.takeExpired(now: now) { #expect(idle.remove(slot) != nil) }
            }
            #expect(pool.open == busy.count + idle.count && pool.idle == idle.count && pool.open <= 7)
            for key in 0..<5 { #expect(busy.values.count { $0 == key } + idle.count { keyOfSlot[$0] == key } <= 3) }
            // Who waits does so because of a limit, which only busy connections can hold up.
            for key in waiting.values { #expect(busy.count == 7 || busy.values.count { $0 == key } == 3) }
        }
        while let slot = busy.keys.first { close(slot) }
        #expect(waiting.isEmpty)
    }
}

@Suite struct TimerWheelTests {
    @Test func firesEachOnceNeverEarlyAndSoon() {
        var generator = SystemRandomNumberGenerator()
        var now: UInt64 = 123_456_789_012
        var wheel = TimerWheel(now: now)
        var deadlines: [Int: UInt64] = [:]
        for step in 0..<5000 {
            let id = Int.random(in: 0..<200, using: &generator)
            if step % 3 == 0 {
                wheel.cancel(id)
                deadlines[id] = nil
            } else {
                let deadline = now + UInt64.random(in: 0...20_000_000_000, using: &generator)
                wheel.set(id, at: deadline)
                deadlines[id] = deadline
            }
            #expect(wheel.count == deadlines.count)
            if let look = wheel.nextLook(), let first = deadlines.values.min() {
                #expect(look <= max(first, now) + 4_000_000)
            }
            now += UInt64.random(in: 0...(step % 50 == 0 ? 9_000_000_000 : 20_000_000), using: &generator)
            var due: [Int] = []
            wheel.expire(now: now, into: &due)
            for id in due { #expect(deadlines.removeValue(forKey: id).map { $0 <= now } == true) }
            for deadline in deadlines.values { #expect(deadline + 4_000_000 > now) }
        }
    }
}

@Suite struct DNSCacheTests {
    private static let second: UInt64 = 1_000_000_000
    private static let found = Resolution.addresses([IPAddress(v4: 1)])

    @Test(arguments: [(0, 1), (30, 30), (86_400, 60)]) func boundsTheTimeToLive(_ told: Int, _ kept: Int) {
        var cache = DNSCache()
        cache.keep(Self.found, for: "a", seconds: told, now: 0)
        #expect(cache.find("a", now: UInt64(kept) * Self.second - 1) == Self.found)
        #expect(cache.find("a", now: UInt64(kept) * Self.second) == nil)
    }

    @Test func keepsOnlyTheCertainFailure() {
        var cache = DNSCache()
        cache.keep(.failed(.dnsNotFound), for: "a", seconds: 0, now: 0)
        cache.keep(.failed(.dnsTimeout), for: "b", seconds: 0, now: 0)
        #expect(cache.find("a", now: 5 * Self.second - 1) == .failed(.dnsNotFound))
        #expect(cache.find("a", now: 5 * Self.second) == nil)
        #expect(cache.find("b", now: 0) == nil)
    }

    @Test func isBounded() {
        var cache = DNSCache()
        for number in 0..<25_000 { cache.keep(Self.found, for: "h\(number)", seconds: 60, now: 0) }
        #expect(cache.find("h24999", now: 0) == Self.found)
        #expect(cache.find("h0", now: 0) == nil)
    }
}

@Suite struct AddressRaceTests {
    private static func v4(_ number: Int) -> IPAddress { IPAddress(v4: UInt32(number)) }
    private static func v6(_ number: Int) -> IPAddress { IPAddress(high: 0x2a00 << 48, low: UInt64(number)) }
    private static let delay = AddressRace.delayNanoseconds

    @Test func alternatesTheFamilies() {
        #expect(
            AddressRace.interleaved(v6: [Self.v6(1), Self.v6(2), Self.v6(3)], v4: [Self.v4(1)])
                == [Self.v6(1), Self.v4(1), Self.v6(2), Self.v6(3)])
        #expect(AddressRace.interleaved(v6: [], v4: [Self.v4(1), Self.v4(2)]) == [Self.v4(1), Self.v4(2)])
    }

    @Test func startsTheNextAfterTheDelayOrAtOnceAfterAFailure() {
        var race = AddressRace([Self.v6(1), Self.v4(1), Self.v6(2)])
        race.began(Self.v6(1), now: 0)
        #expect(race.nextStart == Self.delay && race.next(now: Self.delay - 1) == nil)
        #expect(race.next(now: Self.delay) == Self.v4(1))
        race.failed(now: Self.delay + 5)
        #expect(race.next(now: Self.delay + 5) == Self.v6(2))
        #expect(race.nextStart == nil && race.next(now: .max) == nil)
    }

    /// The first one may be any of them: an idle connection was hoped for there.
    @Test func walk() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let addresses = (0..<Int.random(in: 1...20, using: &generator)).map(Self.v4)
            var race = AddressRace(addresses)
            var now: UInt64 = 0
            var begun = [race.candidates.randomElement(using: &generator)!]
            race.began(begun[0], now: now)
            while let due = race.nextStart {
                if Bool.random(using: &generator) { race.failed(now: now) } else { now = max(now, due) }
                guard let next = race.next(now: now) else { continue }
                begun.append(next)
            }
            #expect(Set(begun) == Set(addresses.prefix(AddressRace.maximumCandidates)))
            #expect(begun.count == min(addresses.count, AddressRace.maximumCandidates))
        }
    }
}

@Suite struct NameLookupTests {
    private static let v4 = NameLookup.Half.addresses([IPAddress(v4: 1)], seconds: 30)
    private static let v6 = NameLookup.Half.addresses([IPAddress(high: 0x2a00 << 48, low: 1)], seconds: 20)
    private static let both = Resolution.addresses([IPAddress(high: 0x2a00 << 48, low: 1), IPAddress(v4: 1)])

    @Test func answersWhenBothAreThere() {
        var lookup = NameLookup()
        #expect(lookup.finished(isV6: false, Self.v4, now: 0) == nil && !lookup.isComplete)
        let answer = lookup.finished(isV6: true, Self.v6, now: 1)
        #expect(answer == .init(resolution: Self.both, seconds: 20) && lookup.isComplete)
        #expect(lookup.answerDue == nil)
    }

    @Test func givesTheOtherFamilyAMoment() {
        var lookup = NameLookup()
        _ = lookup.finished(isV6: false, Self.v4, now: 100)
        let due = 100 + NameLookup.graceNanoseconds
        #expect(lookup.answerDue == due && lookup.takeDue(now: due - 1) == nil)
        let early = lookup.takeDue(now: due)
        #expect(early == .init(resolution: .addresses([IPAddress(v4: 1)]), seconds: 30))
        #expect(lookup.takeDue(now: due) == nil && lookup.known == early)
        #expect(lookup.finished(isV6: true, Self.v6, now: due + 1)?.resolution == Self.both)
    }

    @Test func aFailedHalfIsNoAnswerYet() {
        var lookup = NameLookup()
        #expect(lookup.finished(isV6: true, .failed(.dnsTimeout), now: 0) == nil)
        #expect(lookup.answerDue == nil && lookup.known == nil)
        #expect(lookup.finished(isV6: false, Self.v4, now: 0)?.seconds == 30)
    }

    @Test(arguments: [
        (AttemptFailure.dnsNotFound, AttemptFailure.dnsNotFound, AttemptFailure.dnsNotFound),
        (.dnsNotFound, .dnsFailed, .dnsFailed), (.dnsTimeout, .dnsNotFound, .dnsTimeout),
    ])
    func isCertainOnlyWhenBothAre(_ first: AttemptFailure, _ second: AttemptFailure, _ expected: AttemptFailure) {
        var lookup = NameLookup()
        _ = lookup.finished(isV6: true, .failed(first), now: 0)
        #expect(lookup.finished(isV6: false, .failed(second), now: 0)?.resolution == .failed(expected))
    }
}
