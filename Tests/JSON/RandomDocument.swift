// Random JSON texts, the same for the same seed: every kind of value, numbers over all ranges and spellings, hostile
// strings in every escape, keys that JavaScript reorders, white space anywhere, nesting up to the limit.

struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

struct RandomDocument {
    private var random: SeededGenerator
    private var text: [UInt8] = []
    /// Values that may still be written, so that a document stays small.
    private var budget = 0

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// A valid text with at most 32 nested containers and no key twice in an object.
    mutating func next() -> [UInt8] {
        text.removeAll(keepingCapacity: true)
        budget = pick(60)
        space()
        if pick(20) == 0 {
            deep()
        } else {
            value(depth: 0)
        }
        space()
        return text
    }

    /// A valid text with one to three bytes changed, taken out or put in; mostly not valid any more.
    mutating func nextDamaged() -> [UInt8] {
        var damaged = next()
        for _ in 0...pick(3) where !damaged.isEmpty {
            let place = pick(damaged.count)
            let byte = pick(4) == 0 ? UInt8(truncatingIfNeeded: random.next()) : Self.telling[pick(Self.telling.count)]
            switch pick(3) {
            case 0: damaged[place] = byte
            case 1: damaged.remove(at: place)
            default: damaged.insert(byte, at: place)
            }
        }
        return damaged
    }

    private static let telling = Array("{}[]\",:\\/0123456789-+.eEtrufalsn \n\u{0}\u{1f}u".utf8)

    private mutating func pick(_ below: Int) -> Int { Int(random.next() % UInt64(max(below, 1))) }
    private mutating func add(_ string: String) { text.append(contentsOf: string.utf8) }

    private mutating func space() {
        guard pick(8) == 0 else { return }
        for _ in 0..<pick(4) { text.append([0x20, 0x09, 0x0A, 0x0D][pick(4)]) }
    }

    // MARK: Values

    private mutating func value(depth: Int) {
        budget -= 1
        switch budget > 0 && depth < 30 ? pick(10) : 4 + pick(6) {
        case 0, 1: object(depth: depth)
        case 2: array(depth: depth)
        case 3: pick(2) == 0 ? object(depth: depth) : array(depth: depth)
        case 4, 5, 6: text.append(contentsOf: string().source)
        case 7, 8: add(number())
        default: add(["true", "false", "null"][pick(3)])
        }
    }

    private mutating func deep() {
        let depth = 1 + pick(31)
        var ends: [UInt8] = []
        for _ in 0..<depth {
            if pick(2) == 0 {
                add("[")
                ends.append(UInt8(ascii: "]"))
            } else {
                add("{")
                text.append(contentsOf: string().source)
                add(":")
                ends.append(UInt8(ascii: "}"))
            }
        }
        budget = 0
        if pick(3) == 0 { add(["[]", "{}"][pick(2)]) } else { value(depth: 31) }
        text.append(contentsOf: ends.reversed())
    }

    private mutating func array(depth: Int) {
        add("[")
        for index in 0..<pick(6) {
            if index > 0 { add(",") }
            space()
            value(depth: depth + 1)
            space()
        }
        add("]")
    }

    private mutating func object(depth: Int) {
        add("{")
        var keys: Set<[UInt8]> = []
        for _ in 0..<(pick(40) == 0 ? 80 : pick(8)) {
            let key = self.key()
            guard keys.insert(key.plain).inserted else { continue }
            if keys.count > 1 { add(",") }
            space()
            text.append(contentsOf: key.source)
            space()
            add(":")
            space()
            value(depth: depth + 1)
        }
        add("}")
    }

    private mutating func key() -> (source: [UInt8], plain: [UInt8]) {
        switch pick(5) {
        case 0: return quoted(String(random.next() >> UInt64(pick(64))))
        case 1: return quoted(Self.keys[pick(Self.keys.count)])
        case 2: return quoted(String(pick(12)))
        default: return string()
        }
    }

    private static let keys = [
        "", "__proto__", "constructor", "toJSON", "toString", "length", "id", "eventType", "amount", "00", "01", "-1",
        "1.5",
        "4294967294", "4294967295", "4294967296", "99999999999", "9007199254740993", " 1", "1e3", "NaN",
    ]

