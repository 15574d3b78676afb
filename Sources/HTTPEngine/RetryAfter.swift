// `Retry-After`: seconds from now, or a date (RFC 9110 §10.2.3). Anything else is as if it were not there.

package enum RetryAfter: Equatable, Sendable {
    case seconds(Int)
    /// Seconds since 1970.
    case date(Int64)

    /// Longest wait that is believed; more is a mistake of the receiver.
    private static let maximumSeconds = 31 * 86_400

    init?(_ value: UnsafeRawBufferPointer) {
        if let seconds = ResponseHead.decimal(value) {
            self = .seconds(min(seconds, Self.maximumSeconds))
        } else if let date = Self.fixedDate(value) {
            self = .date(date)
        } else {
            return nil
        }
    }

    /// The wait in seconds, rounded up so that it is never too short; 0 for a date that has passed.
    package func seconds(atWallMilliseconds now: Int64) -> Int {
        switch self {
        case .seconds(let seconds): seconds
        case .date(let date): Int(max(0, min(Int64(Self.maximumSeconds), (date * 1000 - now + 999) / 1000)))
        }
    }

    private static let months: [StaticString] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form senders must use.
    private static func fixedDate(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        guard bytes.count == 29, bytes[3] == 0x2c, bytes[19] == 0x3a, bytes[22] == 0x3a, bytes[26] == 0x47 else {
            return nil
        }
        func number(_ start: Int, _ count: Int) -> Int? {
            ResponseHead.decimal(UnsafeRawBufferPointer(rebasing: bytes[start..<start + count]))
        }
        let month = months.firstIndex { name in (0..<3).allSatisfy { bytes[8 + $0] == name.utf8Start[$0] } }
        guard let day = number(5, 2), let month, let year = number(12, 4), let hour = number(17, 2),
            let minute = number(20, 2), let second = number(23, 2), (1...31).contains(day),
            (1970...9999).contains(year),
            hour < 24, minute < 60, second <= 60
        else { return nil }
        // Days since 1970 in the Gregorian calendar, counted in years that begin with March.
        let shiftedYear = month < 2 ? year - 1 : year
        let shiftedMonth = (month + 10) % 12
        let dayOfYear = (153 * shiftedMonth + 2) / 5 + day - 1
        let days = shiftedYear * 365 + shiftedYear / 4 - shiftedYear / 100 + shiftedYear / 400 + dayOfYear - 719_468
        return Int64(days) * 86_400 + Int64(hour * 3600 + minute * 60 + second)
    }
}
