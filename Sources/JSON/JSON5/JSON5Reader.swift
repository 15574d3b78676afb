// Reads JSON5 (json5.org): JSON with comments, trailing commas, bare keys, single quotes, hexadecimal numbers.
//
// Not Foundation's `JSONDecoder.allowsJSON5`: on Linux it says neither line nor reason of a syntax error, keeps one of two
// equal keys silently, takes `{a: tru}` without a word, and costs every process the loading of Foundation.

package struct JSON5Reader {
    package enum Dialect: Sendable { case json, json5 }

    private let bytes: [UInt8]
    private let dialect: Dialect
    private var position = 0
    private var line = 1
    private var lineStart = 0
    private static let depthLimit = 32

    private init(_ bytes: [UInt8], _ dialect: Dialect) {
        self.bytes = bytes
        self.dialect = dialect
    }

    /// The one value that a text is.
    package static func read(_ bytes: [UInt8], as dialect: Dialect = .json5) throws(JSONSyntaxError) -> JSONTree {
        var reader = JSON5Reader(bytes, dialect)
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw JSONSyntaxError(line: 1, column: 1, message: "the text is not UTF-8")
        }
        try reader.skipSpace()
        let tree = try reader.value(depth: 0)
        try reader.skipSpace()
        guard reader.peek == nil else { throw reader.unexpected("the end of the text") }
        return tree
    }

    // MARK: Values

    private mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONTree {
        guard depth < Self.depthLimit else { throw fail("nested deeper than \(Self.depthLimit) levels") }
        let start = line
        switch peek {
        case UInt8(ascii: "{"): return JSONTree(.object(try object(depth: depth)), line: start)
        case UInt8(ascii: "["): return JSONTree(.array(try array(depth: depth)), line: start)
        case UInt8(ascii: "\""): return JSONTree(.string(try string()), line: start)
        case UInt8(ascii: "'") where dialect == .json5: return JSONTree(.string(try string()), line: start)
        case .some(let byte) where isNumberStart(byte): return JSONTree(.number(try number()), line: start)
        case .some(let byte) where isWordByte(byte):
            let before = position
            let word = self.word()
            switch word {
            case "true": return JSONTree(.boolean(true), line: start)
            case "false": return JSONTree(.boolean(false), line: start)
            case "null": return JSONTree(.null, line: start)
            default:
                position = before
                throw fail("expected a value, found \(word); a text needs quotes")
            }
        default: throw unexpected("a value")
        }
    }

    private mutating func object(depth: Int) throws(JSONSyntaxError) -> [JSONTree.Member] {
        var members: [JSONTree.Member] = []
        position += 1
        try skipSpace()
        while peek != UInt8(ascii: "}") {
            let start = line
            let key = try self.key()
            try skipSpace()
            guard peek == UInt8(ascii: ":") else { throw unexpected("a colon after the key \(key)") }
            position += 1
            try skipSpace()
            members.append(.init(key: key, line: start, value: try value(depth: depth + 1)))
            try skipSpace()
            if peek == UInt8(ascii: "}") { break }
            try comma("a comma or }", closing: UInt8(ascii: "}"))
        }
        position += 1
        return members
    }

    private mutating func array(depth: Int) throws(JSONSyntaxError) -> [JSONTree] {
        var elements: [JSONTree] = []
        position += 1
        try skipSpace()
        while peek != UInt8(ascii: "]") {
            elements.append(try value(depth: depth + 1))
            try skipSpace()
            if peek == UInt8(ascii: "]") { break }
            try comma("a comma or ]", closing: UInt8(ascii: "]"))
        }
        position += 1
        return elements
    }

    private mutating func comma(_ expected: String, closing: UInt8) throws(JSONSyntaxError) {
        guard peek == UInt8(ascii: ",") else { throw unexpected(expected) }
        position += 1
        try skipSpace()
        if peek == closing, dialect == .json { throw unexpected("a value after the comma") }
    }

    private mutating func key() throws(JSONSyntaxError) -> String {
        guard let byte = peek else { throw unexpected("a key or }") }
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") && dialect == .json5 { return try string() }
        guard dialect == .json5, isWordByte(byte), !isDigit(byte) else { throw unexpected("a key or }") }
        return word()
    }

    private mutating func word() -> String {
        let start = position
        while let byte = peek, isWordByte(byte) { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func number() throws(JSONSyntaxError) -> String {
        let start = position
        while let byte = peek,
            isWordByte(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
        {
            position += 1
        }
        let literal = String(decoding: bytes[start..<position], as: UTF8.self)
        guard NumberLiteral.isValid(literal, json5: dialect == .json5) else {
            position = start
            throw fail("\(literal) is not a number")
        }
        return literal
    }

    // MARK: Strings

    private mutating func string() throws(JSONSyntaxError) -> String {
        let quote = bytes[position]
        position += 1
        var text: [UInt8] = []
        while let byte = peek, byte != quote {
            if byte == UInt8(ascii: "\\") {
                position += 1
                try escape(into: &text)
            } else if byte < 0x20, dialect == .json || byte == 10 || byte == 13 {
                throw fail("the string is not closed on its line")
            } else {
                text.append(byte)
                position += 1
            }
        }
        guard peek == quote else { throw fail("the string is not closed") }
        position += 1
        return String(decoding: text, as: UTF8.self)
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONSyntaxError) {
        guard let byte = peek else { throw fail("the string is not closed") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(8)
        case UInt8(ascii: "f"): text.append(12)
        case UInt8(ascii: "n"): text.append(10)
        case UInt8(ascii: "r"): text.append(13)
        case UInt8(ascii: "t"): text.append(9)
        case UInt8(ascii: "u"): try appendUnicode(into: &text)
        default:
            guard dialect == .json5 else { throw fail("an unknown escape in the string") }
            switch byte {
            case UInt8(ascii: "v"): text.append(11)
            case UInt8(ascii: "0"): text.append(0)
            case UInt8(ascii: "x"): text.append(contentsOf: String(UnicodeScalar(UInt8(try hex(digits: 2)))).utf8)
            case 10: newLine()
            case 13:
                if peek == 10 { position += 1 }
                newLine()
            case UInt8(ascii: "1")...UInt8(ascii: "9"): throw fail("an unknown escape in the string")
            default: text.append(byte)
            }
        }
    }

    private mutating func appendUnicode(into text: inout [UInt8]) throws(JSONSyntaxError) {
        var code = try hex(digits: 4)
        if (0xD800..<0xDC00).contains(code), peek == UInt8(ascii: "\\"), position + 1 < bytes.count,
            bytes[position + 1] == UInt8(ascii: "u")
        {
            position += 2
            let low = try hex(digits: 4)
            guard (0xDC00..<0xE000).contains(low) else { throw fail("half a surrogate pair in the string") }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = UnicodeScalar(code) else { throw fail("half a surrogate pair in the string") }
        text.append(contentsOf: String(Character(scalar)).utf8)
    }

    private mutating func hex(digits: Int) throws(JSONSyntaxError) -> UInt32 {
        let end = position + digits
        guard end <= bytes.count, bytes[position..<end].allSatisfy({ isHexDigit($0) }),
            let code = UInt32(String(decoding: bytes[position..<end], as: UTF8.self), radix: 16)
        else { throw fail("an escape needs \(digits) hexadecimal digits") }
        position = end
        return code
    }

    // MARK: Space and places

    private mutating func skipSpace() throws(JSONSyntaxError) {
        while let byte = peek {
            switch byte {
            case 10:
                position += 1
                newLine()
            case 9, 13, 32: position += 1
            case 11 where dialect == .json5, 12 where dialect == .json5: position += 1
            case UInt8(ascii: "/") where dialect == .json5: try skipComment()
            default:
                guard dialect == .json5, let width = wideSpace() else { return }
                position += width
            }
        }
    }

    private mutating func skipComment() throws(JSONSyntaxError) {
        let next = position + 1 < bytes.count ? bytes[position + 1] : 0
        if next == UInt8(ascii: "/") {
            while let byte = peek, byte != 10 { position += 1 }
            return
        }
        guard next == UInt8(ascii: "*") else { throw unexpected("a value or a comment") }
        let opening = fail("the comment is not closed")
        position += 2
        while position + 1 < bytes.count {
            if bytes[position] == UInt8(ascii: "*"), bytes[position + 1] == UInt8(ascii: "/") {
                position += 2
                return
            }
            position += 1
            if bytes[position - 1] == 10 { newLine() }
        }
        throw opening
    }

    /// The length of a no-break space, byte order mark or line separator, which JSON5 takes as space.
    private func wideSpace() -> Int? {
        for space: [UInt8] in [[0xC2, 0xA0], [0xEF, 0xBB, 0xBF], [0xE2, 0x80, 0xA8], [0xE2, 0x80, 0xA9]]
        where bytes[position...].starts(with: space) {
            return space.count
        }
        return nil
    }

    private mutating func newLine() {
        line += 1
        lineStart = position
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func fail(_ message: String) -> JSONSyntaxError {
        JSONSyntaxError(line: line, column: position - lineStart + 1, message: message)
    }

    private func unexpected(_ expected: String) -> JSONSyntaxError {
        guard peek != nil else { return fail("expected \(expected), found the end of the text") }
        let found = String(decoding: bytes[position...].prefix(4), as: UTF8.self).prefix(1)
        return fail("expected \(expected), found \(found)")
    }
}

private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

private func isHexDigit(_ byte: UInt8) -> Bool {
    isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
}

private func isNumberStart(_ byte: UInt8) -> Bool {
    isDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
}

/// Letters, digits, `_`, `$` and everything beyond ASCII.
private func isWordByte(_ byte: UInt8) -> Bool {
    isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || byte == UInt8(ascii: "_")
        || byte == UInt8(ascii: "$") || byte >= 0x80
}
