// Runs plans over records: parse once, walk once, write the bodies. No String, no dictionary and, after the first few
// records, no allocation on the way.
internal import Core
internal import Crypto
internal import JSON

/// One owner; not thread-safe. Bodies and events are valid until the next record.
package final class Mapper {
    private let parser = JSONParser()
    /// For JSON inside a string, while the record around it is in use.
    private let innerParser = JSONParser()
    private var identity: [UInt8] = []
    private var writer = JSONWriter(reserving: 4096)
    private var scratch = FieldScratch()
    private var slots = UnsafeMutableBufferPointer<JSONValue?>.allocate(capacity: 64)
    /// The trace context that came with the last record; valid as long as the record is.
    package private(set) var traceparent: UnsafeRawBufferPointer?
    /// What the last record became; empty when its mapping passes it over.
    package private(set) var events: [MappedEvent] = []

    private let bodyBytes: Int
    /// Bodies of one record together, in bodies of the largest size.
    private static let mostBodies = 16
    /// A buffer that one record made larger than this is not kept for the next.
    private static let keptBytes = 4 << 20

    /// - Parameter bodyBytes: where writing a body is given up; well above what may be sent, so that a body a little too large
    ///   can still be named with its size.
    package init(bodyBytes: Int = 8 << 20) {
        self.bodyBytes = bodyBytes
        slots.initialize(repeating: nil)
        events.reserveCapacity(16)
    }

    deinit { slots.deallocate() }

    /// The bodies of ``events``.
    package var bytes: [UInt8] { writer.bytes }

    /// - Throws: ``MappingFailure`` with the reason a person can act on; nothing of the record is to be sent then.
    package func map(_ record: DomainRecord, by plan: MappingPlan) throws(MappingFailure) {
        events.removeAll(keepingCapacity: true)
        traceparent = nil
        if writer.bytes.capacity > Self.keptBytes { writer = JSONWriter(reserving: 4096) } else { writer.reset() }
        do throws(MappingFailure) {
            let (value, isFramed) = try unframed(record.value, plan)
            let root = try parse(value, with: parser, isFramed ? "behind the Confluent frame: not JSON" : "not JSON")
            let opened = try EnvelopeReader(plan: plan, record: record).open(root) {
                (text) throws(MappingFailure) in try parse(text, with: innerParser, "the text in the payload: not JSON")
            }
            if let opened {
                traceparent = opened.traceparent
                try run(opened, plan)
            }
        } catch {
            events.removeAll(keepingCapacity: true)
            throw error.inside(plan.file)
        }
    }

    private func unframed(
        _ value: UnsafeRawBufferPointer, _ plan: MappingPlan
    ) throws(MappingFailure) -> (UnsafeRawBufferPointer, Bool) {
        guard let first = value.first, first == 0 else { return (value, false) }
        guard plan.envelopes.contains(.confluentJSON) else {
            throw MappingFailure("the record has a Confluent frame, and the mapping's envelope has no confluent-json")
        }
        guard value.count > 5 else { throw MappingFailure("a Confluent frame with nothing inside") }
        return (UnsafeRawBufferPointer(rebasing: value[5...]), true)
    }

    private func parse(
        _ text: UnsafeRawBufferPointer, with parser: JSONParser, _ what: String
    ) throws(MappingFailure) -> JSONValue {
        do { return try parser.root(of: text) } catch { throw MappingFailure("\(what): \(error)") }
    }

    private func run(_ record: OpenedRecord, _ plan: MappingPlan) throws(MappingFailure) {
        guard let event = plan.find(record) else {
            if plan.ignoresUnknown
                || plan.ignore.contains(where: { $0.matches(record.type) || $0.matches(record.shortType) })
            {
                return
            }
            throw MappingFailure(
                "event type \"\(printable(record.type))\" has no mapping; map it, or put it under ignore")
        }
        do throws(MappingFailure) {
            let audience = try audience(of: record, plan)
            let created = try created(of: record)
            for (position, output) in event.outputs.enumerated() {
                empty(plan.slotCount)
                if let payload = record.payload { output.payloadPaths.walk(payload, into: slots) }
                if let root = record.root { output.rootPaths.walk(root, into: slots) }
                let values = FoundValues(
                    record: record.record, slots: slots, mostBytes: writer.bytes.count + bodyBytes)
                guard output.conditions.allSatisfy({ values.hold($0) }) else { continue }
                switch output.content {
                case .fields(let head, let fields):
                    let begin = try beginBody(head, position, record, created)
                    try values.write(fields, to: &writer, &scratch)
                    endBody(head.webhookType, begin, audience)
                case .plugin(let plugin):
                    try emit(from: plugin, record, audience, created)
                }
            }
        } catch {
            throw error.inside(String(decoding: event.type, as: UTF8.self))
        }
    }

    private func emit(
        from plugin: any MappingPlugin, _ record: OpenedRecord, _ audience: MappedEvent.Audience,
        _ created: Timestamp
    ) throws(MappingFailure) {
        var count = 0
        try plugin.map(record) { (type, members) throws(MappingFailure) in
            guard plugin.webhookTypes.contains(type) else {
                preconditionFailure("plugin \(plugin.name) does not declare \(type)")
            }
            let begin = try beginBody(MappingPlan.BodyHead(type), count, record, created)
            try members(&writer)
            endBody(type, begin, audience)
            count += 1
            guard writer.bytes.count <= Self.mostBodies * bodyBytes else {
                throw MappingFailure("the plugin writes far more than is allowed", reason: .tooLarge)
            }
        }
    }

    // MARK: Parts of an event

    private func audience(of record: OpenedRecord, _ plan: MappingPlan) throws(MappingFailure) -> MappedEvent.Audience {
        guard case .account(let place, let name) = plan.audience else { return .everyone }
        guard let account = record.account.textBytes, account.count > 0 else {
            guard record.account.isNothing || record.account.textBytes?.count == 0 else {
                throw MappingFailure(
                    "the account at \(place.text): expected a string, came \(record.account.kindName)",
                    reason: .noAudience)
            }
            let attribute =
                record.isCloudEvent && !name.isEmpty ? "attribute \(String(decoding: name, as: UTF8.self)) or " : ""
            throw MappingFailure(
                "no account at \(attribute)\(place.text), so nobody may hear of it; set it, or the mapping's audience to "
                    + "\"everyone\"", reason: .noAudience)
        }
        return AccountID(account).map { .account($0) } ?? .unknownAccount
    }

    private func created(of record: OpenedRecord) throws(MappingFailure) -> Timestamp {
        switch record.created {
        case .milliseconds(let milliseconds): return Timestamp(milliseconds: milliseconds)
        case .nothing: throw MappingFailure("the time of the event is missing")
        default:
            guard let time = record.created.textBytes.flatMap({ Timestamp(rfc3339: $0) }) else {
                throw MappingFailure(
                    "the time of the event: expected \(ValueKind.time(.text).expectation), came "
                        + record.created.kindName)
            }
            return time
        }
    }

    private func beginBody(
        _ head: MappingPlan.BodyHead, _ index: Int, _ record: OpenedRecord, _ created: Timestamp
    ) throws(MappingFailure) -> (offset: Int, event: EventID) {
        let event = try identify(record, head.webhookType, index)
        let offset = writer.bytes.count
        scratch.bytes.removeAll(keepingCapacity: true)
        scratch.bytes.append(contentsOf: MappingPlan.BodyHead.begin)
        event.append(to: &scratch.bytes)
        scratch.bytes.append(contentsOf: head.middle)
        created.appendRFC3339(to: &scratch.bytes, fraction: false)
        scratch.bytes.append(contentsOf: MappingPlan.BodyHead.end)
        writer.begin(prepared: scratch.bytes)
        return (offset, event)
    }

    private func endBody(
        _ webhookType: String, _ begin: (offset: Int, event: EventID), _ audience: MappedEvent.Audience
    ) {
        writer.endObject()
        writer.endObject()
        events.append(
            MappedEvent(
                webhookType: webhookType, audience: audience, event: begin.event,
                body: begin.offset..<writer.bytes.count))
    }

    /// What the event id is the digest of (contract §1): source topic, NUL, CloudEvents source if any, NUL, the domain
    /// event's own id (else partition/offset), NUL, webhook type, NUL, index within the record.
    private func identify(
        _ record: OpenedRecord, _ webhookType: String, _ index: Int
    ) throws(MappingFailure) -> EventID {
        identity.removeAll(keepingCapacity: true)
        identity.append(contentsOf: record.record.topic.utf8)
        identity.append(0)
        identity.append(contentsOf: record.source)
        identity.append(0)
        if let bytes = record.id.textBytes, bytes.count > 0 {
            identity.append(contentsOf: bytes)
        } else if case .json(let value) = record.id, let number = value.int64 {
            appendDigits(number)
        } else if record.id.isNothing {
            appendDigits(Int64(record.record.partition))
            identity.append(UInt8(ascii: "/"))
            appendDigits(record.record.offset)
        } else {
            throw MappingFailure(
                "the event's id must be a text that is not empty, or an integer, came \(record.id.kindName)")
        }
        identity.append(0)
        identity.append(contentsOf: webhookType.utf8)
        identity.append(0)
        appendDigits(Int64(index))
        let (high, low) = Digest.prefix(of: identity)
        return EventID(high: high, low: low)
    }

    private func appendDigits(_ number: Int64) {
        if (0...9).contains(number) {
            identity.append(UInt8(ascii: "0") + UInt8(number))
        } else {
            identity.append(contentsOf: String(number).utf8)
        }
    }

    private func empty(_ count: Int) {
        if slots.count < count {
            slots.deallocate()
            slots = .allocate(capacity: count)
            slots.initialize(repeating: nil)
        }
        for slot in 0..<count { slots[slot] = nil }
    }
}