    private mutating func quoted(_ plain: String) -> (source: [UInt8], plain: [UInt8]) {
        var source: [UInt8] = [UInt8(ascii: "\"")]
        for scalar in plain.unicodeScalars { append(scalar, to: &source) }
        return (source + [UInt8(ascii: "\"")], Array(plain.utf8))
    }

    // MARK: Strings

    private mutating func string() -> (source: [UInt8], plain: [UInt8]) {
        var plain = ""
        for _ in 0..<(pick(12) == 0 ? 60 : pick(14)) {
            switch pick(8) {
            case 0: plain.unicodeScalars.append(Unicode.Scalar(UInt8(pick(0x20))))
            case 1:
                plain +=
                    ["\"", "\\", "/", "\u{7f}", "\u{2028}", "\u{2029}", "\u{feff}", "</", "\\u0041", "\u{80}"][pick(10)]
            case 2: plain.unicodeScalars.append(scalar(below: 0x11_0000))
            case 3: plain.unicodeScalars.append(scalar(below: 0x1_0000))
            case 4: plain.unicodeScalars.append(scalar(below: 0x800))
            default: plain.unicodeScalars.append(Unicode.Scalar(UInt8(0x20 + pick(0x5F))))
            }
        }
        return quoted(plain)
    }

    private mutating func scalar(below limit: Int) -> Unicode.Scalar {
        Unicode.Scalar(UInt32(pick(limit))) ?? "\u{d7ff}"
    }

    /// One scalar in one of the spellings that JSON allows for it.
    private mutating func append(_ scalar: Unicode.Scalar, to source: inout [UInt8]) {
        let short: [Unicode.Scalar: String] = [
            "\"": "\\\"", "\\": "\\\\", "/": "\\/", "\u{8}": "\\b", "\u{c}": "\\f", "\n": "\\n", "\r": "\\r",
            "\t": "\\t",
        ]
        let mustEscape = scalar.value < 0x20 || scalar == "\"" || scalar == "\\"
        if let escape = short[scalar], pick(2) == 0 {
            source.append(contentsOf: escape.utf8)
        } else if mustEscape || pick(12) == 0 {
            for unit in String(scalar).utf16 {
                let hex = String(unit, radix: 16, uppercase: pick(2) == 0)
                source.append(contentsOf: "\\u\(String(repeating: "0", count: 4 - hex.count))\(hex)".utf8)
            }
        } else {
            source.append(contentsOf: String(scalar).utf8)
        }
    }

    // MARK: Numbers

    private mutating func number() -> String {
        switch pick(9) {
        case 0:  // any finite double
            let value = Double(bitPattern: random.next())
            return value.isFinite ? spelled(value) : "0"
        case 1:  // any 64-bit integer, short ones as likely as long ones
            let value = random.next() >> UInt64(pick(64))
            return pick(2) == 0 ? String(value) : String(Int64(bitPattern: value))
        case 2:  // around the powers of two where something changes
            let around = [UInt64(1) << 53, 1 << 63, 1 << 52, 1 << 32, 1 << 31, 0][pick(6)]
            let value = around &+ UInt64(pick(7)) &- 3
            return pick(2) == 0 ? String(value) : String(Int64(bitPattern: value))
        case 3:  // money
            return "\(pick(2) == 0 ? "-" : "")\(pick(100_000)).\(String(pick(100) + 100).dropFirst())"
        case 4:  // powers of ten, where the form changes
            return "\(1 + pick(9))e\(pick(50) - 25)"
        case 5:  // spellings
            return [
                "-0", "0.0", "-0.0", "0e0", "-0E+00", "1.0", "1.50", "1E3", "1e+3", "1e-03", "10e-1", "0.1e1",
                "123456789012345678901.0", "1e-400", "-1e-5000", "0.1000000000000000055511151231257827",
            ][pick(16)]
        case 6:  // digits without end
            let digits = (0..<(1 + pick(40))).map { _ in String(pick(10)) }.joined()
            return "\(pick(10)).\(digits)e\(pick(600) - 300)"
        case 7:  // doubles between whose neighbours the shortest digits are a tie
            return spelled(Double(UInt64(1) << UInt64(49 + pick(4))) + Double(pick(4096)) / 8)
        default:
            return spelled(Double(pick(2_000_000) - 1_000_000) / [1, 3, 7, 10, 1000, 4096][pick(6)])
        }
    }

    private mutating func spelled(_ value: Double) -> String {
        var text = "\(value)"
        if pick(4) == 0 { text = text.uppercased() }
        return text
    }
}
