// What is given up becomes a dead letter with everything needed to see why and to send it again.
package import Core
package import Kafka

package struct DeadLetters {
    private let topic: KafkaProducer.Topic
    private let shards: Int
    private let largest: Int

    /// - Parameter largest: bytes of the largest record kept whole; `limits.payloadBytes`.
    package init(_ topics: Topics, _ producer: KafkaProducer, largest: Int = 1_048_576) {
        self.largest = largest
        topic = producer.topic(topics.deadLetters)
        shards = topics.shards
    }

    /// A delivery that is given up. Key: webhook id.
    package func write(
        _ delivery: Delivery, reason: DeadLetterReason, message: String, for record: RecordReference, _ loop: StageLoop
    ) {
        let headers = delivery.headers(extra: 2)
        headers.add("reason", reason.rawValue)
        headers.add("message", message)
        let key = Array(delivery.webhook.description.utf8)
        loop.produce(
            topic, partition: Murmur2.partition(key, of: shards), key: key, value: delivery.body, headers: headers,
            for: record)
    }

    /// How much of a record is kept. A larger one is named by its origin and size, since a broker that may refuse the dead
    /// letter would stop the stage for ever.
    private static let keptBytes = 65_536

    /// A record that cannot be read or mapped, with its original bytes. Key: its topic.
    package func write(
        _ message: borrowing KafkaMessage, reason: DeadLetterReason, message cause: String, event: EventID? = nil,
        for record: RecordReference, _ loop: StageLoop
    ) {
        let headers = KafkaHeaders(capacity: 6)
        let source = message.topic
        headers.add("reason", reason.rawValue)
        headers.add("message", cause)
        headers.add("origin", "\(source)/\(message.partition)/\(message.offset)")
        headers.add("attempt", "0")
        if let event { headers.add("event-id", event.description) }
        var value = message.value
        if let whole = value, whole.count > max(Self.keptBytes, largest) {
            headers.add("size", String(whole.count))
            value = UnsafeRawBufferPointer(rebasing: whole[..<Self.keptBytes])
        }
        let key = Array(source.utf8)
        loop.produce(
            topic, partition: Murmur2.partition(key, of: shards), key: key, value: value, headers: headers,
            for: record)
    }
}
