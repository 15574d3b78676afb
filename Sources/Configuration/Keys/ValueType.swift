// The types a setting can have: how a value is read and refused, how it is written back, what people are told to write.
internal import Core
internal import JSON

/// One value on its way into `Settings`.
struct ValueInput {
    var tree: JSONTree
    /// What a variable or flag said, before it was taken as JSON; nil for what stands in a file.
    var text: String?
    /// What relative paths are relative to.
    var folder: String

    func rejection(_ expected: String) -> Rejection { Rejection(cause: "must be \(expected) (was \(tree.shown))") }
}

struct ValueType<Value: Sendable>: Sendable {
    /// Completes "must be …".
    var expectation: String
    var read: @Sendable (ValueInput) throws(Rejection) -> Value
    /// The value as JSON5, for `config check` and the reference file.
    var write: @Sendable (Value) -> String
}

extension ValueType {
    /// The same, or null for "not set".
    static func optional<Wrapped: Sendable>(_ type: ValueType<Wrapped>) -> Self where Value == Wrapped? {
        Self(
            expectation: type.expectation + ", or null",
            read: { input throws(Rejection) in input.tree.value == .null ? nil : try type.read(input) },
            write: { $0.map(type.write) ?? "null" })
    }
}

extension ValueType<Bool> {
    static var boolean: Self {
        Self(
            expectation: "true or false",
            read: { input throws(Rejection) in
                guard case .boolean(let value) = input.tree.value else { throw input.rejection("true or false") }
                return value
            }, write: { "\($0)" })
    }
}

extension ValueType<Int> {
    static func integer(_ range: ClosedRange<Int>) -> Self {
        let expectation =
            range.upperBound == .max
            ? "a whole number, \(range.lowerBound) or more"
            : "a whole number from \(range.lowerBound) to \(range.upperBound)"
        return Self(
            expectation: expectation,
            read: { input throws(Rejection) in
                guard case .number(let literal) = input.tree.value, let value = NumberLiteral.integer(literal),
                    range.contains(value)
                else { throw input.rejection(expectation) }
                return value
            }, write: { "\($0)" })
    }
}

extension ValueType<Double> {
    static func number(_ range: ClosedRange<Double>) -> Self {
        func short(_ bound: Double) -> String { Int(exactly: bound).map { "\($0)" } ?? "\(bound)" }
        let expectation = "a number from \(short(range.lowerBound)) to \(short(range.upperBound))"
        return Self(
            expectation: expectation,
            read: { input throws(Rejection) in
                guard case .number(let literal) = input.tree.value, let value = NumberLiteral.number(literal),
                    range.contains(value)
                else { throw input.rejection(expectation) }
                return value
            }, write: { "\($0)" })
    }
}

extension ValueType<Milliseconds> {
    static func duration(_ range: ClosedRange<Milliseconds>) -> Self {
        let expectation =
            "a duration from \(range.lowerBound) to \(range.upperBound), such as \"500ms\", \"5s\", \"30m\", \"24h\" or \"2d\""
        return Self(
            expectation: expectation,
            read: { input throws(Rejection) in
                guard case .string(let text) = input.tree.value, let value = Milliseconds(text), range.contains(value)
                else { throw input.rejection(expectation) }
                return value
            }, write: { JSON5Text.quoted($0.description) })
    }
}

extension ValueType<ListenAddress> {
    static var listen: Self {
        let expectation =
            "host:port with a literal address, such as \"127.0.0.1:8080\", \"0.0.0.0:8080\" or \"[::1]:8080\""
        return Self(
            expectation: expectation,
            read: { input throws(Rejection) in
                guard case .string(let text) = input.tree.value, let value = ListenAddress(text),
                    NetworkText.isAddress(value.host)
                else { throw input.rejection(expectation) }
                return value
            }, write: { JSON5Text.quoted($0.description) })
    }
}

extension ValueType<String> {
    /// - Parameters:
    ///   - isEchoed: whether a refused value may be shown; not where a password could have slipped in.
    ///   - accepts: the value, perhaps in its normal form, or nil to refuse it.
    static func text(
        _ expectation: String, isEchoed: Bool = true, accepts: @escaping @Sendable (String) -> String?
    ) -> Self {
        Self(
            expectation: expectation,
            read: { input throws(Rejection) in
                if let text = input.plainText, let value = accepts(text) { return value }
                throw isEchoed ? input.rejection(expectation) : Rejection(cause: "must be \(expectation)")
            }, write: JSON5Text.quoted)
    }

    /// A file or folder, resolved. Whether it exists is asked later, and only of the values that count.
    static var path: Self {
        Self(
            expectation: "a path",
            read: { input throws(Rejection) in
                guard let text = input.plainText, !text.isEmpty, !text.utf8.contains(0) else {
                    throw input.rejection("a path")
                }
                return FileAccess.resolve(text, in: input.folder)
            }, write: JSON5Text.quoted)
    }

    /// A path that is looked for in the usual places where it is null; empty stands for that.
    static var pathOrUsual: Self {
        Self(
            expectation: "a path, or null",
            read: { input throws(Rejection) in input.tree.value == .null ? "" : try path.read(input) },
            write: { $0.isEmpty ? "null" : JSON5Text.quoted($0) })
    }
}

extension ValueType {
    /// A list; variables and flags may also write it with commas.
    static func list<Element: Sendable>(
        of type: ValueType<Element>, _ expectation: String, count: Int? = nil
    ) -> Self where Value == [Element] {
        Self(
            expectation: expectation,
            read: { input throws(Rejection) in
                var elements: [JSONTree]
                if case .array(let list) = input.tree.value {
                    elements = list
                } else if let text = input.text, case .string = input.tree.value {
                    elements = text.split(separator: ",").map { JSONTree(.string(ValueInput.trimmed($0))) }
                } else {
                    throw input.rejection(expectation)
                }
                if let count, elements.count != count {
                    throw Rejection(cause: "must be \(expectation) (there were \(elements.count))")
                }
                var values: [Element] = []
                for element in elements {
                    values.append(try type.read(ValueInput(tree: element, text: nil, folder: input.folder)))
                }
                return values
            }, write: { "[" + $0.map(type.write).joined(separator: ", ") + "]" })
    }
}

extension ValueType<[String]> {
    /// An address, or one of each family with a comma between; null for none.
    static var sourceAddresses: Self {
        let expectation = "an IPv4 or IPv6 address, or one of each with a comma between, or null"
        return Self(
            expectation: expectation,
            read: { input throws(Rejection) in
                if input.tree.value == .null { return [] }
                let addresses = (input.plainText ?? "").split(separator: ",", omittingEmptySubsequences: false).map {
                    ValueInput.trimmed($0)
                }
                let v4 = addresses.count { NetworkText.isIPv4($0) }
                let v6 = addresses.count { NetworkText.isIPv6($0) }
                guard v4 <= 1, v6 <= 1, v4 + v6 == addresses.count else { throw input.rejection(expectation) }
                return addresses
            }, write: { $0.isEmpty ? "null" : JSON5Text.quoted($0.joined(separator: ",")) })
    }
}

extension ValueInput {
    /// A text; for variables and flags also what happens to look like a number or a word of JSON.
    var plainText: String? {
        switch tree.value {
        case .string(let text): text
        case .number, .boolean: text
        default: nil
        }
    }

    static func trimmed(_ text: some StringProtocol) -> String {
        var rest = Substring(text)
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}

enum JSON5Text {
    /// A text in quotes.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
