// A mapping file, compiled: how a record of one domain topic becomes webhook bodies. Nothing in it changes; ``Mapper``
// runs it.

package final class MappingPlan: Sendable {
    package let topic: String
    /// The file's name without its folder, for the reasons of dead letters.
    package let file: String
    let envelopes: EnvelopeSet
    let attributes: Attributes
    /// Where a plain record, or a CloudEvent that carries one whole, has its payload.
    let payload: JSONPointer
    let audience: Audience
    let ignore: [IgnorePattern]
    let ignoresUnknown: Bool
    let events: [DomainEvent]
    /// Room for what one event's paths find.
    let slotCount: Int

    init(
        topic: String, file: String, envelopes: EnvelopeSet, attributes: Attributes, payload: JSONPointer,
        audience: Audience, ignore: [IgnorePattern], ignoresUnknown: Bool, events: [DomainEvent], slotCount: Int
    ) {
        self.topic = topic
        self.file = file
        self.envelopes = envelopes
        self.attributes = attributes
        self.payload = payload
        self.audience = audience
        self.ignore = ignore
        self.ignoresUnknown = ignoresUnknown
        self.events = events
        self.slotCount = slotCount
    }

    /// Where the envelope's attributes stand in records that are no CloudEvents.
    struct Attributes: Sendable {
        let type: Place
        let id: Place?
        let created: Place
    }

    enum Audience: Sendable {
        /// In a CloudEvent the attribute of this name comes first.
        case account(Place, extensionName: [UInt8])
        case everyone
    }

    /// A domain event type and the webhook events it becomes, each under its own conditions.
    final class DomainEvent: Sendable {
        let type: [UInt8]
        let outputs: [EventPlan]

        init(type: [UInt8], outputs: [EventPlan]) {
            self.type = type
            self.outputs = outputs
        }
    }

    final class EventPlan: Sendable {
        let conditions: [Condition]
        let payloadPaths: PathTrie
        let rootPaths: PathTrie
        let content: Content

        init(conditions: [Condition], payloadPaths: PathTrie, rootPaths: PathTrie, content: Content) {
            self.conditions = conditions
            self.payloadPaths = payloadPaths
            self.rootPaths = rootPaths
            self.content = content
        }

        enum Content: Sendable {
            case fields(BodyHead, [FieldPlan])
            case plugin(any MappingPlugin)
        }
    }

    /// The parts of a body before its data that are known at start.
    struct BodyHead: Sendable {
        let webhookType: String
        /// What stands between the id and the time: `","type":"module.completed","created":"`.
        let middle: [UInt8]

        init(_ webhookType: String) {
            self.webhookType = webhookType
            middle = Array("\",\"type\":\"\(webhookType)\",\"created\":\"".utf8)
        }

        static let begin = Array("{\"id\":\"".utf8)
        static let end = Array("\",\"version\":\"1.0\",\"data\":{".utf8)
    }

    /// A domain event type to pass over: exact, or a prefix with `*` at its end.
    struct IgnorePattern: Sendable {
        let prefix: [UInt8]
        let isPrefix: Bool

        init(_ text: String) {
            isPrefix = text.hasSuffix("*")
            prefix = Array((isPrefix ? text.dropLast() : text[...]).utf8)
        }

        func matches(_ name: UnsafeRawBufferPointer) -> Bool {
            isPrefix ? name.starts(with: prefix) : name.elementsEqual(prefix)
        }
    }

    /// The webhook types this plan can produce.
    package var webhookTypes: [String] {
        Set(
            events.flatMap { event in
                event.outputs.flatMap { output in
                    switch output.content {
                    case .fields(let head, _): [head.webhookType]
                    case .plugin(let plugin): plugin.webhookTypes
                    }
                }
            }
        ).sorted()
    }
}

/// One member of a payload.
final class FieldPlan: Sendable {
    /// The key.
    let member: String
    /// The key with those of the objects around it, for reasons: `metadata.score`.
    let name: String
    /// The containers of the body around it: 2 in `data` itself.
    let depth: Int
    /// The key as JSON with its colon, prepared at start.
    let key: [UInt8]
    let source: Source
    let conditions: [Condition]

    init(member: String, name: String, depth: Int, key: [UInt8], source: Source, conditions: [Condition]) {
        self.member = member
        self.name = name
        self.depth = depth
        self.key = key
        self.source = source
        self.conditions = conditions
    }

    enum Source: Sendable {
        case value(Locator, ValueKind, whenMissing: WhenMissing)
        /// JSON that stands in the file.
        case constant([UInt8])
        case template([TemplatePart], whenMissing: WhenMissing)
        case object([FieldPlan])
        case each(Locator, ElementPlan, whenMissing: WhenMissing)
    }

    enum WhenMissing: Sendable, Equatable {
        case fail
        /// The member is left out.
        case leaveOut
        /// This JSON is written.
        case write([UInt8])
    }

    enum TemplatePart: Sendable {
        case text([UInt8])
        case value(Locator)
    }
}

/// What each element of an array becomes.
final class ElementPlan: Sendable {
    let paths: PathTrie
    /// The slots of its paths, emptied before each element.
    let slots: Range<Int>
    let content: Content

    init(paths: PathTrie, slots: Range<Int>, content: Content) {
        self.paths = paths
        self.slots = slots
        self.content = content
    }

    enum Content: Sendable {
        case object([FieldPlan])
        case value(ValueKind)
    }
}

/// Where a value of a record stands, as a mapping file names it.
enum Place: Sendable, Equatable {
    case pointer(JSONPointer)
    case header([UInt8])
    /// The time Kafka keeps with the record.
    case timestamp

    /// As the mapping file writes it.
    var text: String {
        switch self {
        case .pointer(let pointer): pointer.description.isEmpty ? "the whole" : pointer.description
        case .header(let name): "header:" + String(decoding: name, as: UTF8.self)
        case .timestamp: "timestamp"
        }
    }
}

/// A place, and where the walk over the record puts what it finds there. A class, like the plans: copied for each field of
/// each record, as a value it would count references to every part of its path.
final class Locator: Sendable {
    let place: Place
    /// -1 for places that are not in the record's value.
    let slot: Int

    init(place: Place, slot: Int) {
        self.place = place
        self.slot = slot
    }
}

/// What must hold for an event or a member to be written.
struct Condition: Sendable {
    let locator: Locator
    let test: Test

    enum Test: Sendable {
        case isOneOf([Scalar])
        case isPresent(Bool)
    }
}

/// A constant that a record's value is compared with.
enum Scalar: Sendable, Equatable {
    case text([UInt8])
    case integer(Int64)
    case number(Double)
    case boolean(Bool)
}
