// What a value must be, and how it is written.

enum ValueKind: Sendable {
    /// Whatever the record has, passed through.
    case any
    case string, integer, number, boolean
    /// Passed through whole.
    case object, array
    /// A decimal as a string, `"0.25"`; numbers are written as strings, without an exponent.
    case decimal
    /// A time, normalised to UTC seconds with `Z`.
    case time(TimeUnit)
    /// One of these texts, each written as its own JSON.
    case enumeration([(from: [UInt8], to: [UInt8])])

    enum TimeUnit: Sendable {
        /// RFC 3339 text.
        case text
        /// Integers since 1970.
        case seconds, milliseconds
    }

    /// The names that stand for a kind by themselves in a mapping file; `enum` needs its values.
    static let named: [(name: String, kind: ValueKind)] = [
        ("any", .any), ("string", .string), ("integer", .integer), ("number", .number), ("boolean", .boolean),
        ("object", .object), ("array", .array), ("decimal", .decimal), ("time", .time(.text)),
        ("time-seconds", .time(.seconds)), ("time-milliseconds", .time(.milliseconds)),
    ]

    /// What a reason says was expected.
    var expectation: String {
        switch self {
        case .any: "any value"
        case .string: "a string"
        case .integer: "an integer of at most 2^53 - 1"
        case .number: "a number"
        case .boolean: "true or false"
        case .object: "an object"
        case .array: "an array"
        case .decimal: "a decimal such as \"0.25\""
        case .time(.text): "an RFC 3339 time such as 2024-01-15T10:30:00Z"
        case .time(.seconds): "a time as seconds since 1970"
        case .time(.milliseconds): "a time as milliseconds since 1970"
        case .enumeration(let values):
            "one of " + values.map { String(decoding: $0.from, as: UTF8.self) }.joined(separator: ", ")
        }
    }
}
