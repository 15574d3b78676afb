// A record of a domain topic as the mapper gets it, and the events it makes of it.
package import Core
package import JSON

/// A header of a record; valid as long as the record is.
package struct RecordHeader {
    package let name: UnsafeRawBufferPointer
    package let value: UnsafeRawBufferPointer

    package init(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        self.name = name
        self.value = value
    }
}

/// A record of a domain topic, borrowed: nothing of it may be kept beyond the call it is passed to.
package struct DomainRecord {
    package let topic: String
    package let partition: Int32
    package let offset: Int64
    /// Milliseconds since 1970; -1 where the broker keeps none.
    package let timestamp: Int64
    package let value: UnsafeRawBufferPointer
    package let headers: [RecordHeader]

    package init(
        topic: String, partition: Int32, offset: Int64, timestamp: Int64 = -1, value: UnsafeRawBufferPointer,
        headers: [RecordHeader] = []
    ) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
        self.value = value
        self.headers = headers
    }

    /// `topic/partition/offset`, the header `origin`.
    package var origin: String {
        // Room for the whole, made once: an interpolation would grow it three times for every record.
        var text = ""
        text.reserveCapacity(topic.utf8.count + 32)
        text += topic
        text += "/"
        text += String(partition)
        text += "/"
        text += String(offset)
        return text
    }

    /// The last header of that name.
    func header(_ name: some Collection<UInt8>) -> UnsafeRawBufferPointer? {
        headers.last { $0.name.elementsEqual(name) }?.value
    }

    func header(_ name: StaticString) -> UnsafeRawBufferPointer? {
        guard !headers.isEmpty else { return nil }
        return header(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }
}

/// What stands at a place of a record.
enum Found {
    case nothing
    case json(JSONValue)
    /// A header's bytes, which are UTF-8.
    case text(UnsafeRawBufferPointer)
    /// A header whose bytes are no text.
    case binary
    /// The record's timestamp, since 1970.
    case milliseconds(Int64)

    init(_ value: JSONValue?) { self = value.map { $0.isNull ? .nothing : .json($0) } ?? .nothing }

    init(header bytes: UnsafeRawBufferPointer?) {
        // A header's value may be null, as against empty.
        guard let bytes, bytes.baseAddress != nil else {
            self = .nothing
            return
        }
        self = String(validating: bytes, as: UTF8.self) == nil ? .binary : .text(bytes)
    }

    var isNothing: Bool { if case .nothing = self { true } else { false } }

    var textBytes: UnsafeRawBufferPointer? {
        switch self {
        case .json(let value): value.stringBytes
        case .text(let bytes): bytes
        case .nothing, .binary, .milliseconds: nil
        }
    }

    /// What a reason says came instead.
    var kindName: String {
        switch self {
        case .nothing: "nothing"
        case .json(let value): value.kind.rawValue
        case .text: "a header's text"
        case .binary: "a header that is not UTF-8"
        case .milliseconds: "the record's timestamp"
        }
    }
}

/// A record whose envelope has been read.
package struct OpenedRecord {
    let record: DomainRecord
    /// The value as a whole, as far as paths can reach it: nil where the envelope leaves only the payload.
    package let root: JSONValue?
    package let payload: JSONValue?
    let type: UnsafeRawBufferPointer
    let id: Found
    /// The CloudEvents source; empty for other envelopes.
    let source: UnsafeRawBufferPointer
    let created: Found
    let account: Found
    let isCloudEvent: Bool
    /// The W3C trace context, from the header or a CloudEvents attribute of that name.
    let traceparent: UnsafeRawBufferPointer?

    /// The last header of that name.
    package func header(_ name: String) -> UnsafeRawBufferPointer? { record.header(name.utf8) }
}

/// One webhook body made from a record; its bytes are the mapper's.
package struct MappedEvent: Sendable {
    package enum Audience: Sendable, Equatable {
        case account(AccountID)
        /// The record names an account the bridge's ids cannot be: nobody has webhooks there.
        case unknownAccount
        case everyone
    }
    package let webhookType: String
    package let audience: Audience
    package let event: EventID
    /// Where the body stands in ``Mapper/bytes``.
    package let body: Range<Int>
}
