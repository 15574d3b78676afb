// Decimals as text, for amounts: never an exponent, never more digits than anybody means.
internal import JSON

enum DecimalText {
    /// Digits before or behind the point of a number that is written as a decimal.
    private static let mostDigits = 40

    static func isDecimal(_ text: UnsafeRawBufferPointer) -> Bool {
        var digits = 0
        var points = 0
        for (position, byte) in text.enumerated() {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digits += 1
            case UInt8(ascii: ".") where digits > 0: points += 1
            case UInt8(ascii: "-") where position == 0: break
            default: return false
            }
        }
        return digits > 0 && points <= 1 && text[text.count - 1] != UInt8(ascii: ".")
    }

    /// Appends a number's shortest digits without an exponent: 1e-7 becomes `0.0000001`.
    /// - Parameter scratch: a writer to work in.
    /// - Returns: false where the number has too many digits.
    static func append(_ number: JSONValue, to bytes: inout [UInt8], scratch: inout JSONWriter) -> Bool {
        scratch.reset()
        scratch.value(number)
        let text = scratch.bytes
        guard let e = text.firstIndex(of: UInt8(ascii: "e")) else {
            // Integers beyond 2^53 are written with quotes there.
            for byte in text where byte != UInt8(ascii: "\"") { bytes.append(byte) }
            return true
        }
        var exponent = 0
        for byte in text[(e + 2)...] { exponent = exponent * 10 + Int(byte) - 48 }
        guard exponent <= mostDigits else { return false }
        let isSmall = text[e + 1] == UInt8(ascii: "-")
        var position = 0
        if text[0] == UInt8(ascii: "-") {
            bytes.append(text[0])
            position = 1
        }
        if isSmall {
            bytes.append(contentsOf: [UInt8(ascii: "0"), UInt8(ascii: ".")])
            for _ in 1..<exponent { bytes.append(UInt8(ascii: "0")) }
        }
        var digits = 0
        for byte in text[position..<e] where byte != UInt8(ascii: ".") {
            bytes.append(byte)
            digits += 1
        }
        // The exponents that ECMAScript writes, 21 and more, are beyond a double's 17 digits.
        if !isSmall { for _ in digits..<(exponent + 1) { bytes.append(UInt8(ascii: "0")) } }
        return true
    }
}
