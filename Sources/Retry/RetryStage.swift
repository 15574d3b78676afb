// RETRY: `retries` in, `deliveries` out when due. One delay per partition, so the head is always next and nothing but
// heads is held in memory. Holds no HTTP.
package import Core
package import Kafka
package import Pipeline
internal import Runtime

package final class RetryStage: StageHandler {
    private let topics: Topics
    private let deliveries: KafkaProducer.Topic
    private let deadLetters: DeadLetters
    /// The head of each partition that is not due yet, by assignment.
    private var heads: [UInt32: Head] = [:]
    private var partitions: [StagePartition] = []

    private let schedule: RetrySchedule
    private let census: RetryCensus
    /// When the ends of the logs behind the heads are asked for again, monotonic nanoseconds.
    private var nextQuestion: UInt64 = 0
    private static let questionInterval: UInt64 = 5_000_000_000

    private struct Head {
        let delivery: Delivery
        /// Monotonic nanoseconds.
        let due: UInt64
        let record: RecordReference
        let partition: Int32
    }

    /// - Parameter payloadBytes: `limits.payloadBytes`.
    package init(topics: Topics, schedule: RetrySchedule, payloadBytes: Int, producer: KafkaProducer) {
        self.topics = topics
        self.schedule = schedule
        census = RetryCensus(schedule)
        deliveries = producer.topic(topics.deliveries)
        deadLetters = DeadLetters(topics, producer, largest: payloadBytes)
    }

    package func assigned(_ partitions: [StagePartition], _: StageLoop) { self.partitions = partitions }
    package func budget(for partition: StagePartition) -> Int {
        heads[partition.assignment] == nil ? 1000 - partition.ledger.unfinished : 0
    }
    package func drain(_: StageLoop) {}
    package var isDrained: Bool { true }
    package func revoked() {
        heads.removeAll()
        partitions = []
    }

    package func handle(
        _ message: borrowing KafkaMessage, _ record: RecordReference, _ partition: StagePartition, _ loop: StageLoop
    ) {
        guard message.value != nil else {
            loop.finish(record)
            return
        }
        do {
            let delivery = try Delivery(message)
            let now = Clock.monotonic()
            let head = Head(
                delivery: delivery,
                due: RetryWait.end(
                    due: delivery.dueAt, written: message.timestamp,
                    tierWait: schedule.tiers[topics.tier(ofRetryPartition: partition.number)].waitMilliseconds,
                    wall: Clock.wallMilliseconds(), monotonic: now),
                record: record, partition: topics.shard(ofRetryPartition: partition.number))
            if head.due <= now {
                send(head, loop)
            } else {
                heads[partition.assignment] = head
            }
        } catch {
            deadLetters.write(
                message, reason: .malformedRecord, message: error.description, for: record, loop)
            loop.finish(record)
        }
    }

    package func turn(now: UInt64, _ loop: StageLoop) -> UInt64? {
        if now >= census.due { takeCensus(now, loop) }
        guard !heads.isEmpty else { return nil }
        var next = UInt64.max
        for (assignment, head) in heads {
            if head.due <= now {
                heads[assignment] = nil
                send(head, loop)
                next = now  // the next head of this partition may be due as well
            } else {
                next = min(next, head.due)
            }
        }
        return next
    }

    private func takeCensus(_ now: UInt64, _ loop: StageLoop) {
        if now >= nextQuestion, !heads.isEmpty {
            nextQuestion = now + Self.questionInterval
            loop.askLogEnds(of: partitions.filter { heads[$0.assignment] != nil })
        }
        var figures = RetryFigures()
        for partition in partitions where partition.ledger.hasBegun {
            let tier = topics.tier(ofRetryPartition: partition.number)
            figures.parked[tier] += Int(max(0, loop.logEnd(of: partition) - partition.ledger.watermark))
            guard let due = heads[partition.assignment]?.delivery.dueAt else { continue }
            figures.oldestDue[tier] = min(figures.oldestDue[tier] ?? due, due)
        }
        census.publish(figures, now: now)
    }

    private func send(_ head: Head, _ loop: StageLoop) {
        loop.produce(
            deliveries, partition: head.partition, key: Array(head.delivery.webhook.description.utf8),
            value: head.delivery.body, headers: head.delivery.headers(), for: head.record)
        loop.finish(head.record)
    }
}
