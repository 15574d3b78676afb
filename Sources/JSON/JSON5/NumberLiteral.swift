// A number as written: which literals are numbers, and what they are worth. Infinity and NaN are no setting of anything.

package enum NumberLiteral {
    /// JSON's grammar; with `json5` also `+1`, `.5`, `5.` and `0xff`.
    package static func isValid(_ literal: String, json5: Bool) -> Bool {
        var rest = Substring(literal).utf8
        if let sign = rest.first, sign == UInt8(ascii: "-") || json5 && sign == UInt8(ascii: "+") { rest.removeFirst() }
        if json5, let digits = hexDigits(rest) { return UInt64(digits, radix: 16) != nil }
        let whole = digits(&rest)
        var fraction = 0
        var hasPoint = false
        if rest.first == UInt8(ascii: ".") {
            hasPoint = true
            rest.removeFirst()
            fraction = digits(&rest)
        }
        if json5 ? whole + fraction == 0 : whole == 0 || hasPoint && fraction == 0 { return false }
        if whole > 1,
            literal.utf8.first(where: { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "+") }) == UInt8(ascii: "0")
        {
            return false
        }
        if let exponent = rest.first, exponent | 0x20 == UInt8(ascii: "e") {
            rest.removeFirst()
            if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest.removeFirst() }
            if digits(&rest) == 0 { return false }
        }
        return rest.isEmpty && number(literal) != nil
    }

    /// The number; nil when it is beyond what a double holds.
    package static func number(_ literal: String) -> Double? {
        if let integer = hexInteger(literal) { return Double(integer) }
        var text = literal
        if text.hasPrefix("+") { text.removeFirst() }
        if let point = text.firstIndex(of: ".") {
            // Double(String) wants digits on both sides of the point.
            let after = text.index(after: point)
            if after == text.endIndex || !text[after].isNumber { text.insert("0", at: after) }
            if point == text.startIndex || !text[text.index(before: point)].isNumber { text.insert("0", at: point) }
        }
        guard let value = Double(text), value.isFinite else { return nil }
        return value
    }

    /// The number when it is whole, also when written `1e3` or `16.0`; nil otherwise.
    package static func integer(_ literal: String) -> Int? {
        if let integer = hexInteger(literal) { return integer }
        if let integer = Int(literal) { return integer }
        return number(literal).flatMap { Int(exactly: $0) }
    }

    /// A literal of JSON5 as JSON has it; what is JSON already stays as it was written.
    static func strict(_ literal: String) -> String {
        if isValid(literal, json5: false) { return literal }
        if let integer = integer(literal) { return String(integer) }
        return number(literal).map { "\($0)" } ?? literal
    }

    private static func hexInteger(_ literal: String) -> Int? {
        var rest = Substring(literal).utf8
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
        guard let digits = hexDigits(rest), let value = Int(digits, radix: 16) else { return nil }
        return isNegative ? -value : value
    }

    private static func hexDigits(_ text: Substring.UTF8View) -> Substring? {
        guard text.count > 2, text.first == UInt8(ascii: "0"),
            text.dropFirst().first.map({ $0 | 0x20 }) == UInt8(ascii: "x")
        else { return nil }
        let digits = Substring(text.dropFirst(2))
        return digits.allSatisfy(\.isHexDigit) ? digits : nil
    }

    private static func digits(_ rest: inout Substring.UTF8View) -> Int {
        let run = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        rest.removeFirst(run.count)
        return run.count
    }
}
