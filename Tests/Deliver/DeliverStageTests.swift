// The delivery stage with real sockets: what each lane may do, and that none hurts another. One member and one join for
// all of it, since a join on the embedded broker takes three seconds.
import Core
import JSON
import Pipeline
import Registry
import Runtime
import Testing

private let second: UInt64 = 1_000_000_000

@Suite(.timeLimit(.minutes(3))) struct DeliverStageTests {
    @Test func everyLaneForItself() throws {
        let world = try DeliverWorld("lanes")
        let limited = world.webhook(1, shard: 0, path: "/limited")
        let hanging = world.webhook(2, shard: 0, path: "/hanging")
        let healthy = world.webhook(3, shard: 0, path: "/healthy")
        let dead = world.webhook(4, shard: 1, path: "/dead")
        world.receiver.script("/hanging") { _ in .init(delayMilliseconds: 30_000) }
        let isAlive = Flag()
        world.receiver.script("/dead") { _ in .init(status: isAlive.isSet ? 200 : 500) }
        let replays = ReplayLink()
        let member = try world.run("lanes", replays: replays)
        #expect(replays.shards == [0, 1])

        world.produce(dead, 1100)
        world.produce(hanging, 150)
        world.produce(limited, 400)
        for batch in 0..<20 {
            world.produce(healthy, 5, first: batch * 5)
            EventFD().wait(milliseconds: 60)
        }
        try settlesWithoutAnAttempt(world)
        try replaysHearOfTheEnds(world, replays)
        try healthyOnesAreNotDisturbed(world, healthy)
        try limitIsExact(world, limited)
        try deadOneIsProbed(world, dead, isAlive)
        world.receiver.stop()
        member.stop()
        #expect(replays.shards.isEmpty)
        try nothingIsDeferredTwice(world, limited, hanging)
    }

    /// Accepted, given up or dropped; not what waits for a retry.
    private func replaysHearOfTheEnds(_ world: DeliverWorld, _ replays: ReplayLink) throws {
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        var webhook = world.webhook(14, shard: 0, path: "/replayed")
        let (running, cancelled) = (ReplayID(high: 5, low: 1), ReplayID(high: 5, low: 2))
        webhook.replays = [cancelled, running].map { id in
            Replay(
                id: id, since: now, until: now, from: now, isDryRun: false, generation: 1, createdAt: now,
                status: id == running ? .running : .cancelled, endedAt: id == running ? nil : now, parts: [])
        }
        world.view.put(webhook)
        world.receiver.script("/replayed") { number in .init(status: number == 0 ? 200 : 500) }
        replays.open(running)
        replays.open(cancelled)
        world.produce(webhook, 1, purpose: .replay, run: running, topic: world.topics.deferred, deferredAt: now)
        try eventually("the one that is accepted") { world.receiver.posts("/replayed").count == 1 }
        world.produce(
            webhook, 1, first: 1, purpose: .replay, run: running, topic: world.topics.deferred, deferredAt: now)
        world.produce(
            webhook, 1, first: 2, attempt: 8, purpose: .replay, run: running, topic: world.topics.deferred,
            deferredAt: now)
        world.produce(
            webhook, 1, first: 3, purpose: .replay, run: cancelled, topic: world.topics.deferred, deferredAt: now)
        world.produce(webhook, 1, first: 4, topic: world.topics.deferred, deferredAt: now)
        func id(_ number: UInt32) -> DeliveryID { DeliveryID(high: webhook.id.hashSeed, low: number) }
        var ended: [ReplayID: Set<DeliveryID>] = [:]
        try eventually("the accepted, the given up and the dropped one are told") {
            for run in [running, cancelled] { ended[run, default: []].formUnion(replays.takeEnded(of: run)) }
            return ended == [running: [id(0), id(2)], cancelled: [id(3)]]
                && world.receiver.posts("/replayed").count == 4
        }
        let retries = try world.dump(world.topics.retries, partitions: 16).filter { $0.headers["run"] != nil }
        #expect(retries.map { $0.headers["delivery-id"] } == [id(1).description], "and keeps its run")
        #expect(retries.map { $0.headers["run"] } == [running.description])
    }

    /// What is judged without a POST, or against the usual rules.
    private func settlesWithoutAnAttempt(_ world: DeliverWorld) throws {
        let refused = world.webhook(10, shard: 0, path: "/")
        var elsewhere = refused
        elsewhere.url = "http://10.1.2.3/"
        world.view.put(elsewhere)
        world.produce(refused, 1)
        let switchedOff = world.webhook(11, shard: 0, path: "/off", isActive: false)
        world.produce(switchedOff, 1)
        world.produce(switchedOff, 1, first: 1, purpose: .test)
        let older = world.webhook(12, shard: 0, path: "/older", generation: 1)
        let newer = world.webhook(12, shard: 0, path: "/older", generation: 2)
        world.produce(older, 1)
        world.produce(newer, 1, first: 1)
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let old = world.webhook(13, shard: 0, path: "/old")
        world.produce(
            old, 1, topic: world.topics.deferred, deferredAt: now.adding(milliseconds: -48 * 3_600_000 - 1))
        world.produce(old, 1, first: 1, topic: world.topics.deferred, deferredAt: now)

        try eventually("dead letters") { try world.dump(world.topics.deadLetters).count >= 3 }
        let reasons = try world.dump(world.topics.deadLetters).reduce(into: [:]) { $0[$1.key] = $1.headers["reason"] }
        #expect(
            reasons == [
                switchedOff.id.description: "webhook was disabled", older.id.description: "webhook was disabled",
                old.id.description: "over its rate",
            ])
        try eventually("the others arrive") {
            world.receiver.posts("/off").count == 1 && world.receiver.posts("/older").count == 1
                && world.receiver.posts("/old").count == 1
        }
        try eventually("the refused one is recorded") { try !world.attempts(refused) { _ in 0 }.isEmpty }
        let error = try world.attempts(refused) { $0["error"]?.string }
        #expect(error == ["Endpoint URL is no longer allowed"])
        let lane = try world.attempts(refused) { ($0["lane"]?["state"]?.string, $0["lane"]?["inFlight"]?.int) }
        #expect(lane[0] == ("healthy", 0), "it counts for nothing else")
        let tested = try world.attempts(switchedOff) { $0["lane"]?["state"]?.string }
        #expect(tested == ["disabled"])
        let next = try world.attempts(switchedOff) {
            $0["nextAttemptAt"]?.isNull == true && $0["backoffTier"]?.isNull == true
        }
        #expect(next == [true], "what does not follow is null and does not miss")
        let retried = try world.dump(world.topics.retries, partitions: 16).filter {
            $0.headers["webhook-id"] == refused.id.description
        }
        #expect(retried.count == 1 && retried.first?.key == "5s", "and walks the schedule")
    }

    private func healthyOnesAreNotDisturbed(_ world: DeliverWorld, _ healthy: Webhook) throws {
        try eventually("all of the healthy one") { world.receiver.posts("/healthy").count >= 100 }
        #expect(world.receiver.posts("/healthy").count == 100)
        #expect(try !world.dump(world.topics.deferred).contains { $0.key == healthy.id.description })
        let states = try world.attempts(healthy) { $0["lane"]?["state"]?.string }
        #expect(!states.contains("failing") && !states.contains("slow"))
    }

    private func limitIsExact(_ world: DeliverWorld, _ limited: Webhook) throws {
        try eventually("all of the limited one") { world.receiver.posts("/limited").count >= 400 }
        let posts = world.receiver.posts("/limited")
        #expect(posts.count == 400 && Set(posts.map(\.event)).count == 400, "each once")
        let times = posts.map(\.at)
        for (index, start) in times.enumerated() {
            #expect(times[index...].prefix { $0 < start + second }.count <= 110)
        }
        let seconds = Double(times[399] - times[0]) / 1e9
        // A starved machine may be slower, never faster.
        #expect((3.8...8).contains(seconds), "400 at 100/s, in \(seconds) s")
        let states = try world.attempts(limited) { $0["lane"]?["state"]?.string }
        #expect(states.contains("limited"))
    }

    private func deadOneIsProbed(_ world: DeliverWorld, _ dead: Webhook, _ isAlive: Flag) throws {
        func parked() throws -> [DeliverWorld.Record] {
            try world.dump(world.topics.retries, partitions: 16).filter {
                $0.headers["webhook-id"] == dead.id.description && $0.headers["parks"] != nil
            }
        }
        try eventually("the circuit opens") { try !parked().isEmpty }
        try eventually("it is counted") { (metric("open_circuits") ?? 0) >= 1 }
        let parkedThen = try parked().count
        #expect((metric("parked_total") ?? 0) >= Double(parkedThen))
        let before = world.receiver.posts("/dead").count
        #expect(before > 500, "until it opened everything was attempted")
        // The one in hand, then these: the one with the most attempts is the next probe.
        world.produce(dead, 1, first: 2000)
        world.produce(dead, 1, first: 2001, attempt: 4)
        world.produce(dead, 1, first: 2002, purpose: .test)
        let test = EventID(high: dead.id.hashSeed, low: 2002).description
        try eventually("a test passes", seconds: 4) { world.receiver.posts("/dead").contains { $0.event == test } }
        try eventually("the probe") { world.receiver.posts("/dead").contains { $0.attempt == 5 } }
        let probes = world.receiver.posts("/dead").dropFirst(before).filter { $0.event != test }
        // A probe may just have been starting when these two were read; then it is the one after.
        #expect(probes.prefix(2).contains { $0.attempt == 5 }, "the record with the most attempts first")
        for (one, next) in zip(probes, probes.dropFirst()) { #expect(next.at >= one.at + 4_900_000_000) }
        for record in try parked() {
            #expect(record.key == "5s" && record.headers["attempt"] == "0" && record.headers["parks"] == "1")
        }
        try eventually("every POST is recorded and nothing else") {
            try world.attempts(dead) { _ in 0 }.count == world.receiver.posts("/dead").count
        }
        let lanes = try world.attempts(dead) { json in
            (
                json["attempt"]?.int, json["lane"]?["state"]?.string, json["lane"]?["circuitOpen"]?.bool,
                json["lane"]?["nextProbeAt"]?.string != nil, json["lane"]?["lastError"]?.string
            )
        }
        #expect(lanes.contains { $0 == (5, "failing", true, true, "HTTP 500") })

        isAlive.set()
        world.produce(dead, 5, first: 3000, attempt: 1)
        let last = (3000..<3005).map { EventID(high: dead.id.hashSeed, low: $0).description }
        try eventually("one of them is the probe, and opens the way") {
            world.receiver.posts("/dead").contains { last.contains($0.event) }
        }
        world.produce(dead, 1, first: 4000)
        let next = EventID(high: dead.id.hashSeed, low: 4000).description
        try eventually("closed again", seconds: 3) { world.receiver.posts("/dead").contains { $0.event == next } }
        try eventually("and is told so") { metric("open_circuits") == 0 }
    }

    private func nothingIsDeferredTwice(_ world: DeliverWorld, _ limited: Webhook, _ hanging: Webhook) throws {
        let records = try world.dump(world.topics.deferred)
        let events = records.filter { $0.key == limited.id.description }.map(\.event)
        #expect(events.count > 100 && Set(events).count == events.count)
        #expect(records.allSatisfy { $0.headers["deferred-at"] != nil })
        #expect(records.contains { $0.key == hanging.id.description }, "what hangs gets out of the way")
    }
}
