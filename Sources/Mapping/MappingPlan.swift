// A mapping file, compiled: how a record of one domain topic becomes webhook bodies.
internal import Core
internal import JSON

/// Why a record cannot be mapped: for the dead letter's `message`, the command line and nobody's eyes beyond. Names the
/// field and what kind of value came, never the value.
package struct MappingFailure: Error, Equatable, CustomStringConvertible, Sendable {
    package enum Reason: Sendable {
        case unmappable
        case noAudience
    }
    package let reason: Reason
    package let description: String
}

/// What a value must be, and how it is written.
package enum ValueKind: String, Sendable, CaseIterable {
    /// Whatever the record has, passed through.
    case any
    case string, integer, number, boolean
    /// A decimal as a string: `"0.25"`; numbers are written as strings.
    case decimal
    /// RFC 3339, normalised to UTC seconds with `Z`.
    case time
}

package struct MappingPlan: Sendable {
    package let topic: String
    let type: JSONPointer
    let id: JSONPointer?
    let created: JSONPointer
    let audience: Audience
    let ignore: [IgnorePattern]
    let ignoresUnknown: Bool
    let events: [String: EventPlan]

    enum Audience: Sendable, Equatable {
        case account(JSONPointer)
        case everyone
    }

    struct EventPlan: Sendable {
        let webhookType: String
        /// `"type":"module.completed","created":` and so on are written by the plan's runner.
        let fields: [FieldPlan]
    }

    struct FieldPlan: Sendable {
        let name: String
        /// The key as JSON with its colon, prepared at start.
        let key: [UInt8]
        let source: Source
        let kind: ValueKind
        let isOptional: Bool
    }

    enum Source: Sendable {
        case pointer(JSONPointer)
        case constant([UInt8])
        case template([TemplatePart])
    }

    enum TemplatePart: Sendable {
        case text([UInt8])
        case pointer(JSONPointer)
    }

    /// A domain event type to pass over: exact, or a prefix with `*` at its end.
    struct IgnorePattern: Sendable {
        let prefix: String
        let isPrefix: Bool

        init(_ text: String) {
            isPrefix = text.hasSuffix("*")
            prefix = isPrefix ? String(text.dropLast()) : text
        }

        func matches(_ name: String) -> Bool { isPrefix ? name.hasPrefix(prefix) : name == prefix }
    }

    /// The webhook types this plan can produce.
    package var webhookTypes: [String] { events.values.map(\.webhookType).sorted() }
}
