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

    /// Before the names of a record's own headers, so that they cannot be taken for the dead letter's.
    package static let sourcePrefix = "source."
    /// More headers than any envelope has.
    private static let keptHeaders = 64
    private static let keptHeaderBytes = 65_536

    /// A record that cannot be read or mapped, with its original bytes, and its key, time and headers in headers of
    /// their own: all that is needed to translate it again. Key: its topic.
    package func write(
        _ message: borrowing KafkaMessage, reason: DeadLetterReason, message cause: String, event: EventID? = nil,
        for record: RecordReference, _ loop: StageLoop
    ) {
        let headers = KafkaHeaders(capacity: 16)
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
        if message.timestamp >= 0 { headers.add("source-timestamp", String(message.timestamp)) }
        if message.key.count > 0, message.key.count <= Self.keptHeaderBytes { headers.add("source-key", message.key) }
        var kept: [(name: [UInt8], value: [UInt8])] = []
        var bytes = 0
        var leftOut = 0
        message.forEachHeader { name, value in
            bytes += name.count + value.count
            guard kept.count < Self.keptHeaders, bytes <= Self.keptHeaderBytes else { return leftOut += 1 }
            kept.append((Self.sourcePrefix.utf8 + Array(name), Array(value)))
        }
        for (name, value) in kept { headers.add(name: name, value) }
        if leftOut > 0 { headers.add("source-headers-left-out", String(leftOut)) }
        let key = Array(source.utf8)
        loop.produce(
            topic, partition: Murmur2.partition(key, of: shards), key: key, value: value, headers: headers,
            for: record)
    }
}
