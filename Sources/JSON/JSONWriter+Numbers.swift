// Numbers as JavaScript prints them.
internal import CSimdJSON

/// A sign, "0.", five zeros and 17 digits; or 21 digits; or 17 digits, a point and "e-324".
let mostBytesOfNumber = 32

/// Writes the digits of an integer, at most 21 bytes, and returns their number. No −0.
func writeDigits(_ magnitude: UInt64, isNegative: Bool, to room: UnsafeMutablePointer<UInt8>) -> Int {
    var start = 0
    if isNegative, magnitude != 0 {
        room[0] = UInt8(ascii: "-")
        start = 1
    }
    var count = 1
    var bound: UInt64 = 10
    while magnitude >= bound {
        count += 1
        guard count < 20 else { break }
        bound &*= 10
    }
    var rest = magnitude
    var position = start + count
    repeat {
        position -= 1
        room[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
        rest /= 10
    } while position > start
    return start + count
}

/// ECMA-262 `Number::toString` of a finite value; returns the number of bytes, at most ``mostBytesOfNumber``.
func writeNumber(_ value: Double, to room: UnsafeMutablePointer<UInt8>) -> Int {
    // Whole numbers, also −0, have no other digits than their own up to 2^53.
    if value.magnitude < 9_007_199_254_740_992, value.rounded(.towardZero) == value {
        return writeDigits(UInt64(value.magnitude), isNegative: value < 0, to: room)
    }
    var output = NumberOutput(room: room)
    if value < 0 { output.put("-") }
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { scratch in
        guard let start = scratch.baseAddress else { return }
        // `d.ddde±xx`, the shortest digits that read back as the value.
        let length = csimdjson_shortest_digits(value.magnitude, start)
        let text = UnsafeRawBufferPointer(start: start, count: length)
        var mark = 1
        while text[mark] != UInt8(ascii: "e") { mark += 1 }
        var exponent = 0
        for position in (mark + 2)..<length { exponent = exponent * 10 + Int(text[position] - UInt8(ascii: "0")) }
        if text[mark + 1] == UInt8(ascii: "-") { exponent = -exponent }
        // The first digit moves onto the point, so that the digits lie together.
        start[1] = start[0]
        output.place(
            mark > 1
                ? UnsafeRawBufferPointer(start: start + 1, count: mark - 1)
                : UnsafeRawBufferPointer(start: start, count: 1),
            pointAfter: exponent + 1)
    }
    return output.count
}

private struct NumberOutput {
    let room: UnsafeMutablePointer<UInt8>
    var count = 0

    init(room: UnsafeMutablePointer<UInt8>) { self.room = room }

    mutating func put(_ character: Unicode.Scalar) {
        room[count] = UInt8(ascii: character)
        count += 1
    }

    private mutating func put(_ digits: UnsafeRawBufferPointer, _ range: Range<Int>) {
        for position in range {
            room[count] = digits[position]
            count += 1
        }
    }

    private mutating func zeros(_ number: Int) { for _ in 0..<number { put("0") } }

    /// The digits with the point behind as many of them as `point` says, or in scientific form where JavaScript uses it.
    mutating func place(_ digits: UnsafeRawBufferPointer, pointAfter point: Int) {
        switch point {
        case digits.count...21:
            put(digits, 0..<digits.count)
            zeros(point - digits.count)
        case 1...21:
            put(digits, 0..<point)
            put(".")
            put(digits, point..<digits.count)
        case -5...0:
            put("0")
            put(".")
            zeros(-point)
            put(digits, 0..<digits.count)
        default:
            put(digits, 0..<1)
            if digits.count > 1 {
                put(".")
                put(digits, 1..<digits.count)
            }
            put("e")
            put(point > 0 ? "+" : "-")
            count += writeDigits(UInt64((point - 1).magnitude), isNegative: false, to: room + count)
        }
    }
}
