// A file or value that people wrote, as read: a small tree that remembers its lines, so that every fault can say where.

package struct JSONTree: Equatable, Sendable {
    package indirect enum Value: Equatable, Sendable {
        /// In source order; a key that stands twice is here twice, for whoever reads it to complain about.
        case object([Member])
        case array([JSONTree])
        case string(String)
        /// The literal as written, so that `1e5` given for a text stays `1e5`.
        case number(String)
        case boolean(Bool)
        case null
    }

    package struct Member: Equatable, Sendable {
        package var key: String
        package var line: Int
        package var value: JSONTree

        package init(key: String, line: Int, value: JSONTree) {
            self.key = key
            self.line = line
            self.value = value
        }
    }

    package var value: Value
    /// Counted from 1.
    package var line: Int

    package init(_ value: Value, line: Int = 1) {
        self.value = value
        self.line = line
    }

    /// What it is, for messages: `a string`, `an object` …
    package var kind: String {
        switch value {
        case .object: "an object"
        case .array: "a list"
        case .string: "a string"
        case .number: "a number"
        case .boolean: "true or false"
        case .null: "null"
        }
    }

    /// The value as people wrote it, shortened, for `was …` in messages.
    package var shown: String {
        switch value {
        case .string(let text): "\"\(text.count > 60 ? text.prefix(60) + "…" : text)\""
        case .number(let literal): literal
        case .boolean(let flag): "\(flag)"
        case .array(let elements): "a list of \(elements.count)"
        case .object, .null: kind
        }
    }
}

/// Where a text stops being JSON, and why.
package struct JSONSyntaxError: Error, Equatable, CustomStringConvertible {
    package var line: Int
    package var column: Int
    package var message: String

    package init(line: Int, column: Int, message: String) {
        self.line = line
        self.column = column
        self.message = message
    }

    package var description: String { "line \(line), column \(column): \(message)" }
}
