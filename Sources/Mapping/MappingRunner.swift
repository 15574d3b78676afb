// Runs a plan over one parsed record and writes the body: one pass, no String on the way for what is passed through.
package import Core
package import JSON

/// One webhook body made from a record.
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
}

/// What identifies a record beside its own content.
package struct RecordOrigin: Sendable {
    package let topic: String
    package let partition: Int32
    package let offset: Int64

    package init(topic: String, partition: Int32, offset: Int64) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
    }

    /// `topic/partition/offset`, the header `origin`.
    package var text: String { "\(topic)/\(partition)/\(offset)" }
}

extension MappingPlan {
    /// Maps a record.
    /// - Parameters:
    ///   - writer: reset and filled with the body.
    ///   - digest: the first 12 bytes of SHA-256, which Core and Mapping leave to their caller.
    /// - Returns: nil when the mapping ignores this event type.
    /// - Throws: ``MappingFailure`` with the reason a person can act on.
    package func map(
        _ record: JSONValue, origin: RecordOrigin, into writer: inout JSONWriter, digest: ([UInt8]) -> EventID
    ) throws -> MappedEvent? {
        guard record.isObject else {
            throw unmappable("a domain record must be a JSON object, not \(record.kind.rawValue)")
        }
        guard let typeName = type.find(in: record)?.string else {
            throw unmappable("the event type at \(type) is missing or no string")
        }
        guard let event = events[typeName] else {
            if ignoresUnknown || ignore.contains(where: { $0.matches(typeName) }) { return nil }
            throw unmappable("event type \"\(printable(typeName))\" has no mapping for topic \(topic)")
        }
        let audience = try audience(of: record, typeName)
        let id = digest(try identity(of: record, event.webhookType, origin, typeName))
        writer.reset()
        writer.beginObject()
        writer.key("id")
        withUnsafeTemporaryID(id) { writer.string($0) }
        writer.field("type", event.webhookType)
        writer.key("created")
        try write(.time, created.find(in: record), "created (\(created))", typeName, &writer)
        writer.field("version", "1.0")
        writer.key("data")
        writer.beginObject()
        for field in event.fields { try write(field, of: record, typeName, &writer) }
        writer.endObject()
        writer.endObject()
        return MappedEvent(webhookType: event.webhookType, audience: audience, event: id)
    }

    private func audience(of record: JSONValue, _ typeName: String) throws -> MappedEvent.Audience {
        switch audience {
        case .everyone: return .everyone
        case .account(let pointer):
            guard let account = pointer.find(in: record)?.stringBytes, account.count > 0 else {
                throw MappingFailure(
                    reason: .noAudience,
                    description: "\(typeName): no account at \(pointer), so nobody may hear of it; set it, or the "
                        + "mapping's audience to \"everyone\"")
            }
            return AccountID(account).map { .account($0) } ?? .unknownAccount
        }
    }

    /// What the event id is the digest of (contract §1): source topic, NUL, CloudEvents source if any, NUL, the domain
    /// event's own id (else partition/offset), NUL, webhook type, NUL, index within the record.
    private func identity(
        of record: JSONValue, _ webhookType: String, _ origin: RecordOrigin, _ typeName: String
    ) throws -> [UInt8] {
        var identity: [UInt8] = []
        identity.reserveCapacity(128)
        identity.append(contentsOf: origin.topic.utf8)
        identity.append(0)
        identity.append(0)
        let own = id?.find(in: record)
        if let bytes = own?.stringBytes, bytes.count > 0 {
            identity.append(contentsOf: bytes)
        } else if let number = own?.int64 {
            identity.append(contentsOf: String(number).utf8)
        } else if own == nil || own?.isNull == true {
            identity.append(contentsOf: "\(origin.partition)/\(origin.offset)".utf8)
        } else {
            throw unmappable("\(typeName): the event's id at \(id?.description ?? "") must be a string or an integer")
        }
        identity.append(0)
        identity.append(contentsOf: webhookType.utf8)
        identity.append(0)
        identity.append(UInt8(ascii: "0"))
        return identity
    }

