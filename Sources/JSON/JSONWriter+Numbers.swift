// Numbers as JavaScript prints them.
internal import CSimdJSON

extension JSONWriter {
    /// The digits of an integer; no −0.
    mutating func appendDigits(_ magnitude: UInt64, isNegative: Bool) {
        if isNegative, magnitude != 0 { bytes.append(UInt8(ascii: "-")) }
        if magnitude < 10 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude))
            return
        }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { room in
            var rest = magnitude
            var start = 20
            while rest > 0 {
                start -= 1
                room[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            }
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: room[start...]))
        }
    }

    /// ECMA-262 `Number::toString`.
    mutating func appendNumber(_ value: Double) {
        // Whole numbers, also −0, have no other digits than their own up to 2^53.
        if value.magnitude < 9_007_199_254_740_992, value.rounded(.towardZero) == value {
            return appendDigits(UInt64(value.magnitude), isNegative: value < 0)
        }
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { room in
            // `d.ddde±xx`, the shortest digits that read back as the value.
            let length = csimdjson_shortest_digits(value.magnitude, room.baseAddress!)
            let text = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[..<length])
            let mark = text.lastIndex(of: UInt8(ascii: "e")) ?? length
            var exponent = 0
            for digit in text[(mark + 2)...] { exponent = exponent * 10 + Int(digit - UInt8(ascii: "0")) }
            if text[mark + 1] == UInt8(ascii: "-") { exponent = -exponent }
            // The first digit moves onto the point, so that the digits lie together.
            room[1] = room[0]
            let digits = mark > 1 ? text[1..<mark] : text[..<1]
            place(UnsafeRawBufferPointer(rebasing: digits), pointAfter: exponent + 1)
        }
    }

    /// The digits with the point behind as many of them as `point` says, or in scientific form where JavaScript uses it.
    private mutating func place(_ digits: UnsafeRawBufferPointer, pointAfter point: Int) {
        switch point {
        case digits.count...21:
            bytes.append(contentsOf: digits)
            for _ in digits.count..<point { bytes.append(UInt8(ascii: "0")) }
        case 1...21:
            bytes.append(contentsOf: digits[..<point])
            bytes.append(UInt8(ascii: "."))
            bytes.append(contentsOf: digits[point...])
        case -5...0:
            append("0.")
            for _ in point..<0 { bytes.append(UInt8(ascii: "0")) }
            bytes.append(contentsOf: digits)
        default:
            bytes.append(digits[0])
            if digits.count > 1 {
                bytes.append(UInt8(ascii: "."))
                bytes.append(contentsOf: digits[1...])
            }
            append(point > 0 ? "e+" : "e-")
            appendDigits(UInt64((point - 1).magnitude), isNegative: false)
        }
    }
}
