// Strings as `JSON.stringify` writes them: only quotes, backslashes and controls below U+0020 are escaped, in the short form
// where JSON has one, else as \u00xx in lower case. U+007F, U+2028 and all else stand as they are.

extension JSONWriter {
    mutating func append(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func appendQuoted(_ text: UnsafeRawBufferPointer) {
        bytes.append(UInt8(ascii: "\""))
        var start = 0
        while true {
            let special = firstToEscape(in: text, from: start)
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[start..<special]))
            guard special < text.count else { break }
            appendEscaped(text[special])
            start = special + 1
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func appendEscaped(_ byte: UInt8) {
        switch byte {
        case 0x08: append("\\b")
        case 0x0C: append("\\f")
        case 0x0A: append("\\n")
        case 0x0D: append("\\r")
        case 0x09: append("\\t")
        case UInt8(ascii: "\""): append("\\\"")
        case UInt8(ascii: "\\"): append("\\\\")
        default:
            append(byte < 0x10 ? "\\u000" : "\\u001")
            let digit = byte & 15
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }
}

/// The offset of the first byte at or behind `start` that must be escaped; the text's length when there is none.
private func firstToEscape(in text: UnsafeRawBufferPointer, from start: Int) -> Int {
    guard let base = text.baseAddress else { return 0 }
    var position = start
    while position + 8 <= text.count {
        let word = UInt64(littleEndian: (base + position).loadUnaligned(as: UInt64.self))
        let found = markToEscape(word)
        if found != 0 { return position + found.trailingZeroBitCount >> 3 }
        position += 8
    }
    while position < text.count {
        let byte = text[position]
        if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return position }
        position += 1
    }
    return position
}

/// Eight bytes at once. The lowest mark is right; a borrow can set marks above it only.
private func markToEscape(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quotes = word ^ (ones &* 0x22)
    let backslashes = word ^ (ones &* 0x5C)
    let controls = (word &- (ones &* 0x20)) & ~word
    return (controls | (quotes &- ones) & ~quotes | (backslashes &- ones) & ~backslashes) & (ones &* 0x80)
}