    private func write(
        _ field: FieldPlan, of record: JSONValue, _ typeName: String, _ writer: inout JSONWriter
    ) throws {
        switch field.source {
        case .constant(let json):
            writer.key(prepared: field.key)
            writer.raw(json)
        case .pointer(let pointer):
            guard let value = pointer.find(in: record), !value.isNull else {
                if field.isOptional { return }
                throw unmappable("\(typeName): field \(field.name): nothing at \(pointer), and it is not optional")
            }
            writer.key(prepared: field.key)
            try write(field.kind, value, "field \(field.name) (\(pointer))", typeName, &writer)
        case .template(let parts):
            var text: [UInt8] = []
            for part in parts {
                switch part {
                case .text(let bytes): text.append(contentsOf: bytes)
                case .pointer(let pointer):
                    guard let value = pointer.find(in: record), let bytes = scalarText(value) else {
                        if field.isOptional { return }
                        throw unmappable("\(typeName): field \(field.name): no text or integer at \(pointer)")
                    }
                    text.append(contentsOf: bytes)
                }
            }
            writer.key(prepared: field.key)
            text.withUnsafeBytes { writer.string($0) }
        }
    }

    private func write(
        _ kind: ValueKind, _ value: JSONValue?, _ place: String, _ typeName: String, _ writer: inout JSONWriter
    ) throws {
        guard let value else { throw unmappable("\(typeName): \(place): nothing there") }
        func wrong(_ expected: String) -> MappingFailure {
            unmappable("\(typeName): \(place): expected \(expected), came \(value.kind.rawValue)")
        }
        switch kind {
        case .any: writer.value(value)
        case .string:
            guard let bytes = value.stringBytes else { throw wrong("a string") }
            writer.string(bytes)
        case .integer:
            guard value.kind == .integer else { throw wrong("an integer") }
            writer.value(value)
        case .number:
            guard value.double != nil else { throw wrong("a number") }
            writer.value(value)
        case .boolean:
            guard let flag = value.bool else { throw wrong("true or false") }
            writer.boolean(flag)
        case .decimal:
            if let bytes = value.stringBytes {
                guard isDecimal(bytes) else { throw wrong("a decimal such as \"0.25\"") }
                writer.string(bytes)
            } else if value.double != nil {
                var number = JSONWriter()
                number.value(value)
                let digits = number.bytes.filter { $0 != UInt8(ascii: "\"") }
                digits.withUnsafeBytes { writer.string($0) }
            } else {
                throw wrong("a decimal such as \"0.25\"")
            }
        case .time:
            guard let bytes = value.stringBytes, let time = Timestamp(rfc3339: bytes) else {
                throw wrong("an RFC 3339 time such as 2024-01-15T10:30:00Z")
            }
            var text: [UInt8] = []
            text.reserveCapacity(20)
            time.appendRFC3339(to: &text, fraction: false)
            text.withUnsafeBytes { writer.string($0) }
        }
    }

    private func unmappable(_ description: String) -> MappingFailure {
        MappingFailure(reason: .unmappable, description: description)
    }
}

/// Event types come from records: what is not plain ASCII is not repeated in an error's text.
private func printable(_ name: String) -> String {
    String(
        decoding: name.utf8.prefix(64).map {
            $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") ? $0 : UInt8(ascii: "?")
        }, as: UTF8.self)
}

private func scalarText(_ value: JSONValue) -> [UInt8]? {
    if let bytes = value.stringBytes { return Array(bytes) }
    return value.int64.map { Array(String($0).utf8) }
}

private func isDecimal(_ text: UnsafeRawBufferPointer) -> Bool {
    var digits = 0
    var points = 0
    for (position, byte) in text.enumerated() {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digits += 1
        case UInt8(ascii: ".") where digits > 0: points += 1
        case UInt8(ascii: "-") where position == 0: break
        default: return false
        }
    }
    return digits > 0 && points <= 1 && text[text.count - 1] != UInt8(ascii: ".")
}

private func withUnsafeTemporaryID(_ id: EventID, _ body: (UnsafeRawBufferPointer) -> Void) {
    var text: [UInt8] = []
    text.reserveCapacity(EventID.textLength)
    id.append(to: &text)
    text.withUnsafeBytes { body($0) }
}
