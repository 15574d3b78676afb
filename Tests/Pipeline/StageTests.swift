// Stages on their loops, on the embedded broker: what is committed when, retries in time.
import Core
import JSON
import Kafka
import Pipeline
import Retry
import Runtime
import Testing

@Suite(.timeLimit(.minutes(2))) struct StageTests {
    private static let account = AccountID("acct_000000000000000000000001")!
    private static let webhook = WebhookID("wh_000000000000000000000001")!

    private func delivery(_ number: UInt32, due: Timestamp?) -> Delivery {
        Delivery(
            webhook: Self.webhook, account: Self.account, event: EventID(high: 1, low: number),
            eventType: "user.created",
            id: DeliveryID(high: 2, low: number), generation: 1, attempt: 1, origin: "learnault.users/0/0", dueAt: due,
            body: Array("{\"n\":\(number)}".utf8))
    }

    @Test func retriesComeBackInTimeAndInOrderAlsoAfterARestart() throws {
        let world = try World()
        let shard = Self.webhook.shard(of: world.topics.shards)
        let run = {
            try world.run(group: "retry", reading: [world.topics.retries], fetch: KafkaConsumer.frugalFetch) {
                [topics = world.topics] in
                RetryStage(topics: topics, schedule: RetrySchedule(), payloadBytes: 100_000, producer: $0)
            }
        }
        func park(_ number: UInt32, _ due: Timestamp) throws {
            try world.produce(
                world.topics.retries, partition: world.topics.retryPartition(shard: shard, tier: 1), key: "30s",
                value: delivery(number, due: due).body, headers: delivery(number, due: due).headers())
        }
        var stop = try run()
        let start = Timestamp(milliseconds: Clock.wallMilliseconds())
        var due: [String: Timestamp] = [:]
        for number in UInt32(1)...3 {
            let at = start.adding(milliseconds: 500 + Int64(number) * 300)
            due["{\"n\":\(number)}"] = at
            try park(number, at)
        }
        try eventually("three are back") { try world.dump((world.topics.deliveries, 2)).count == 3 }
        stop()
        // Parked while nobody looks after it.
        let later = Timestamp(milliseconds: Clock.wallMilliseconds() + 200)
        try park(4, later)
        stop = try run()
        try eventually("the fourth is back") { try world.dump((world.topics.deliveries, 2)).count == 4 }
        stop()
        let found = try world.dump((world.topics.deliveries, 2))
        #expect(found.map(\.value) == (1...4).map { "{\"n\":\($0)}" }, "in order, and none twice after the restart")
        for record in found {
            #expect(record.key == Self.webhook.description && record.partition == shard)
            guard let value = record.value, let at = due[value] else { continue }
            #expect(record.timestamp >= at.milliseconds, "never early")
            #expect(record.timestamp <= at.milliseconds + 250, "at most 250 ms late when idle")
        }
    }

    @Test func aRecordThatIsNoDeliveryIsADeadLetterAndStopsNothing() throws {
        let world = try World()
        let stop = try world.run(group: "retry", reading: [world.topics.retries]) { [topics = world.topics] in
            RetryStage(topics: topics, schedule: RetrySchedule(), payloadBytes: 100_000, producer: $0)
        }
        try world.produce(
            world.topics.retries, partition: 0, key: "5s", value: [123], headers: KafkaHeaders(capacity: 1))
        try world.produce(
            world.topics.retries, partition: 0, key: "5s", value: delivery(1, due: nil).body,
            headers: delivery(1, due: nil).headers())
        // Longer than the limit on payloads by one byte: its beginning is kept.
        try world.produce(
            world.topics.retries, partition: 0, key: "5s", value: [UInt8](repeating: 120, count: 100_001),
            headers: KafkaHeaders(capacity: 1))
        try eventually("all are settled") {
            try world.dump((world.topics.deliveries, 2), (world.topics.deadLetters, 2)).count == 3
        }
        let letters = try world.dump((world.topics.deadLetters, 2))
        #expect(letters.allSatisfy { $0.key == world.topics.retries })
        #expect(letters.map { $0.value?.utf8.count } == [1, 65_536])
        stop()
    }

    /// The broker refuses what a record causes: the record must not be committed, and comes to its end when it is taken.
    @Test func nothingIsCommittedBeforeItsEffectsAreStored() throws {
        let world = try World()
        // Also the label of its metrics, which no other test has.
        let stop = try world.run(group: "retry-refused", reading: [world.topics.retries]) { [topics = world.topics] in
            RetryStage(topics: topics, schedule: RetrySchedule(), payloadBytes: 100_000, producer: $0)
        }
        for number in UInt32(1)...20 {
            // The last one gives time: the next produce, which is refused, must be the stage's and not this test's.
            let due = number == 20 ? Timestamp(milliseconds: Clock.wallMilliseconds() + 2000) : nil
            try world.produce(
                world.topics.retries, partition: 0, key: "5s", value: delivery(number, due: due).body,
                headers: delivery(number, due: due).headers())
            if number == 19 {
                try eventually("nineteen are back") { try world.dump((world.topics.deliveries, 2)).count == 19 }
            }
        }
        world.cluster.failProduces(1, code: 87)
        try eventually("all are back") {
            Set(try world.dump((world.topics.deliveries, 2)).compactMap(\.value)).count == 20
        }
        let refusals = "webhook_bridge_produce_retries_total{role=\"retry-refused\"} "
        try eventually("refusals are counted") {
            Metrics.text.split(separator: "\n").contains { $0.hasPrefix(refusals) && !$0.hasSuffix(" 0") }
        }
        stop()
        // What was committed is not read again, and nothing is missing: twenty records, each once.
        let again = try world.run(group: "retry-refused", reading: [world.topics.retries]) { [topics = world.topics] in
            RetryStage(topics: topics, schedule: RetrySchedule(), payloadBytes: 100_000, producer: $0)
        }
        again()
        #expect(try world.dump((world.topics.deliveries, 2)).count == 20)
    }
}
