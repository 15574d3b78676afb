// What exactly is wrong with a refused text, and where: simdjson only says that something is. Read once, for a dead letter
// or an answer; nothing here runs for a text that parses. The fuzzer holds both readers to the same judgement.

struct JSONDiagnosis {
    private let bytes: UnsafeRawBufferPointer
    private let maxDepth: Int
    private var position = 0
    private var stringsSeen = 0
    /// The string at which to stop, counted from 0 with keys included, when one is asked for.
    private let wantedString: Int?
    private var wantedPosition: Int?
    /// For each open container, whether it is an object.
    private var open: [Bool] = []

    private init(_ bytes: UnsafeRawBufferPointer, maxDepth: Int, wantedString: Int? = nil) {
        self.bytes = bytes
        self.maxDepth = maxDepth
        self.wantedString = wantedString
    }

    /// The first fault of a text; nil when there is none. Keys that are there twice are not looked for.
    static func fault(in bytes: UnsafeRawBufferPointer, maxDepth: Int) -> JSONError? {
        var diagnosis = JSONDiagnosis(bytes, maxDepth: maxDepth)
        do throws(JSONError) {
            try diagnosis.document()
            return nil
        } catch {
            return error
        }
    }

    /// Where the string with this number begins, in a text without fault.
    static func position(ofString number: Int, in bytes: UnsafeRawBufferPointer, maxDepth: Int) -> Int? {
        var diagnosis = JSONDiagnosis(bytes, maxDepth: maxDepth, wantedString: number)
        try? diagnosis.document()
        return diagnosis.wantedPosition
    }

    // MARK: Structure

