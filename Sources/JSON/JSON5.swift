// JSON5 to JSON, for files that people write. Foundation reads JSON5 too, but into dictionaries, and a mapping's keys
// must keep their order: it is the order of the payload. So the text is rewritten and the strict parser reads it; every
// line stays where it was, so that an error's line is the file's.

package struct JSON5Error: Error, Equatable, CustomStringConvertible {
    package let line: Int
    package let reason: String
    package var description: String { "line \(line): \(reason)" }
}

package enum JSON5 {
    /// Rewrites comments, unquoted keys, single quotes, trailing commas and hexadecimal numbers; what is wrong in other
    /// ways is left to the parser.
    package static func toJSON(_ text: [UInt8]) throws(JSON5Error) -> [UInt8] {
        var rewriter = Rewriter(text: text)
        try rewriter.run()
        return rewriter.output
    }
}

private struct Rewriter {
    let text: [UInt8]
    var output: [UInt8] = []
    private var position = 0
    private var line = 1

    init(text: [UInt8]) {
        self.text = text
        output.reserveCapacity(text.count + 64)
    }

    private func at(_ offset: Int) -> UInt8 { position + offset < text.count ? text[position + offset] : 0 }

    mutating func run() throws(JSON5Error) {
        if text.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
        while position < text.count {
            let byte = text[position]
            switch byte {
            case UInt8(ascii: "/") where at(1) == UInt8(ascii: "/"): skipLine()
            case UInt8(ascii: "/") where at(1) == UInt8(ascii: "*"): try skipBlock()
            case UInt8(ascii: "\""), UInt8(ascii: "'"): try string(quote: byte)
            case UInt8(ascii: ","): comma()
            case UInt8(ascii: "0") where at(1) | 0x20 == UInt8(ascii: "x"): try hexadecimal()
            case _ where isWordStart(byte): word()
            case UInt8(ascii: "+"): position += 1
            default:
                if byte == UInt8(ascii: "\n") { line += 1 }
                output.append(byte)
                position += 1
            }
        }
    }

    private mutating func skipLine() {
        while position < text.count, text[position] != UInt8(ascii: "\n") { position += 1 }
    }

    private mutating func skipBlock() throws(JSON5Error) {
        let begin = line
        position += 2
        while !(at(0) == UInt8(ascii: "*") && at(1) == UInt8(ascii: "/")) {
            guard position < text.count else { throw JSON5Error(line: begin, reason: "a comment has no end") }
            if text[position] == UInt8(ascii: "\n") {
                line += 1
                output.append(UInt8(ascii: "\n"))
            }
            position += 1
        }
        position += 2
    }

    private mutating func string(quote: UInt8) throws(JSON5Error) {
        let begin = line
        output.append(UInt8(ascii: "\""))
        position += 1
        while at(0) != quote {
            guard position < text.count, text[position] != UInt8(ascii: "\n") else {
                throw JSON5Error(line: begin, reason: "a string has no end")
            }
            if at(0) == UInt8(ascii: "\\") {
                if at(1) == UInt8(ascii: "'") {
                    output.append(UInt8(ascii: "'"))
                } else if at(1) == UInt8(ascii: "\n") {
                    line += 1
                } else {
                    output.append(at(0))
                    output.append(at(1))
                }
                position += 2
                continue
            }
            if at(0) == UInt8(ascii: "\"") { output.append(UInt8(ascii: "\\")) }
            output.append(at(0))
            position += 1
        }
        output.append(UInt8(ascii: "\""))
        position += 1
    }

    /// A comma is kept unless the container ends behind it.
    private mutating func comma() {
        var ahead = self
        ahead.position += 1
        ahead.output = []
        while ahead.position < text.count {
            let byte = ahead.at(0)
            if byte == UInt8(ascii: "/"), ahead.at(1) == UInt8(ascii: "/") {
                ahead.skipLine()
            } else if byte == UInt8(ascii: "/"), ahead.at(1) == UInt8(ascii: "*") {
                guard (try? ahead.skipBlock()) != nil else { break }
            } else if byte <= 0x20 {
                ahead.position += 1
            } else {
                break
            }
        }
        if ahead.at(0) != UInt8(ascii: "}"), ahead.at(0) != UInt8(ascii: "]") { output.append(UInt8(ascii: ",")) }
        position += 1
    }

    private mutating func hexadecimal() throws(JSON5Error) {
        position += 2
        var value: UInt64 = 0
        var digits = 0
        while let digit = hexDigitValue(at(0)) {
            guard value >> 60 == 0 else { throw JSON5Error(line: line, reason: "a hexadecimal number is too large") }
            value = value << 4 | UInt64(digit)
            digits += 1
            position += 1
        }
        guard digits > 0 else { throw JSON5Error(line: line, reason: "0x without digits") }
        output.append(contentsOf: String(value).utf8)
    }

    /// A bare word is a key when a colon follows, else a literal that the parser judges.
    private mutating func word() {
        let begin = position
        while isWordStart(at(0)) || (at(0) >= UInt8(ascii: "0") && at(0) <= UInt8(ascii: "9")) { position += 1 }
        var ahead = position
        while ahead < text.count, text[ahead] <= 0x20 { ahead += 1 }
        let isKey = ahead < text.count && text[ahead] == UInt8(ascii: ":")
        if isKey { output.append(UInt8(ascii: "\"")) }
        output.append(contentsOf: text[begin..<position])
        if isKey { output.append(UInt8(ascii: "\"")) }
    }

    private func isWordStart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "_"), UInt8(ascii: "$"): true
        default: byte >= 0x80
        }
    }
}
