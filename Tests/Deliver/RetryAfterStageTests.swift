// A receiver that says when it wants to be asked again: from its header to the partition of the retry.
import Core
import Deliver
import Testing

@Suite(.timeLimit(.minutes(2))) struct RetryAfterStageTests {
    /// Contract §1: a longer wait than the scheduled one moves to the first tier not shorter, a shorter one is ignored.
    @Test func aLongerWaitMovesToTheFirstTierNotShorter() throws {
        let world = try DeliverWorld("retry-after")
        let cases: [(wait: String?, status: Int, attempt: Int, tier: Int)] = [
            (nil, 500, 0, 0), ("3", 503, 0, 0), ("30", 503, 0, 1), ("31", 429, 0, 2), ("600", 503, 0, 3),
            ("600", 503, 4, 4), ("999999", 503, 0, 7),
        ]
        let webhooks = cases.indices.map { world.webhook(UInt32($0) + 1, shard: Int32($0 % 2), path: "/\($0)") }
        for (index, each) in cases.enumerated() {
            world.receiver.script("/\(index)") { _ in
                .init(status: each.status, headers: each.wait.map { ["Retry-After: \($0)"] } ?? [])
            }
        }
        let member = try world.run("retry-after")
        for (webhook, each) in zip(webhooks, cases) { world.produce(webhook, 1, attempt: each.attempt) }
        let partitions = world.shards * RetrySchedule.tierCount
        try eventually("all are parked") {
            try world.dump(world.topics.retries, partitions: partitions).count == cases.count
        }
        let retries = try world.dump(world.topics.retries, partitions: partitions)
        let tiers = RetrySchedule().tiers
        for (webhook, each) in zip(webhooks, cases) {
            let retry = try #require(retries.first { $0.headers["webhook-id"] == webhook.id.description })
            let shard = webhook.id.shard(of: world.shards)
            #expect(
                retry.partition == world.topics.retryPartition(shard: shard, tier: each.tier)
                    && retry.key == tiers[each.tier].label, "\(each): \(retry.key)")
            let due = try #require(retry.headers["due-at"].flatMap { Timestamp(rfc3339: $0) })
            // The tier's wait from the attempt's end on, which was before the record was written.
            let wait = tiers[each.tier].waitMilliseconds
            #expect((wait - 10_000...wait + 1000).contains(due.milliseconds - retry.timestamp), "\(each)")
        }
        world.receiver.stop()
        member.stop()
    }
}
