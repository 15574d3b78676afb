// A random walk over everything the delivery stage decides with: lanes, circuits, the window, the deferred topic, rotation
// and the ledgers of one shard, against invariants that no order of events may break. A small shell performs the
// decisions, as the stage does, on logs that are arrays.
//
// 60,000 steps in a test run; WALK_STEPS=1000000 for a long one.
import Core
import Glibc
import Testing

struct Walk {
    /// A record of one of the two logs.
    struct Entry {
        let event: Int
        let webhook: Int
        var attempts = 0
        var parks = 0
        var deferrals = 0
        var deferredAt: UInt64?
    }

    struct Held {
        var entry: Entry
        let item: Lane.Item
        let isDeferred: Bool
        let offset: Int64
    }

    struct Webhook {
        var lane: Lane
        var backlog = DeferredShare.Backlog()
        var startedAt: [UInt64] = []
        var probes: [UInt64] = []
        /// How its endpoint answers: successes in a hundred, and nanoseconds.
        var successes: Int
        var answerNanoseconds: UInt64
    }

    var random: SeededGenerator
    var now: UInt64 = 1_000_000_000
    var webhooks: [Webhook] = []
    var deliveries: [Entry] = []
    var deferred: [Entry] = []
    var ledgers = [Ledger(), Ledger()]
    var read = [0, 0]
    var share = DeferredShare(now: 0)
    /// What was on `deferred` when its first record was read.
    var found = 0
    var held: [Held?] = []
    var free: [Int] = []
    var underway: [(slot: Int, at: UInt64, isSuccess: Bool, isOverload: Bool)] = []
    var retries: [(entry: Entry, at: UInt64)] = []
    /// Effects that the broker has not acknowledged: log and offset.
    var unacknowledged: [(log: Int, offset: Int64)] = []
    var delivered: [Int: Int] = [:]
    var given: Int = 0
    var rotations: [UInt64] = []
    var faults: [String] = []
    var counts = (starts: 0, defers: 0, parks: 0, probes: 0, rotations: 0, commits: Int64(0))

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        for _ in 0..<6 {
            let bucket = TokenBucket(perSecond: 100, burst: 5, emptySince: now)
            webhooks.append(Webhook(lane: Lane(bucket: bucket), successes: 100, answerNanoseconds: 2_000_000))
        }
    }

    mutating func check(_ isTrue: Bool, _ what: @autoclosure () -> String) {
        if !isTrue, faults.count < 10 { faults.append(what()) }
    }

    mutating func step() {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<35: produce()
        case 35..<70: readSome(Int.random(in: 0...1, using: &random))
        case 70..<80: acknowledge()
        case 80: changeAnEndpoint()
        default: advance()
        }
        serve()
    }

    private mutating func produce() {
        // One of them gets most of the events.
        let webhook = Int.random(in: 0..<3, using: &random) > 0 ? 0 : Int.random(in: 0..<webhooks.count, using: &random)
        deliveries.append(Entry(event: given, webhook: webhook))
        given += 1
    }

    private mutating func changeAnEndpoint() {
        let webhook = Int.random(in: 0..<webhooks.count, using: &random)
        webhooks[webhook].successes = [100, 100, 90, 0, 0].randomElement(using: &random)!
        webhooks[webhook].answerNanoseconds = [1_000_000, 20_000_000, 800_000_000, 5_000_000_000].randomElement(
            using: &random)!
        if Int.random(in: 0..<20, using: &random) == 0 { webhooks[webhook].lane.activated() }
    }

    private mutating func advance() {
        now += UInt64.random(in: 100_000...40_000_000, using: &random)
        while let next = retries.first, next.at <= now {
            deliveries.append(next.entry)
            retries.removeFirst()
        }
        var index = 0
        while index < underway.count {
            guard underway[index].at <= now else {
                index += 1
                continue
            }
            finish(underway.remove(at: index))
        }
    }

    // MARK: The shell

    private mutating func readSome(_ log: Int) {
        for _ in 0..<Int.random(in: 1...40, using: &random) {
            guard read[log] < (log == 0 ? deliveries.count : deferred.count),
                WindowLimits().room(unfinished: ledgers[log].unfinished, bytes: 0, processBytes: 0) > 0
            else { return }
            let offset = Int64(read[log])
            let entry = log == 0 ? deliveries[read[log]] : deferred[read[log]]
            read[log] += 1
            let isNew = ledgers[log].open(offset)
            check(isNew, "an offset was read twice")
            if log == 1 {
                if !share.hasBegun { begin() }
                share.read(offset, &webhooks[entry.webhook].backlog)
            }
            let kind: Lane.Item.Kind = log == 1 ? .deferred : entry.attempts + entry.parks > 0 ? .retry : .fresh
            let slot = free.popLast() ?? held.count
            let item = Lane.Item(slot: slot, kind: kind, attempts: entry.attempts, bytes: 100, since: now)
            let record = Held(entry: entry, item: item, isDeferred: log == 1, offset: offset)
            guard webhooks[entry.webhook].lane.add(item, wasDeferred: log == 1) else {
                check(log == 0, "a deferred record was refused")
                free.append(slot)
                putOff(record)
                continue
            }
            if slot == held.count { held.append(record) } else { held[slot] = record }
        }
    }

    private mutating func begin() {
        found = deferred.count
        share.began(logEnd: Int64(found))
        for number in webhooks.indices { webhooks[number].backlog = DeferredShare.Backlog() }
    }

    private mutating func take(_ slot: Int32) -> Held {
        let record = held[Int(slot)]!
        held[Int(slot)] = nil
        free.append(Int(slot))
        return record
    }

    /// An effect of a record is written; the record is finished when the broker has it.
    private mutating func write(_ record: Held) {
        let log = record.isDeferred ? 1 : 0
        ledgers[log].add(record.offset)
        unacknowledged.append((log, record.offset))
        ledgers[log].settle(record.offset)
    }

    private mutating func putOff(_ record: Held) {
        var entry = record.entry
        entry.deferrals += 1
        entry.deferredAt = entry.deferredAt ?? now
        deferred.append(entry)
        share.wrote(&webhooks[entry.webhook].backlog)
        write(record)
        counts.defers += 1
    }

    private mutating func serve() {
        for number in webhooks.indices {
            steps: while true {
                let wasOpen = webhooks[number].lane.circuit.isOpen
                switch webhooks[number].lane.next(now: now) {
                case .start(let item): start(item, number, wasOpen)
                case .park(let item):
                    var record = take(item.slot)
                    check(wasOpen, "parked although the circuit is closed")
                    let minutes: [UInt64] = [5, 30, 300, 1800, 7200]
                    // A thousandth of the real waits, so that parked records come back within the walk.
                    let wait = minutes[min(record.entry.parks, 4)] * 1_000_000
                    record.entry.parks += 1
                    record.entry.deferrals = 0
                    record.entry.deferredAt = nil
                    putBack(record.entry, at: now + wait)
                    write(record)
                    counts.parks += 1
                case .defer(let item):
                    let record = take(item.slot)
                    check(!record.isDeferred, "a deferred record was deferred for waiting")
                    check(now >= item.since + Lane.patienceNanoseconds, "deferred before its second was over")
                    putOff(record)
                case .wait(let until):
                    check(until > now, "told to wait for the past")
                    break steps
                case .nothing: break steps
                }
            }
        }
        rotate()
        invariants()
    }

    private mutating func start(_ item: Lane.Item, _ number: Int, _ wasOpen: Bool) {
        counts.starts += 1
        webhooks[number].startedAt.append(now)
        if wasOpen {
            if let last = webhooks[number].probes.last {
                check(now >= last + Circuit.probeNanoseconds, "two probes within five seconds")
            }
            webhooks[number].probes.append(now)
            counts.probes += 1
        } else {
            webhooks[number].probes = []
        }
        let starts = webhooks[number].startedAt
        if starts.count > 110 {
            check(now - starts[starts.count - 111] > 1_000_000_000, "more than 110 in a second")
            webhooks[number].startedAt.removeFirst(starts.count - 111)
        }
        let answers = Int.random(in: 0..<100, using: &random) < webhooks[number].successes
        underway.append(
            (Int(item.slot), now + webhooks[number].answerNanoseconds, answers, Bool.random(using: &random)))
    }

    private mutating func finish(_ attempt: (slot: Int, at: UInt64, isSuccess: Bool, isOverload: Bool)) {
        var record = take(Int32(attempt.slot))
        webhooks[record.entry.webhook].lane.finished(
            slot: record.item.slot, kind: record.item.kind,
            attempt.isSuccess ? .success : attempt.isOverload ? .overload : .failure, now: now)
        if attempt.isSuccess {
            delivered[record.entry.event, default: 0] += 1
        } else {
            record.entry.attempts += 1
            record.entry.deferrals = 0
            record.entry.deferredAt = nil
            putBack(record.entry, at: now + UInt64(record.entry.attempts) * 20_000_000)
        }
        write(record)
    }

    private mutating func putBack(_ entry: Entry, at: UInt64) {
        var place = retries.count
        while place > 0, retries[place - 1].at > at { place -= 1 }
        retries.insert((entry, at), at: place)
    }

    private mutating func rotate() {
        guard ledgers[1].unfinished >= WindowLimits().partitionRecords else { return }
        let holder = webhooks.indices.max { webhooks[$0].lane.waitingDeferred < webhooks[$1].lane.waitingDeferred }!
        guard share.othersWait(behind: webhooks[holder].backlog, next: ledgers[1].next) else { return }
        let othersWait = read[1] < found || deferred[read[1]...].contains { $0.webhook != holder }
        while webhooks[holder].lane.waitingDeferred > DeferredShare.kept, share.rotate(now: now) == nil,
            let item = webhooks[holder].lane.takeDeferred(oldest: ledgers[1].span > Ledger.maxSpan / 2)
        {
            check(othersWait, "rotated although nobody waits")
            rotations.append(now)
            let first = held[Int(item.slot)]!.entry.deferredAt
            putOff(take(item.slot))
            check(deferred.last?.deferredAt == first, "rotation made a record younger")
            counts.rotations += 1
        }
        if rotations.count > 500 {
            check(now - rotations[rotations.count - 501] > 1_000_000_000, "more than 500 rotations in a second")
            rotations.removeFirst(rotations.count - 501)
        }
    }

    private mutating func acknowledge() {
        let most = min(60, unacknowledged.count)
        let count = Int.random(in: 0...most, using: &random)
        let done = unacknowledged.prefix(count)
        for effect in done { ledgers[effect.log].settle(effect.offset) }
        unacknowledged.removeFirst(count)
    }

    // MARK: What must hold

    private mutating func invariants() {
        for webhook in webhooks {
            check(webhook.lane.inFlight >= 0 && webhook.lane.inFlight <= Lane.maxConcurrency, "in flight")
            check((1...Lane.maxConcurrency).contains(webhook.lane.concurrency), "concurrency")
            check(webhook.lane.waiting - webhook.lane.waitingDeferred <= Lane.maxWaiting + 1, "a lane's share")
            check(webhook.backlog.count >= 0, "backlog")
        }
        for log in 0...1 {
            check(ledgers[log].unfinished <= WindowLimits().partitionRecords, "the window")
            check(ledgers[log].watermark <= Int64(read[log]), "the watermark")
        }
        check(share.outside == webhooks.reduce(0) { $0 + $1.backlog.count }, "outside is the sum of the backlogs")
        check(share.outside == deferred.count - max(read[1], found), "the owner knows what is on deferred")
    }

    /// Nothing below a watermark is in hand or waits for an acknowledgement.
    mutating func checkWatermarks() {
        for record in held { if let record { check(isAbove(record.offset, record.isDeferred ? 1 : 0), "in hand") } }
        for effect in unacknowledged { check(isAbove(effect.offset, effect.log), "not acknowledged") }
        counts.commits = ledgers[0].watermark
    }

    private func isAbove(_ offset: Int64, _ log: Int) -> Bool { offset >= ledgers[log].watermark }

    /// Every endpoint works again and nothing new comes: all of it has to arrive, once.
    mutating func drain() {
        for number in webhooks.indices {
            webhooks[number].successes = 100
            webhooks[number].answerNanoseconds = 1_000_000
        }
        var turns = 0
        while delivered.count < given, turns < 2_000_000, faults.isEmpty {
            turns += 1
            readSome(turns & 1)
            acknowledge()
            advance()
            serve()
        }
        while !unacknowledged.isEmpty { acknowledge() }
        let missing = given - delivered.count
        check(missing == 0, "\(missing) never arrived")
        check(delivered.values.allSatisfy { $0 == 1 }, "something arrived twice")
    }
}

@Suite struct DeliveryWalkTests {
    @Test func walk() {
        let steps = getenv("WALK_STEPS").flatMap { Int(String(cString: $0)) } ?? 60_000
        let walks = 4
        var total = (starts: 0, defers: 0, parks: 0, probes: 0, rotations: 0)
        for seed in 0..<UInt64(walks) {
            var walk = Walk(seed: seed)
            for number in 0..<steps / walks {
                walk.step()
                if number % 1000 == 0 { walk.checkWatermarks() }
                guard walk.faults.isEmpty else { break }
            }
            walk.drain()
            #expect(walk.faults.isEmpty, "seed \(seed)")
            total.starts += walk.counts.starts
            total.defers += walk.counts.defers
            total.parks += walk.counts.parks
            total.probes += walk.counts.probes
            total.rotations += walk.counts.rotations
        }
        print("walk of \(steps) steps: \(total)")
        #expect(total.probes > 10 && total.parks > 100 && total.rotations > 100 && total.defers > 1000, "not vacuous")
    }
}
