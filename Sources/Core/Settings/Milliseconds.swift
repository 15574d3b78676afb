// A length of time in the configuration and on the schedule: whole milliseconds, written "500ms", "5s", "30m", "24h" or "2d".

package struct Milliseconds: Hashable, Comparable, Sendable {
    package var count: Int64

    package init(_ count: Int64) { self.count = count }

    package static func seconds(_ count: Int64) -> Milliseconds { Milliseconds(count * 1000) }
    package static func minutes(_ count: Int64) -> Milliseconds { .seconds(count * 60) }
    package static func hours(_ count: Int64) -> Milliseconds { .minutes(count * 60) }
    package static func days(_ count: Int64) -> Milliseconds { .hours(count * 24) }

    /// A whole number and one unit out of ms, s, m, h, d; nil for anything else, also for what overflows.
    package init?(_ text: some StringProtocol) {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard !digits.isEmpty, let number = Int64(digits) else { return nil }
        let factor: Int64
        switch text[digits.endIndex...] {
        case "ms": factor = 1
        case "s": factor = 1000
        case "m": factor = 60_000
        case "h": factor = 3_600_000
        case "d": factor = 86_400_000
        default: return nil
        }
        let (count, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow else { return nil }
        self.count = count
    }

    package static func < (left: Milliseconds, right: Milliseconds) -> Bool { left.count < right.count }

    /// Multiplied and rounded to the nearest millisecond; stays within Int64 for every factor that is a number.
    package func scaled(by factor: Double) -> Milliseconds {
        if factor == 1 { return self }
        let product = (Double(count) * factor).rounded()
        return Milliseconds(Int64(exactly: product) ?? (product < 0 ? .min : .max))
    }
}

extension Milliseconds: CustomStringConvertible {
    /// The largest unit that divides it, hours at most: `24h`, never `1d`, for this is also a tier's label in topics and logs.
    package var description: String {
        if count == 0 { return "0s" }
        if count % 3_600_000 == 0 { return "\(count / 3_600_000)h" }
        if count % 60_000 == 0 { return "\(count / 60_000)m" }
        if count % 1000 == 0 { return "\(count / 1000)s" }
        return "\(count)ms"
    }
}
