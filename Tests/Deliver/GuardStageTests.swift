// What came twice after a crash: a delivery and its twin, asking for the same attempt of the same owner.
import Core
import Deliver
import JSON
import Testing

@Suite(.timeLimit(.minutes(2))) struct GuardStageTests {
    @Test func twinsLeadToOneRetry() throws {
        let world = try DeliverWorld("guard")
        let apart = world.webhook(1, shard: 0, path: "/apart")
        let accepted = world.webhook(2, shard: 0, path: "/accepted")
        // A webhook that was switched on again begins with one POST at a time.
        let behind = world.webhook(3, shard: 0, path: "/behind", generation: 2)
        let together = world.webhook(4, shard: 1, path: "/together")
        // Of first attempts both are made: nothing is kept account of them, and they have no twins but by hand.
        let first = world.webhook(5, shard: 1, path: "/first")
        world.receiver.script("/apart") { _ in .init(status: 500) }
        for path in ["/behind", "/together", "/first"] {
            // Longer than it takes to read the twin; and no overload, which would make the lane go one at a time.
            world.receiver.script(path) { _ in .init(status: 404, delayMilliseconds: 700) }
        }
        let member = try world.run("guard")
        let dropped = metric("repeats_dropped_total") ?? 0

        for webhook in [behind, together] {
            // In one batch, so that the second is there before the first is answered.
            for _ in 0..<2 { world.produce(webhook, 1, attempt: 1, flushing: false) }
        }
        for _ in 0..<2 { world.produce(first, 1, flushing: false) }
        for webhook in [apart, accepted] { world.produce(webhook, 1, attempt: 1) }
        try eventually("the first ones are recorded") {
            try [apart, accepted, behind, together].allSatisfy { try attempts(world, $0) == [2] }
                && attempts(world, first) == [1, 1]
        }
        for webhook in [apart, accepted] { world.produce(webhook, 1, attempt: 1) }
        try eventually("four are dropped") { metric("repeats_dropped_total") == dropped + 4 }
        // The next attempt is another one.
        for webhook in [apart, accepted, behind, together] { world.produce(webhook, 1, attempt: 2) }
        let wanted = [(apart, [2, 3]), (accepted, [2, 3]), (behind, [2, 3]), (together, [2, 3])]
        try eventually("the attempts after them are made") {
            try wanted.allSatisfy { try attempts(world, $0.0) == $0.1 }
        }
        for (webhook, numbers) in wanted {
            let posts = world.receiver.posts("/" + webhook.url.split(separator: "/").last!)
            #expect(posts.map(\.attempt) == numbers)
        }
        let pair = world.receiver.posts("/first")
        #expect(pair.last!.at < pair.first!.answeredAt!, "not vacuous: they were under way together")

        let retries = try world.dump(world.topics.retries, partitions: world.shards * RetrySchedule.tierCount)
        for webhook in [apart, behind, together] {
            let found = retries.filter { $0.headers["webhook-id"] == webhook.id.description }
            #expect(found.compactMap { $0.headers["attempt"] }.sorted() == ["2", "3"], "\(webhook.url)")
        }
        #expect(retries.count { $0.headers["webhook-id"] == first.id.description } == 1, "what follows follows once")
        #expect(retries.count == 7)
        #expect(metric("repeats_dropped_total") == dropped + 4)
        world.receiver.stop()
        member.stop()
    }

    private func attempts(_ world: DeliverWorld, _ webhook: Webhook) throws -> [Int?] {
        try world.attempts(webhook) { $0["attempt"]?.int }
    }
}
