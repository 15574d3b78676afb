// Wall-clock times: milliseconds since 1970, RFC 3339 in and out.

/// A point in time on the wall clock, to the millisecond.
package struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    package func adding(milliseconds more: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds + more) }

    /// RFC 3339 in UTC with milliseconds: `2024-01-15T10:30:00.120Z`, as the delivery headers carry it.
    package var description: String {
        var bytes: [UInt8] = []
        appendRFC3339(to: &bytes, fraction: true)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// RFC 3339 in UTC to the second: `2024-01-15T10:30:00Z`, as the public documentation writes times.
    package var secondsText: String {
        var bytes: [UInt8] = []
        appendRFC3339(to: &bytes, fraction: false)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the text form without making a String. Years 0–9999.
    package func appendRFC3339(to bytes: inout [UInt8], fraction: Bool) {
        let clamped = min(max(milliseconds, -62_167_219_200_000), 253_402_300_799_999)
        let seconds = floorDivide(clamped, 1000)
        let days = floorDivide(seconds, 86400)
        let ofDay = Int(seconds - days * 86400)
        let (year, month, day) = civil(fromDays: days)
        // Into room of its own and then at once: this is written three times for every event.
        withUnsafeTemporaryAllocation(byteCount: 24, alignment: 1) { text in
            func pair(_ value: Int, at position: Int, before separator: Unicode.Scalar) {
                let tens = value / 10
                text[position] = UInt8(truncatingIfNeeded: 48 + tens)
                text[position + 1] = UInt8(truncatingIfNeeded: 48 + value - tens * 10)
                text[position + 2] = UInt8(ascii: separator)
            }
            pair(year / 100, at: 0, before: "-")
            pair(year % 100, at: 2, before: "-")
            pair(month, at: 5, before: "-")
            pair(day, at: 8, before: "T")
            pair(ofDay / 3600, at: 11, before: ":")
            pair(ofDay / 60 % 60, at: 14, before: ":")
            pair(ofDay % 60, at: 17, before: fraction ? "." : "Z")
            if fraction {
                let rest = Int(clamped - seconds * 1000)
                text[20] = UInt8(truncatingIfNeeded: 48 + rest / 100)
                pair(rest % 100, at: 21, before: "Z")
            }
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[..<(fraction ? 24 : 20)]))
        }
    }

    /// Reads an RFC 3339 time with any offset; digits of the fraction beyond the third are dropped.
    /// nil for anything else, including dates that do not exist. A leap second reads as the second after.
    package init?(rfc3339 text: UnsafeRawBufferPointer) {
        var reader = DigitReader(text: text)
        guard let year = reader.number(4), reader.skip("-"), let month = reader.number(2), reader.skip("-"),
            let day = reader.number(2), reader.skip("T") || reader.skip("t") || reader.skip(" "),
            let hour = reader.number(2), reader.skip(":"), let minute = reader.number(2), reader.skip(":"),
            let second = reader.number(2),
            (1...12).contains(month), day >= 1, day <= daysIn(month: month, year: year), hour < 24, minute < 60,
            second <= 60
        else { return nil }
        var fraction = 0
        if reader.skip(".") {
            guard let read = reader.fraction() else { return nil }
            fraction = read
        }
        var offset = 0
        if !(reader.skip("Z") || reader.skip("z")) {
            let negative = reader.skip("-")
            guard negative || reader.skip("+"), let hours = reader.number(2), reader.skip(":"),
                let minutes = reader.number(2), hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * (negative ? -60 : 60)
        }
        guard reader.isAtEnd else { return nil }
        let seconds = days(fromCivil: year, month, day) * 86400 + Int64(hour * 3600 + minute * 60 + second - offset)
        self.init(milliseconds: seconds * 1000 + Int64(fraction))
    }

    package init?(rfc3339 text: String) {
        var text = text
        guard let read = text.withUTF8({ Timestamp(rfc3339: UnsafeRawBufferPointer($0)) }) else { return nil }
        self = read
    }
}

private struct DigitReader {
    let text: UnsafeRawBufferPointer
    var position = 0

    init(text: UnsafeRawBufferPointer) { self.text = text }

    var isAtEnd: Bool { position == text.count }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard position < text.count, text[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func number(_ width: Int) -> Int? {
        guard position + width <= text.count else { return nil }
        var value = 0
        for index in position..<position + width {
            let digit = Int(text[index]) - 48
            guard (0...9).contains(digit) else { return nil }
            value = value * 10 + digit
        }
        position += width
        return value
    }

    /// Milliseconds from the digits behind the point.
    mutating func fraction() -> Int? {
        var value = 0
        var count = 0
        while position < text.count {
            let digit = Int(text[position]) - 48
            guard (0...9).contains(digit) else { break }
            if count < 3 { value = value * 10 + digit }
            count += 1
            position += 1
        }
        guard count > 0 else { return nil }
        for _ in 0..<max(0, 3 - count) { value *= 10 }
        return value
    }
}

private func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
}

private func daysIn(month: Int, year: Int) -> Int {
    switch month {
    case 4, 6, 9, 11: 30
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    default: 31
    }
}

// Days since 1970 and back, counted in 400-year eras that begin on 1 March (so that leap days come last).

private func days(fromCivil year: Int, _ month: Int, _ day: Int) -> Int64 {
    let shifted = Int64(month <= 2 ? year - 1 : year)
    let era = floorDivide(shifted, 400)
    let yearOfEra = shifted - era * 400
    let dayOfYear = Int64((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1)
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
}

private func civil(fromDays days: Int64) -> (Int, Int, Int) {
    let shifted = days + 719_468
    let era = floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = Int(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    let month = Int(shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9)
    let year = Int(yearOfEra + era * 400) + (month <= 2 ? 1 : 0)
    return (year, month, day)
}
