import Core
import Testing

@Suite struct RetryScheduleTests {
    private let end = Timestamp(milliseconds: 1_000_000)

    @Test func documentedScheduleAddsUpTo44Hours35Minutes35Seconds() {
        let schedule = RetrySchedule()
        #expect(schedule.tiers.map(\.label) == ["5s", "30s", "5m", "30m", "2h", "6h", "12h", "24h"])
        var now = Timestamp(milliseconds: 0)
        var attempts = 1
        while case .retry(let tier, let due) = schedule.next(
            attemptsMade: attempts, endedAt: now, retryAfterSeconds: nil)
        {
            #expect(tier.index == attempts - 1)
            now = due
            attempts += 1
        }
        #expect(attempts == 9)
        #expect(now.milliseconds == ((44 * 60 + 35) * 60 + 35) * 1000)
    }

    @Test func scaleMultipliesTheWaitAndKeepsTheLabel() {
        let tier = RetrySchedule(timeScale: 0.001).tiers[7]
        #expect(tier.label == "24h")
        #expect(tier.waitMilliseconds == 86_400)
    }

    @Test(
        arguments: [
            (1, nil, 0), (1, 3, 0), (1, 5, 0), (1, 6, 1), (1, 30, 1), (1, 31, 2), (3, 60, 2), (3, 301, 3),
            (8, 999_999, 7),
            (1, 86_400, 7), (1, Int.max, 7), (1, 0, 0),
        ] as [(Int, Int?, Int)])
    func retryAfterMovesToTheFirstTierNotShorter(attempts: Int, asked: Int?, tier: Int) {
        guard
            case .retry(let chosen, let due) = RetrySchedule().next(
                attemptsMade: attempts, endedAt: end, retryAfterSeconds: asked)
        else {
            Issue.record("a retry was due")
            return
        }
        #expect(chosen.index == tier)
        #expect(due.milliseconds == end.milliseconds + RetrySchedule.documentedWaits[tier])
    }

    @Test func ninthFailureGivesUp() {
        #expect(RetrySchedule().next(attemptsMade: 9, endedAt: end, retryAfterSeconds: nil) == .giveUp)
    }

    @Test func retriesPartitionIsShardTimesEightPlusTier() {
        let topics = Topics(prefix: "webhooks.", shards: 16)
        #expect(topics.retryPartition(shard: 0, tier: 0) == 0)
        #expect(topics.retryPartition(shard: 15, tier: 7) == 127)
        for shard in Int32(0)..<16 {
            for tier in 0..<8 {
                #expect(topics.shard(ofRetryPartition: topics.retryPartition(shard: shard, tier: tier)) == shard)
            }
        }
    }

    @Test func oneAttemptIsLeftAfterEight() {
        let schedule = RetrySchedule()
        for made in 1...9 {
            let next = schedule.next(attemptsMade: made, endedAt: Timestamp(milliseconds: 0), retryAfterSeconds: nil)
            #expect((next == .giveUp) == (made == 9))
            #expect(RetrySchedule.isOneLeft(attemptsMade: made) == (made == 8))
        }
    }
}
