// A record as librdkafka holds it, seen without copying, and the headers of a record to be produced.
internal import CRdKafka

/// A consumed record; valid only inside the closure that received it.
package struct KafkaMessage: ~Copyable {
    private let message: UnsafeMutablePointer<rd_kafka_message_t>

    init(_ message: UnsafeMutablePointer<rd_kafka_message_t>) { self.message = message }

    package var topic: String { String(cString: rd_kafka_topic_name(message.pointee.rkt)) }
    package var partition: Int32 { message.pointee.partition }
    package var offset: Int64 { message.pointee.offset }
    package var size: Int { message.pointee.len + message.pointee.key_len }

    /// Milliseconds since 1970; -1 where the broker keeps none.
    package var timestamp: Int64 { rd_kafka_message_timestamp(message, nil) }

    package var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: message.pointee.key, count: message.pointee.key_len)
    }

    /// nil for a tombstone, which is a normal event.
    package var value: UnsafeRawBufferPointer? {
        message.pointee.payload.map { UnsafeRawBufferPointer(start: $0, count: message.pointee.len) }
    }

    /// Calls `body` with each header's name and value, in order. A header without a value, which is not one with an empty
    /// value, has no base address. Names and values are valid as long as the message is.
    package func forEachHeader(_ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) {
        var headers: OpaquePointer?
        guard rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR, let headers else { return }
        forEachKafkaHeader(headers, body)
    }

    /// The last header of that name as text.
    package func header(_ wanted: StaticString) -> String? {
        var found: String?
        let wanted = UnsafeRawBufferPointer(start: wanted.utf8Start, count: wanted.utf8CodeUnitCount)
        forEachHeader { name, value in
            if name.elementsEqual(wanted) { found = String(decoding: value, as: UTF8.self) }
        }
        return found
    }
}

func forEachKafkaHeader(
    _ headers: OpaquePointer, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
) {
    var index = 0
    var name: UnsafePointer<CChar>?
    var value: UnsafeRawPointer?
    var size = 0
    while rd_kafka_header_get_all(headers, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR {
        if let name {
            body(
                UnsafeRawBufferPointer(start: name, count: strlenOf(name)),
                UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : size))
        }
        index += 1
    }
}

private func strlenOf(_ text: UnsafePointer<CChar>) -> Int {
    var length = 0
    while text[length] != 0 { length += 1 }
    return length
}

/// The headers of one record on its way out. Used up by ``KafkaProducer/produce(_:partition:key:value:headers:token:)``.
package struct KafkaHeaders: ~Copyable {
    private var handle: OpaquePointer?

    /// - Parameter capacity: how many headers are expected.
    package init(capacity: Int = 12) { handle = rd_kafka_headers_new(capacity) }

    private init(handle: OpaquePointer?) { self.handle = handle }

    /// No headers, without making room for any. Nothing can be added.
    package static var none: KafkaHeaders { KafkaHeaders(handle: nil) }

    deinit {
        if let handle { rd_kafka_headers_destroy(handle) }
    }

    package func add(_ name: StaticString, _ value: UnsafeRawBufferPointer) {
        rd_kafka_header_add(
            handle, UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self), name.utf8CodeUnitCount,
            value.baseAddress, value.count)
    }

    package func add(_ name: StaticString, _ value: String) {
        var value = value
        value.withUTF8 { add(name, UnsafeRawBufferPointer($0)) }
    }

    package func add(_ name: StaticString, _ value: [UInt8]) {
        value.withUnsafeBytes { add(name, $0) }
    }

    /// - Parameter value: nil for a header without a value.
    package func add(name: [UInt8], _ value: [UInt8]?) {
        name.withUnsafeBytes { name in
            guard let value else { return add(name: name, UnsafeRawBufferPointer(start: nil, count: 0)) }
            // An empty array may lend no address, which would make it a header without a value.
            if value.isEmpty { return add(name: name, UnsafeRawBufferPointer(rebasing: name[..<0])) }
            value.withUnsafeBytes { add(name: name, $0) }
        }
    }

    /// - Parameter value: without a base address for a header without a value.
    package func add(name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        rd_kafka_header_add(
            handle, name.baseAddress?.assumingMemoryBound(to: CChar.self), name.count, value.baseAddress, value.count)
    }

    /// Ownership goes to the caller.
    consuming func take() -> OpaquePointer? {
        let taken = handle
        handle = nil
        return taken
    }
}
