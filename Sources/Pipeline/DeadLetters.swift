// What is given up becomes a dead letter with everything needed to see why and to send it again.
package import Core
package import Kafka
internal import Runtime

/// A record copied out of the client's hands.
package struct KeptRecord: Sendable {
    let topic: String
    let origin: String
    let timestamp: Int64
    package let key: [UInt8]
    package let value: [UInt8]

    package init(_ message: borrowing KafkaMessage) {
        topic = message.topic
        origin = "\(topic)/\(message.partition)/\(message.offset)"
        timestamp = message.timestamp
        key = Array(message.key)
        value = message.value.map { Array($0) } ?? []
    }
}

package struct DeadLetters {
    private let topic: KafkaProducer.Topic
    private let shards: Int
    private let largest: Int
    private let written = Self.counters

    private static let counters = Dictionary(
        uniqueKeysWithValues: DeadLetterReason.allCases.map { reason in
            (reason, Metrics.counter("dead_letters_total", "Dead letters written.", ["reason": reason.rawValue]))
        })

    /// - Parameter largest: bytes of the largest record kept whole; `limits.payloadBytes`.
    package init(_ topics: Topics, _ producer: KafkaProducer, largest: Int) {
        self.largest = largest
        topic = producer.topic(topics.deadLetters)
        shards = topics.shards
    }

    /// A delivery that is given up. Key: webhook id.
    package func write(
        _ delivery: Delivery, reason: DeadLetterReason, message: String, for record: RecordReference, _ loop: StageLoop
    ) {
        written[reason]?.add()
        let headers = delivery.headers(extra: 2)
        headers.add("reason", reason.rawValue)
        headers.add("message", message)
        let key = Array(delivery.webhook.description.utf8)
        loop.produce(
            topic, partition: Murmur2.partition(key, of: shards), key: key, value: delivery.body, headers: headers,
            for: record)
    }

    // What is kept beside the value. Together with the largest cut value, this stays below what a topic takes whatever
    // `limits.payloadBytes` is: a broker that refused the dead letter would stop the stage for ever.

    /// How much of a record is kept that is larger than this and larger than a body may be. Such a record is named by its
    /// origin and size.
    private static let keptBytes = 65_536
    /// Before the names of a record's own headers, so that they cannot be taken for the dead letter's.
    package static let sourcePrefix: StaticString = "source."
    /// More headers than any envelope has. What follows the last one kept is counted in `source-headers-left-out`.
    private static let keptHeaders = 64
    /// Names and values.
    private static let keptHeaderBytes = 32_768
    /// A longer key, which no envelope reads, is left out.
    private static let keptKeyBytes = 16_384
    private static let keptCauseBytes = 4096

    /// A record that cannot be read or mapped, with its original bytes, and its key, time and headers in headers of
    /// their own: all that is needed to translate it again. Key: its topic.
    package func write(
        _ message: borrowing KafkaMessage, reason: DeadLetterReason, message cause: String, event: EventID? = nil,
        for record: RecordReference, _ loop: StageLoop
    ) {
        written[reason]?.add()
        let headers = KafkaHeaders(capacity: 16)
        let source = message.topic
        headers.add("reason", reason.rawValue)
        headers.add("message", Self.cut(cause))
        headers.add("origin", "\(source)/\(message.partition)/\(message.offset)")
        headers.add("attempt", "0")
        if let event { headers.add("event-id", event.description) }
        var value = message.value
        if let whole = value, whole.count > max(Self.keptBytes, largest) {
            headers.add("size", String(whole.count))
            value = UnsafeRawBufferPointer(rebasing: whole[..<Self.keptBytes])
        }
        if message.timestamp >= 0 { headers.add("source-timestamp", String(message.timestamp)) }
        if message.key.count > 0, message.key.count <= Self.keptKeyBytes { headers.add("source-key", message.key) }
        addSourceHeaders(of: message, to: headers)
        let key = Array(source.utf8)
        loop.produce(
            topic, partition: Murmur2.partition(key, of: shards), key: key, value: value, headers: headers,
            for: record)
    }

    /// A record of the bridge's own that is given up some time after it was read. Key: its topic.
    package func write(
        _ kept: KeptRecord, reason: DeadLetterReason, message cause: String, for record: RecordReference,
        _ loop: StageLoop
    ) {
        written[reason]?.add()
        let headers = KafkaHeaders(capacity: 6)
        headers.add("reason", reason.rawValue)
        headers.add("message", Self.cut(cause))
        headers.add("origin", kept.origin)
        headers.add("attempt", "0")
        if kept.timestamp >= 0 { headers.add("source-timestamp", String(kept.timestamp)) }
        headers.add("source-key", kept.key)
        let key = Array(kept.topic.utf8)
        loop.produce(
            topic, partition: Murmur2.partition(key, of: shards), key: key, value: kept.value, headers: headers,
            for: record)
    }

    /// Values go over as they are: bytes, empty, or none at all; names that occur twice keep their order.
    private func addSourceHeaders(of message: borrowing KafkaMessage, to headers: borrowing KafkaHeaders) {
        var name: [UInt8] = []
        var count = 0
        var kept = 0
        var bytes = 0
        message.forEachHeader { original, value in
            count += 1
            bytes += original.count + value.count
            guard count <= Self.keptHeaders, bytes <= Self.keptHeaderBytes else { return }
            name.removeAll(keepingCapacity: true)
            name.append(contentsOf: UnsafeBufferPointer(start: Self.sourcePrefix.utf8Start, count: Self.prefixBytes))
            name.append(contentsOf: original)
            name.withUnsafeBytes { headers.add(name: $0, value) }
            kept = count
        }
        if count > kept { headers.add("source-headers-left-out", String(count - kept)) }
    }

    private static var prefixBytes: Int { sourcePrefix.utf8CodeUnitCount }

    private static func cut(_ cause: String) -> String {
        cause.utf8.count <= keptCauseBytes
            ? cause : String(decoding: cause.utf8.prefix(keptCauseBytes), as: UTF8.self) + "…"
    }
}
