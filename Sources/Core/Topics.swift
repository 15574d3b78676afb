// The bridge's topics: names, partitions and how long each is kept (contract §3).

package struct Topics: Sendable {
    package let prefix: String
    /// S, `topics.partitions`.
    package let shards: Int

    package init(prefix: String, shards: Int) {
        self.prefix = prefix
        self.shards = shards
    }

    package var deliveries: String { prefix + "deliveries" }
    package var deferred: String { prefix + "deferred" }
    package var retries: String { prefix + "retries" }
    package var attempts: String { prefix + "attempts" }
    package var deadLetters: String { prefix + "dead-letters" }
    package var notices: String { prefix + "notices" }
    package var emails: String { prefix + "emails" }
    package var commands: String { prefix + "commands" }
    package var results: String { prefix + "results" }
    package var accounts: String { prefix + "accounts" }
    package var subscriptions: String { prefix + "subscriptions" }

    /// The partition of `retries` for a shard and a tier: one delay per partition, so append order is due order.
    package func retryPartition(shard: Int32, tier: Int) -> Int32 {
        shard * Int32(RetrySchedule.tierCount) + Int32(tier)
    }

    /// The shard a partition of `retries` belongs to.
    package func shard(ofRetryPartition partition: Int32) -> Int32 { partition / Int32(RetrySchedule.tierCount) }

    /// The tier a partition of `retries` belongs to.
    package func tier(ofRetryPartition partition: Int32) -> Int { Int(partition) % RetrySchedule.tierCount }

    package struct Plan: Sendable {
        package let name: String
        package let partitions: Int
        package let isCompacted: Bool
        package let retentionHours: Int
        /// Whether it carries bodies, which need twice `limits.payloadBytes`.
        package let carriesBodies: Bool
    }

    package var plans: [Plan] {
        func plan(_ name: String, _ partitions: Int, hours: Int, bodies: Bool = false, compacted: Bool = false) -> Plan
        {
            Plan(
                name: name, partitions: partitions, isCompacted: compacted, retentionHours: hours, carriesBodies: bodies
            )
        }
        let week = 7 * 24
        let month = 30 * 24
        return [
            plan(deliveries, shards, hours: week, bodies: true),
            plan(deferred, shards, hours: week, bodies: true),
            plan(retries, shards * RetrySchedule.tierCount, hours: week, bodies: true),
            plan(attempts, shards, hours: month),
            plan(deadLetters, shards, hours: month, bodies: true),
            plan(notices, 1, hours: month),
            plan(emails, 1, hours: month),
            plan(commands, 1, hours: 24),
            plan(results, 1, hours: 24),
            plan(accounts, 1, hours: 0, compacted: true),
            plan(subscriptions, 1, hours: 0, compacted: true),
        ]
    }
}
