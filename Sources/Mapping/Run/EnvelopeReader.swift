// Reads a record's envelope: what it is, when it happened, whose it is, and where its payload stands.
internal import JSON

struct EnvelopeReader {
    let plan: MappingPlan
    let record: DomainRecord

    /// - Parameters:
    ///   - root: the parsed value.
    ///   - parseText: parses JSON that stands in a string.
    /// - Returns: nil for records that say nothing new: an outbox row that was changed or deleted.
    func open(
        _ root: JSONValue, parseText: (UnsafeRawBufferPointer) throws(MappingFailure) -> JSONValue
    ) throws(MappingFailure) -> OpenedRecord? {
        if plan.envelopes.contains(.cloudEvents) {
            if record.header("ce_specversion") != nil { return try binaryCloudEvent(root) }
            if isStructuredCloudEvent(root) { return try structuredCloudEvent(root) }
        }
        if plan.envelopes.contains(.debeziumOutbox) { return try outbox(root, parseText) }
        guard plan.envelopes.contains(.plain) else {
            throw MappingFailure("expected a CloudEvent (envelope), came neither header ce_specversion nor specversion")
        }
        guard root.isObject else {
            throw MappingFailure("a domain record must be a JSON object, not \(root.kind.rawValue)")
        }
        return OpenedRecord(
            record: record, root: root, payload: plan.payload.find(in: root),
            type: try text(find(plan.attributes.type, in: root), "event type", at: plan.attributes.type.text),
            id: plan.attributes.id.map { find($0, in: root) } ?? .nothing, source: Self.noText,
            created: find(plan.attributes.created, in: root), account: account(in: root), isCloudEvent: false,
            traceparent: record.header("traceparent"))
    }