extension OpenedRecord {
    /// The type without a CloudEvent's reverse-DNS prefix.
    fileprivate var shortType: UnsafeRawBufferPointer {
        guard isCloudEvent, let point = type.lastIndex(of: UInt8(ascii: ".")) else { return type }
        return UnsafeRawBufferPointer(rebasing: type[(point + 1)...])
    }
}

extension MappingPlan {
    /// A CloudEvents type may be written with a reverse-DNS prefix, and like the webhook type it becomes.
    fileprivate func find(_ record: OpenedRecord) -> DomainEvent? {
        let type = record.type
        if let exact = events.first(where: { type.elementsEqual($0.type) }) { return exact }
        guard record.isCloudEvent else { return nil }
        let short = record.shortType
        if let found = events.first(where: { short.elementsEqual($0.type) }) { return found }
        return events.first { event in
            guard event.outputs.count == 1, case .fields(let head, _) = event.outputs[0].content else { return false }
            let name = head.webhookType.utf8
            guard type.suffix(name.count).elementsEqual(name) else { return false }
            return type.count == name.count || type[type.count - name.count - 1] == UInt8(ascii: ".")
        }
    }
}

/// Event types come from records, and a place that is wrong could name a person's address: what does not look like a type's
/// name is not repeated.
private func printable(_ name: UnsafeRawBufferPointer) -> String {
    String(
        decoding: name.prefix(64).map { byte in
            let isPlain =
                byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")
                || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") || "._:/-".utf8.contains(byte)
            return isPlain ? byte : UInt8(ascii: "?")
        }, as: UTF8.self)
}
