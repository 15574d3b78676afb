// TRANSLATE: domain topics in, `deliveries` out. Maps each record once, routes it by account and event type, and writes
// one record per (event, webhook). What it cannot map is a dead letter and never stops the partition.
package import Core
package import Kafka
internal import Mapping
package import Pipeline
package import Registry
internal import Runtime

package final class TranslateStage: StageHandler {
    private let topics: Topics
    private let translator: Translator
    private let deliveries: KafkaProducer.Topic
    private let deadLetters: DeadLetters
    private var headers: [RecordHeader] = []
    private var key: [UInt8] = []
    private let passedOver = Metrics.counter("records_passed_over_total", "Domain records that no mapping wants.")
    private let tombstones = Metrics.counter("records_without_value_total", "Domain records without a value.")

    private let caughtUp = Metrics.counter(
        "deliveries_caught_up_total", "Events routed to a webhook that this process had heard of late.")

    private static let unfinishedPerPartition = 5000

    /// Topics to subscribe to at the next turn; nil when the consumer has the right ones.
    private var newTopics: [String]?

    /// - Parameters:
    ///   - reading: the topics the consumer was made with.
    ///   - payloadBytes: the largest body, `limits.payloadBytes`.
    package init(
        plans: MappingPlans, reading: [String], topics: Topics, view: RegistryView, payloadBytes: Int,
        producer: KafkaProducer
    ) {
        self.topics = topics
        translator = Translator(
            plans: plans, topics: topics, view: view, payloadBytes: payloadBytes, keepsRecent: true)
        deliveries = producer.topic(topics.deliveries)
        deadLetters = DeadLetters(topics, producer, largest: payloadBytes)
        // The plans may have been replaced since the consumer was made.
        newTopics = translator.refresh().flatMap { Set($0) == Set(reading) ? nil : $0 }
    }

    package func assigned(_: [StagePartition], _: StageLoop) {}
    package func budget(for partition: StagePartition) -> Int {
        // Without a mapping nothing is read, let alone finished, until the rebalance takes the partition away: the mapping may
        // come back.
        translator.reads(partition.topic) ? Self.unfinishedPerPartition - partition.ledger.unfinished : 0
    }
    /// Nothing comes back to it that it would have to answer, and a round takes hundreds of records of each partition: a long
    /// pause makes full requests and costs no rate.
    package var pauseMicroseconds: UInt32 { 4000 }
    package func drain(_: StageLoop) {}
    package var isDrained: Bool { true }
    package func revoked() {}

    package func turn(now: UInt64, _ loop: StageLoop) -> UInt64? {
        if let topics = translator.refresh() ?? newTopics { loop.subscribe(to: topics) }
        newTopics = nil
        // Their records may be finished already, so no ledger waits for these: a process that dies now loses them, which is
        // what the contract allows for the first second of a webhook.
        translator.catchUp { delivery, body in
            setKey(delivery)
            loop.producer.produce(
                deliveries, partition: Murmur2.partition(key, of: topics.shards), key: key, value: body,
                headers: delivery.headers(), token: 0)
            caughtUp.add()
        }
        return nil
    }

    private func setKey(_ delivery: borrowing Delivery) {
        key.removeAll(keepingCapacity: true)
        delivery.webhook.append(to: &key)
    }

    package func handle(
        _ message: borrowing KafkaMessage, _ record: RecordReference, _ partition: StagePartition, _ loop: StageLoop
    ) {
        defer { loop.finish(record) }
        // A tombstone says nothing that a webhook could carry.
        guard let value = message.value else { return tombstones.add() }
        headers.removeAll(keepingCapacity: true)
        message.forEachHeader { headers.append(RecordHeader(name: $0, value: $1)) }
        let domainRecord = DomainRecord(
            topic: partition.topic, partition: partition.number, offset: message.offset, timestamp: message.timestamp,
            value: value, headers: headers)
        do throws(Translator.Refusal) {
            let outcome = try translator.translate(domainRecord, key: message.key) { delivery, body in
                setKey(delivery)
                loop.produce(
                    deliveries, partition: Murmur2.partition(key, of: topics.shards), key: key, value: body,
                    headers: delivery.headers(), for: record)
            }
            if outcome == .passedOver { passedOver.add() }
        } catch {
            deadLetters.write(
                message, reason: error.reason, message: error.message, event: error.event, for: record, loop)
        }
    }
}
