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

    private struct Head {
        let delivery: Delivery
        let due: Timestamp
        let record: RecordReference
        let partition: Int32
    }

    /// - Parameter payloadBytes: `limits.payloadBytes`.
    package init(topics: Topics, payloadBytes: Int, producer: KafkaProducer) {
        self.topics = topics
        deliveries = producer.topic(topics.deliveries)
        deadLetters = DeadLetters(topics, producer, largest: payloadBytes)
    }

    package func assigned(_: [StagePartition], _: StageLoop) {}
    package func budget(for partition: StagePartition) -> Int {
        heads[partition.assignment] == nil ? 1000 - partition.ledger.unfinished : 0
    }
    package func drain(_: StageLoop) {}
    package var isDrained: Bool { true }
    package func revoked() { heads.removeAll() }

    package func handle(
        _ message: borrowing KafkaMessage, _ record: RecordReference, _ partition: StagePartition, _ loop: StageLoop
    ) {
        guard message.value != nil else {
            loop.finish(record)
            return
        }
        do {
            let delivery = try Delivery(message)
            let head = Head(
                delivery: delivery, due: delivery.dueAt ?? Timestamp(milliseconds: 0), record: record,
                partition: topics.shard(ofRetryPartition: partition.number))
            if head.due.milliseconds <= Clock.wallMilliseconds() {
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
        guard !heads.isEmpty else { return nil }
        let wall = Clock.wallMilliseconds()
        var wait = Int64.max
        for (assignment, head) in heads {
            if head.due.milliseconds <= wall {
                heads[assignment] = nil
                send(head, loop)
                wait = 0  // the next head of this partition may be due as well
            } else {
                wait = min(wait, head.due.milliseconds - wall)
            }
        }
        // A due time far away, as a record made by hand may have, must not overflow; a minute later is looked at again.
        return now + UInt64(min(wait, 60_000)) * 1_000_000
    }

    private func send(_ head: Head, _ loop: StageLoop) {
        loop.produce(
            deliveries, partition: head.partition, key: Array(head.delivery.webhook.description.utf8),
            value: head.delivery.body, headers: head.delivery.headers(), for: head.record)
        loop.finish(head.record)
    }
}