    private static var noText: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }

    func find(_ place: Place, in root: JSONValue?) -> Found {
        switch place {
        case .pointer(let pointer): Found(root.flatMap { pointer.find(in: $0) })
        case .header(let name): Found(header: record.header(name))
        case .timestamp: record.timestamp >= 0 ? .milliseconds(record.timestamp) : .nothing
        }
    }

    private func account(in root: JSONValue?) -> Found {
        guard case .account(let place, _) = plan.audience else { return .nothing }
        return find(place, in: root)
    }

    private func text(_ found: Found, _ what: String, at place: String) throws(MappingFailure) -> UnsafeRawBufferPointer
    {
        guard let bytes = found.textBytes, bytes.count > 0 else {
            throw MappingFailure(
                found.isNothing
                    ? "the \(what) at \(place) is missing"
                    : "the \(what) at \(place) must be a text that is not empty, came \(found.kindName)")
        }
        return bytes
    }

    // MARK: CloudEvents 1.0

    private static let specversion = Array("specversion".utf8)

    private func isStructuredCloudEvent(_ root: JSONValue) -> Bool {
        if let type = record.header("content-type"), type.starts(with: "application/cloudevents+json".utf8) {
            return true
        }
        return Self.specversion.withUnsafeBytes { root.member($0) }?.stringBytes != nil
    }

    private func structuredCloudEvent(_ root: JSONValue) throws(MappingFailure) -> OpenedRecord {
        guard root.isObject else {
            throw MappingFailure("a structured CloudEvent must be a JSON object, not \(root.kind.rawValue)")
        }
        if root["data_base64"] != nil { throw MappingFailure("CloudEvents data_base64 is not read; send JSON in data") }
        return try cloudEvent(
            data: root["data"], root: root, contentType: Found(root["datacontenttype"]).textBytes
        ) { Found(root.member($0)) }
    }

    private func binaryCloudEvent(_ data: JSONValue) throws(MappingFailure) -> OpenedRecord {
        try cloudEvent(data: data, root: nil, contentType: record.header("content-type")) { name in
            let found = record.headers.last {
                $0.name.starts(with: "ce_".utf8) && $0.name.dropFirst(3).elementsEqual(name)
            }
            return Found(header: found?.value)
        }
    }

    /// - Parameter attribute: looks a context attribute up by its name.
    private func cloudEvent(
        data: JSONValue?, root: JSONValue?, contentType: UnsafeRawBufferPointer?,
        attribute: (UnsafeRawBufferPointer) -> Found
    ) throws(MappingFailure) -> OpenedRecord {
        func named(_ name: StaticString) -> Found {
            attribute(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        }
        func needed(_ name: StaticString) throws(MappingFailure) -> UnsafeRawBufferPointer {
            try text(named(name), "CloudEvents attribute", at: "\(name)")
        }
        guard try needed("specversion").starts(with: "1.".utf8) else {
            throw MappingFailure("CloudEvents specversion: expected 1.0, came another")
        }
        if let contentType, !isJSON(contentType) {
            throw MappingFailure("CloudEvents data: expected JSON, its content type is another")
        }
        let carried = carried(data, otherwise: root)
        var account = Found.nothing
        if case .account(let place, let name) = plan.audience {
            if !name.isEmpty { account = name.withUnsafeBytes { attribute($0) } }
            if account.isNothing { account = find(place, in: data) }
            if account.isNothing { account = find(place, in: root) }
        }
        let time = named("time")
        return OpenedRecord(
            record: record, root: carried.root, payload: carried.payload, type: try needed("type"),
            id: .text(try needed("id")), source: try needed("source"),
            created: time.isNothing ? find(.timestamp, in: nil) : time, account: account, isCloudEvent: true,
            traceparent: record.header("traceparent") ?? named("traceparent").textBytes)
    }

    private func isJSON(_ contentType: UnsafeRawBufferPointer) -> Bool {
        let media = contentType.prefix { $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: " ") }.map { $0 | 0x20 }
        return media.elementsEqual("application/json".utf8) || media.elementsEqual("text/json".utf8)
            || media.suffix(5).elementsEqual("+json".utf8)
    }

    /// What an envelope carries is either the payload or a whole plain record, which has its payload inside.
    private func carried(_ data: JSONValue?, otherwise root: JSONValue?) -> (root: JSONValue?, payload: JSONValue?) {
        if let data, case .pointer(let type) = plan.attributes.type, type.find(in: data) != nil,
            let payload = plan.payload.find(in: data)
        {
            return (data, payload)
        }
        return (root, data)
    }

    // MARK: Debezium's outbox

    /// Either what the event router made, the payload with id and type in headers, or a change event of the table itself.
    private func outbox(
        _ value: JSONValue, _ parseText: (UnsafeRawBufferPointer) throws(MappingFailure) -> JSONValue
    ) throws(MappingFailure) -> OpenedRecord? {
        // JsonConverter with schemas wraps whatever it converts.
        let value = value["schema"] != nil ? value["payload"] ?? value : value
        var row: JSONValue?
        var content = Optional(value)
        if let operation = value["op"]?.stringBytes, value["source"] != nil || value["after"] != nil {
            guard operation.elementsEqual("c".utf8) || operation.elementsEqual("r".utf8) else { return nil }
            guard let after = value["after"], after.isObject else {
                throw MappingFailure("the change event's after: expected an object")
            }
            row = after
            content = after["payload"]
        }
        if let text = content?.stringBytes { content = try parseText(text) }
        let carried = carried(content, otherwise: row)
        func attribute(_ place: Place, column: String) -> Found {
            let found = find(place, in: content)
            if !found.isNothing { return found }
            if case .pointer = place, let row { return find(place, in: row) }
            return Found(row?[column])
        }
        var account = Found.nothing
        if case .account(let place, _) = plan.audience {
            account = find(place, in: content)
            if account.isNothing { account = find(place, in: row) }
            if account.isNothing, case .pointer(let pointer) = place, let name = pointer.tokens.last {
                account = Found(header: record.header(name))
            }
        }
        return OpenedRecord(
            record: record, root: carried.root, payload: carried.payload,
            type: try text(
                attribute(plan.attributes.type, column: "type"), "event type", at: plan.attributes.type.text),
            id: plan.attributes.id.map { attribute($0, column: "id") } ?? .nothing, source: Self.noText,
            created: attribute(plan.attributes.created, column: "timestamp"), account: account, isCloudEvent: false,
            traceparent: record.header("traceparent"))
    }
}
