// JSON Pointers (RFC 6901), compiled once.
package import JSON

package struct JSONPointer: Sendable, Equatable, CustomStringConvertible {
    /// The unescaped reference tokens.
    let tokens: [[UInt8]]
    package let description: String

    /// - Returns: nil when the text is no pointer: it must be empty or begin with `/`, and `~` only in `~0` and `~1`.
    package init?(_ text: String) {
        description = text
        if text.isEmpty {
            tokens = []
            return
        }
        guard text.utf8.first == UInt8(ascii: "/") else { return nil }
        var tokens: [[UInt8]] = []
        for part in text.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            var token: [UInt8] = []
            var bytes = part.makeIterator()
            while let byte = bytes.next() {
                guard byte == UInt8(ascii: "~") else {
                    token.append(byte)
                    continue
                }
                switch bytes.next() {
                case UInt8(ascii: "0"): token.append(UInt8(ascii: "~"))
                case UInt8(ascii: "1"): token.append(UInt8(ascii: "/"))
                default: return nil
                }
            }
            tokens.append(token)
        }
        self.tokens = tokens
    }

    /// The value at this place; nil when there is none.
    package func find(in root: JSONValue) -> JSONValue? {
        var value = root
        for token in tokens {
            let next =
                value.isArray
                ? arrayIndex(token).flatMap { value.element($0) } : token.withUnsafeBytes { value.member($0) }
            guard let next else { return nil }
            value = next
        }
        return value
    }

    /// What is left of the tokens behind `prefix`; nil when they do not begin with it.
    func tokens(behind prefix: JSONPointer) -> [[UInt8]]? {
        tokens.starts(with: prefix.tokens) ? Array(tokens.dropFirst(prefix.tokens.count)) : nil
    }
}

/// The position a token names in an array: digits without a leading zero.
func arrayIndex(_ token: [UInt8]) -> Int? {
    guard token.count > 0, token.count < 10, !(token.count > 1 && token[0] == UInt8(ascii: "0")) else { return nil }
    var value = 0
    for byte in token {
        guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
        value = value * 10 + Int(byte - UInt8(ascii: "0"))
    }
    return value
}
