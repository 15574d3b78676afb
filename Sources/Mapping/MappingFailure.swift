// Why one record, or one file, cannot be used: texts a person can act on, without a value from the record.

/// Why a record cannot be mapped: for the dead letter's `message`, the command line and nobody's eyes beyond. Names file,
/// event type, field, what was expected and what kind of value came, never the value.
package struct MappingFailure: Error, Equatable, CustomStringConvertible {
    package enum Reason: Sendable {
        case unmappable
        case noAudience
        case tooLarge
    }
    package let reason: Reason
    package var description: String

    package init(_ description: String, reason: Reason = .unmappable) {
        self.reason = reason
        self.description = description
    }

    /// The same failure, said of a larger place.
    func inside(_ place: String) -> MappingFailure { MappingFailure("\(place): \(description)", reason: reason) }
}

/// One thing that is wrong with a mapping file.
package struct MappingFault: Error, Equatable, CustomStringConvertible, Sendable {
    package let file: String
    /// Where in the file, as a dotted path; empty for the file as a whole.
    package let key: String
    package let cause: String

    package init(file: String, key: String, cause: String) {
        self.file = file
        self.key = key
        self.cause = cause
    }

    package var description: String { key.isEmpty ? "\(file): \(cause)" : "\(file): \(key): \(cause)" }
}