    private mutating func document() throws(JSONError) {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { throw JSONError(.byteOrderMark, at: 0) }
        skipSpace()
        guard position < bytes.count else { throw JSONError(.empty) }
        try value()
        while let isObject = open.last {
            skipSpace()
            switch peek {
            case UInt8(ascii: ","):
                position += 1
                skipSpace()
                if isObject { try key() }
                try value()
            case (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")):
                position += 1
                open.removeLast()
            default: throw unexpected()
            }
        }
        skipSpace()
        guard position == bytes.count else { throw JSONError(.trailing, at: position) }
    }

    /// A scalar, an empty container, or the beginning of a container up to behind its first scalar.
    private mutating func value() throws(JSONError) {
        while true {
            skipSpace()
            switch peek {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                guard open.count < maxDepth else { throw JSONError(.tooDeep, at: position) }
                let isObject = peek == UInt8(ascii: "{")
                position += 1
                open.append(isObject)
                skipSpace()
                if peek == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    position += 1
                    open.removeLast()
                    return
                }
                if isObject { try key() }
            case UInt8(ascii: "\""): return try string()
            case UInt8(ascii: "t"): return try literal("true")
            case UInt8(ascii: "f"): return try literal("false")
            case UInt8(ascii: "n"): return try literal("null")
            case .some(UInt8(ascii: "-")), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): return try number()
            default: throw unexpected()
            }
        }
    }

    private mutating func key() throws(JSONError) {
        guard peek == UInt8(ascii: "\"") else { throw unexpected() }
        try string()
        skipSpace()
        guard peek == UInt8(ascii: ":") else { throw unexpected() }
        position += 1
    }

    private mutating func literal(_ word: StaticString) throws(JSONError) {
        for index in 0..<word.utf8CodeUnitCount {
            guard peek == word.utf8Start[index] else { throw unexpected() }
            position += 1
        }
        try endOfWord()
    }

    /// simdjson wants white space, a structural character or the end behind a literal or number.
    private func endOfWord() throws(JSONError) {
        switch peek {
        case nil, 0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: ":"),
            UInt8(ascii: "["), UInt8(ascii: "{"):
            return
        default: throw unexpected()
        }
    }

    // MARK: Numbers

    private mutating func number() throws(JSONError) {
        let start = position
        let isNegative = skip("-")
        let first = peek
        let whole = digits()
        guard whole > 0, !(whole > 1 && first == UInt8(ascii: "0")) else { throw malformed(start) }
        var isInteger = true
        if skip(".") {
            isInteger = false
            guard digits() > 0 else { throw malformed(start) }
        }
        if skip("e") || skip("E") {
            isInteger = false
            if !skip("+") { _ = skip("-") }
            guard digits() > 0 else { throw malformed(start) }
        }
        try endOfWord()
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger {
            let fits = isNegative ? Int64(text) != nil : UInt64(text) != nil
            guard fits else { throw JSONError(.integerBeyond64Bits, at: start) }
        } else {
            guard let value = Double(text), value.isFinite else { throw JSONError(.numberBeyondDouble, at: start) }
        }
    }

    private func malformed(_ start: Int) -> JSONError {
        position < bytes.count ? JSONError(.malformedNumber, at: start) : JSONError(.unexpectedEnd, at: bytes.count)
    }

    private mutating func digits() -> Int {
        let start = position
        while let byte = peek, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
        return position - start
    }

    // MARK: Strings

    private mutating func string() throws(JSONError) {
        let start = position
        if stringsSeen == wantedString { wantedPosition = start }
        stringsSeen += 1
        position += 1
        while let byte = peek {
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return
            case UInt8(ascii: "\\"): try escape(openedAt: start)
            case 0..<0x20: throw JSONError(.controlCharacter, at: position)
            case 0x20..<0x80: position += 1
            default: try multibyte()
            }
        }
        throw JSONError(.openString, at: start)
    }

    private mutating func escape(openedAt start: Int) throws(JSONError) {
        let begin = position
        guard position + 1 < bytes.count else { throw JSONError(.openString, at: start) }
        position += 2
        switch bytes[position - 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return
        case UInt8(ascii: "u"):
            let unit = try fourHexDigits(of: begin)
            guard unit & 0xF800 == 0xD800 else { return }
            guard unit < 0xDC00, skip("\\"), skip("u"), try fourHexDigits(of: begin) & 0xFC00 == 0xDC00 else {
                throw JSONError(.loneSurrogate, at: begin)
            }
        default: throw JSONError(.unknownEscape, at: begin)
        }
    }

    private mutating func fourHexDigits(of escape: Int) throws(JSONError) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = peek.flatMap(hexDigitValue) else { throw JSONError(.unknownEscape, at: escape) }
            unit = unit << 4 | UInt32(digit)
            position += 1
        }
        return unit
    }

    /// One scalar beyond ASCII, well-formed by table 3-7 of the Unicode standard.
    private mutating func multibyte() throws(JSONError) {
        let lead = bytes[position]
        let length: Int
        switch lead {
        case 0xC2...0xDF: length = 2
        case 0xE0...0xEF: length = 3
        case 0xF0...0xF4: length = 4
        default: throw JSONError(.notUTF8, at: position)
        }
        guard position + length <= bytes.count else { throw JSONError(.notUTF8, at: position) }
        let second: ClosedRange<UInt8> =
            switch lead {
            case 0xE0: 0xA0...0xBF
            case 0xED: 0x80...0x9F
            case 0xF0: 0x90...0xBF
            case 0xF4: 0x80...0x8F
            default: 0x80...0xBF
            }
        guard second.contains(bytes[position + 1]),
            (2..<length).allSatisfy({ bytes[position + $0] & 0xC0 == 0x80 })
        else { throw JSONError(.notUTF8, at: position) }
        position += length
    }

    // MARK: Bytes

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private func unexpected() -> JSONError {
        position < bytes.count
            ? JSONError(.unexpectedCharacter, at: position) : JSONError(.unexpectedEnd, at: bytes.count)
    }
}

/// The value of a hexadecimal digit; nil for any other byte.
func hexDigitValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
