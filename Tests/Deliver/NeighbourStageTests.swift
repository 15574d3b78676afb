// What webhooks that cannot be sent to, or hang, may do to their neighbours on a shard, in a process and at a host: nothing.
import Core
import Crypto
import Pipeline
import Registry
import Runtime
import Testing

@testable import Deliver

@Suite(.timeLimit(.minutes(2))) struct NeighbourStageTests {
    /// The same delivery sent again for a newer generation, as a letter retried by hand is.
    @Test func sameDeliveryOfANewerGenerationIsPosted() throws {
        let world = try DeliverWorld("again")
        world.receiver.script("/fails") { number in .init(status: number == 0 ? 500 : 200) }
        var webhook = world.webhook(1, shard: 0, path: "/fails")
        let member = try world.run("again")
        world.produce(webhook, 1)
        try eventually("failed") { try world.attempts(webhook) { _ in 0 }.count == 1 }
        webhook.generation = 2
        world.view.put(webhook)
        world.produce(webhook, 1)
        try eventually("posted again", seconds: 10) { world.receiver.posts("/fails").count == 2 }
        world.receiver.stop()
        member.stop()
    }

    /// Sixteen webhooks whose secret nobody can open, each with its share on `deferred`.
    @Test func lockedWebhooksDoNotStopANeighboursDeferredRecords() throws {
        let world = try DeliverWorld("locked")
        for number in UInt32(1)...16 {
            let webhook = world.webhook(number, shard: 0, path: "/locked")
            world.view.put(world.locked(webhook))
            world.produce(webhook, 64, topic: world.topics.deferred)
        }
        let healthy = world.webhook(99, shard: 0, path: "/healthy")
        world.produce(healthy, 1, topic: world.topics.deferred)
        let member = try world.run("locked")
        defer {
            world.receiver.stop()
            member.stop()
        }
        world.produce(healthy, 1, first: 50)
        try eventually("its new one", seconds: 20) { world.receiver.posts("/healthy").count >= 1 }
        try eventually("its deferred one", seconds: 20) { world.receiver.posts("/healthy").count == 2 }
    }

    /// Secretless bodies fill the process's bytes: what does the other shard's healthy webhook get?
    @Test func lockedBodiesDoNotStopTheProcess() throws {
        let world = try DeliverWorld("locked-bytes")
        let webhook = world.webhook(1, shard: 0, path: "/locked")
        world.view.put(world.locked(webhook))
        world.produce(webhook, 12, topic: world.topics.deferred, bytes: 100_000)
        let healthy = world.webhook(99, shard: 1, path: "/healthy")
        let member = try world.run(
            "locked-bytes",
            configure: { settings in
                settings.window.partitionBytes = 2_000_000
                settings.window.processBytes = 1_000_000
            })
        defer {
            world.receiver.stop()
            member.stop()
        }
        try eventually("the window is full or the records are out of the way") {
            try (metric("window_bytes") ?? 0) >= 1_000_000
                || world.dump(world.topics.retries, partitions: 16).count == 12
        }
        world.produce(healthy, 1)
        try eventually("a healthy webhook of another shard", seconds: 20) {
            world.receiver.posts("/healthy").count == 1
        }
    }

    /// Eight webhooks that hang and one that does not, all at one host, as at a provider of hooks.
    @Test func aHostSharedWithHangingWebhooksIsReachedInTime() throws {
        let world = try DeliverWorld("host")
        world.receiver.script("/hangs") { _ in .init(status: 200, delayMilliseconds: 8000) }
        let hanging = (UInt32(1)...8).map { world.webhook($0, shard: 0, path: "/hangs") }
        let healthy = world.webhook(99, shard: 1, path: "/healthy")
        let member = try world.run("host")
        defer {
            world.receiver.stop()
            member.stop()
        }
        for webhook in hanging { world.produce(webhook, 2) }
        try eventually("all hang") { world.receiver.posts("/hangs").count == 16 }
        let start = Clock.monotonic()
        world.produce(healthy, 1)
        try eventually("the healthy one", seconds: 30) { world.receiver.posts("/healthy").count == 1 }
        let seconds = Double(Clock.monotonic() - start) / 1e9
        #expect(seconds < 4, "it took \(seconds) s")
    }

    /// A webhook the view does not have: parked while nobody can say that it was deleted, dropped once that is certain.
    @Test func aWebhookTheViewHearsOfLateIsNotLost() throws {
        let elsewhere = try DeliverWorld("elsewhere")
        let world = try DeliverWorld("unknown")
        let (late, deleted) = (elsewhere.webhook(1, shard: 0, path: "/late"), elsewhere.webhook(2, shard: 1, path: "/"))
        let member = try world.run("unknown", configure: { $0.viewPatienceNanoseconds = 1_000_000_000 })
        defer {
            world.receiver.stop()
            member.stop()
        }
        func parked() throws -> [String?] {
            try world.dump(world.topics.retries, partitions: 16).map { $0.headers["webhook-id"] }
        }
        world.produce(late, 1)
        try eventually("it is parked when patience is over") { try parked() == [late.id.description] }
        let before = metric("dropped_total") ?? 0
        world.produce(deleted, 1)
        let read = Clock.monotonic() + 500_000_000
        try eventually("it is dropped: the view had all there was after it was read") {
            world.view.confirm(at: max(read, Clock.monotonic()))
            return (metric("dropped_total") ?? 0) >= before + 1
        }
        #expect(try parked() == [late.id.description])
    }

    /// Switched off and on elsewhere, and the view has not heard of it: its deliveries wait in `retries` and are no dead letters.
    @Test func aGenerationTheViewHearsOfLateIsNotLost() throws {
        let world = try DeliverWorld("ahead")
        let known = world.webhook(1, shard: 0, path: "/ahead")
        let member = try world.run("ahead", configure: { $0.viewPatienceNanoseconds = 1_000_000_000 })
        defer {
            world.receiver.stop()
            member.stop()
        }
        var switched = known
        switched.generation = 3
        world.produce(switched, 1)
        try eventually("it is parked when patience is over") {
            try world.dump(world.topics.retries, partitions: 16).map { $0.headers["generation"] } == ["3"]
        }
        #expect(try world.dump(world.topics.deadLetters).isEmpty)
        #expect(world.receiver.posts("/ahead").isEmpty)
        world.view.put(switched)
        world.produce(switched, 1, first: 1)
        try eventually("once the view has it") { world.receiver.posts("/ahead").count == 1 }
    }

    /// An endpoint that is taken for dead stays so while its deliveries wait in `retries`, hours on end.
    @Test func anOpenCircuitIsNotForgotten() throws {
        let settings = DeliverSettings()
        let second: UInt64 = 1_000_000_000
        func lane(failures: Int) -> WebhookLane {
            let bucket = TokenBucket(perSecond: 0, burst: 5, emptySince: 0)
            let lane = WebhookLane(id: WebhookID(high: 1, low: 1), shard: 0, lane: Lane(bucket: bucket))
            for number in 0..<failures {
                let now = UInt64(number + 1) * 2 * second
                let item = Lane.Item(slot: number, kind: .fresh, attempts: 0, bytes: 1, since: now)
                _ = lane.lane.add(item, wasDeferred: false)
                guard case .start(let started) = lane.lane.next(now: now) else { return lane }
                lane.lane.finished(slot: started.slot, kind: started.kind, .failure, now: now)
                lane.lastUsed = now
            }
            return lane
        }
        let (open, closed) = (lane(failures: 10), lane(failures: 9))
        #expect(open.lane.circuit.isOpen && !closed.lane.circuit.isOpen)
        #expect(closed.isForgotten(now: 400 * second, settings))
        #expect(!open.isForgotten(now: 24 * 3600 * second, settings))
        #expect(open.isForgotten(now: 26 * 3600 * second, settings))
    }
}
