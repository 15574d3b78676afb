// Why a text is refused: fixed words and a place, never a part of the text, which may be secret or a person's.

/// Why a text is not JSON that the bridge accepts.
package struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Cause: String, Sendable, CaseIterable {
        case empty = "empty document"
        case byteOrderMark = "byte order mark at the beginning"
        case notUTF8 = "not UTF-8"
        case unexpectedCharacter = "a character that does not belong here"
        case unexpectedEnd = "the document ends too early"
        case trailing = "more text behind the document"
        case openString = "a string without an end"
        case controlCharacter = "a control character in a string; it must be escaped"
        case unknownEscape = "an unknown escape in a string"
        case loneSurrogate = "half a surrogate pair in a string"
        case malformedNumber = "a malformed number"
        case integerBeyond64Bits = "an integer beyond 64 bits"
        case numberBeyondDouble = "a number beyond the range of a double"
        case keyTwice = "a key twice in one object"
        case tooDeep = "nested too deeply"
        case tooLarge = "too large for the parser"
        case outOfMemory = "no memory for the parser"
        case refused = "not JSON"
    }

    package let cause: Cause
    /// The offset in bytes at which the text goes wrong; nil when that is no single place.
    package let position: Int?

    package init(_ cause: Cause, at position: Int? = nil) {
        self.cause = cause
        self.position = position
    }

    /// The cause in fixed words.
    package var reason: String { cause.rawValue }

    /// The cause and the place: `a key twice in one object, at byte 17`.
    package var description: String { position.map { "\(reason), at byte \($0)" } ?? reason }
}
