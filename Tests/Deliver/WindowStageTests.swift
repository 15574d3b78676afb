// What the stage takes into its hands: bodies by partition and process, and whose records of `deferred` they are.
import Core
import Pipeline
import Registry
import Runtime
import Testing

@testable import Deliver

@Suite(.timeLimit(.minutes(3))) struct WindowStageTests {
    private struct Seen {
        var ofPartition = 0
        var ofProcess = 0
    }

    @Test func bodiesInHandAreBoundedByPartitionAndByProcess() throws {
        let world = try DeliverWorld("window")
        let bytes = 10_000
        var window = WindowLimits()
        window.partitionBytes = 64_000
        window.processBytes = 96_000
        // What comes from `deferred` stays in hand until it is sent, and each takes its time.
        let webhooks = (0..<Int32(2)).map { world.webhook(UInt32($0) + 1, shard: $0, path: "/\($0)") }
        for shard in 0..<2 { world.receiver.script("/\(shard)") { _ in .init(delayMilliseconds: 200) } }
        for webhook in webhooks { world.produce(webhook, 25, topic: world.topics.deferred, bytes: bytes) }
        let seen = Guarded(Seen())
        let member = try world.run("window") { stage in
            Watcher(stage) { stage in
                let largest = stage.intakes.map(\.bytes).max() ?? 0
                seen.withLock {
                    $0.ofPartition = max($0.ofPartition, largest)
                    $0.ofProcess = max($0.ofProcess, stage.slots.bytes)
                }
            }
        } configure: {
            $0.window = window
        }
        try eventually("all of it arrives") {
            (0..<2).allSatisfy { Set(world.receiver.posts("/\($0)").map(\.event)).count == 25 }
        }
        let most = seen.withLock { $0 }
        // The last body read may reach over the bound, by less than itself.
        #expect((window.partitionBytes..<window.partitionBytes + bytes + 20).contains(most.ofPartition), "\(most)")
        #expect((window.processBytes..<window.processBytes + bytes + 20).contains(most.ofProcess), "\(most)")
        world.receiver.stop()
        member.stop()
    }

    /// One webhook's backlog fills a small window. Alone it is left in peace; once another webhook waits behind it, its
    /// excess goes to the tail, at most 500 a second, and the other one gets its turn.
    @Test func excessIsRotatedForAWaitingNeighbourOnly() throws {
        let world = try DeliverWorld("rotation")
        let greedy = world.webhook(1, shard: 0, path: "/greedy")
        let neighbour = world.webhook(2, shard: 0, path: "/neighbour")
        let first = world.webhook(3, shard: 0, path: "/first")
        // It answers too slowly for a lane that is waited for.
        world.receiver.script("/neighbour") { _ in .init(delayMilliseconds: 30) }
        let isFull = Flag()
        let member = try world.run("rotation", eventsPerSecond: 20) { stage in
            Watcher(stage) { stage in
                let isHeld = stage.deferredIntakes.contains {
                    $0.isFull(stage.settings.window, processBytes: stage.slots.bytes)
                }
                if isHeld { isFull.set() }
            }
        } configure: {
            $0.window.partitionRecords = 100
        }
        // What the owner finds on `deferred` may be anybody's; this one is read, and from then on it knows.
        world.produce(first, 1, topic: world.topics.deferred)
        try eventually("the first is through") { world.receiver.posts("/first").count == 1 }

        func deferrals(_ webhook: Webhook) throws -> [DeliverWorld.Record] {
            try world.dump(world.topics.deferred).filter { $0.key == webhook.id.description }
        }
        let rotatedBefore = metric("deferred_rotated_total") ?? 0
        world.produce(greedy, 1500)
        try eventually("nearly all of them are deferred") { try deferrals(greedy).count > 1300 }
        try eventually("the window is full") { isFull.isSet }
        // Some of its own go out meanwhile, and the window is filled again and again.
        let posted = world.receiver.posts("/greedy").count
        try eventually("it goes on") { world.receiver.posts("/greedy").count > posted + 20 }
        let alone = try deferrals(greedy)
        #expect(Set(alone.map(\.event)).count == alone.count, "none moved twice while nobody waited")
        #expect(metric("deferred_rotated_total") == rotatedBefore)

        world.produce(neighbour, 100)
        try eventually("some of the neighbour's are deferred, too") { try !deferrals(neighbour).isEmpty }
        try eventually("and they arrive") { world.receiver.posts("/neighbour").count >= 100 }
        #expect(world.receiver.posts("/greedy").count < 1000, "not vacuous: the greedy one still had a backlog")
        var times: [Int64] = []
        var known: Set<String> = []
        for record in try deferrals(greedy) where !known.insert(record.event).inserted {
            times.append(record.timestamp)
        }
        #expect(times.count > 600, "\(times.count) moved for the neighbour")
        #expect((metric("deferred_rotated_total") ?? 0) >= rotatedBefore + Double(times.count))
        for (index, start) in times.enumerated() {
            let inASecond = times[index...].prefix { $0 < start + 1000 }.count
            // The stamps are of the client's clock a moment later than the decision: a busy machine draws some of them together.
            #expect(inASecond <= DeferredShare.rotationsPerSecond * 11 / 10, "\(inASecond) in a second")
        }
        world.receiver.stop()
        member.stop()
    }
}

@Suite(.timeLimit(.minutes(2))) struct LetterStageTests {
    /// `limits.payloadBytes` says how much of a record that is no delivery is kept whole.
    @Test func largeRecordsAreKeptWholeUpToTheLimitOnPayloads() throws {
        let world = try DeliverWorld("letters")
        let member = try world.run("letters") {
            $0
        } configure: {
            $0.payloadBytes = 100_000
        }
        for (key, bytes) in [("fits", 100_000), ("too large", 100_001)] {
            world.produce([UInt8](repeating: 0x78, count: bytes), to: world.topics.deliveries, partition: 0, key: key)
        }
        try eventually("both are buried") { try world.dump(world.topics.deadLetters).count == 2 }
        let letters = try world.dump(world.topics.deadLetters).sorted { $0.value.count > $1.value.count }
        #expect(letters.map(\.value.count) == [100_000, 65_536])
        #expect(letters.map { $0.headers["size"] } == [nil, "100001"])
        world.receiver.stop()
        member.stop()
    }
}
