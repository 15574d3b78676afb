// Strings as `JSON.stringify` writes them: only quotes, backslashes and controls below U+0020 are escaped, in the short form
// where JSON has one, else as \u00xx in lower case. U+007F, U+2028 and all else stand as they are.

extension JSONWriter {
    mutating func quoted(_ text: UnsafeRawBufferPointer, isKey: Bool) {
        var special = firstToEscape(in: text, from: 0)
        guard special < text.count else { return plain(text, isKey: isKey) }
        put(atMost: 1, commaNext: !isKey) { room in
            room[0] = UInt8(ascii: "\"")
            return 1
        }
        var start = 0
        while special < text.count {
            add(UnsafeRawBufferPointer(rebasing: text[start..<special]))
            addEscaped(text[special])
            start = special + 1
            special = firstToEscape(in: text, from: start)
        }
        add(UnsafeRawBufferPointer(rebasing: text[start...]))
        add(isKey ? "\":" : "\"")
    }

    /// Text without anything to escape.
    mutating func plain(_ text: UnsafeRawBufferPointer, isKey: Bool) {
        let count = text.count
        put(atMost: count + 3, commaNext: !isKey) { room in
            room[0] = UInt8(ascii: "\"")
            UnsafeMutableRawBufferPointer(start: room + 1, count: count).copyMemory(from: text)
            room[count + 1] = UInt8(ascii: "\"")
            guard isKey else { return count + 2 }
            room[count + 2] = UInt8(ascii: ":")
            return count + 3
        }
    }

    private mutating func add(_ text: StaticString) { text.withUTF8Buffer { add(UnsafeRawBufferPointer($0)) } }

    private mutating func addEscaped(_ byte: UInt8) {
        switch byte {
        case 0x08: add("\\b")
        case 0x0C: add("\\f")
        case 0x0A: add("\\n")
        case 0x0D: add("\\r")
        case 0x09: add("\\t")
        case UInt8(ascii: "\""): add("\\\"")
        case UInt8(ascii: "\\"): add("\\\\")
        default:
            add(byte < 0x10 ? "\\u000" : "\\u001")
            let digits: StaticString = "0123456789abcdef"
            add(UnsafeRawBufferPointer(start: digits.utf8Start + Int(byte & 15), count: 1))
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
