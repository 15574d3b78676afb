// Whether a stage's loop has stalled. librdkafka does not notice: any poll of any queue resets its own timer.

package struct StallRule: Sendable {
    package enum Verdict: Equatable, Sendable {
        case turning
        /// Said and shown, for the seconds it has lasted.
        case stalled(seconds: Int)
        /// The process is to end, so that its partitions move to others.
        case hopeless(seconds: Int)
    }

    package static let stalledNanoseconds: UInt64 = 10_000_000_000
    package static let hopelessNanoseconds: UInt64 = 120_000_000_000
    /// What a look adds at most: when the whole process stood still, nobody could have turned.
    private static let mostPerLook: UInt64 = 2_000_000_000

    private var lastLook: UInt64 = 0
    private var lastTurn: UInt64 = 0
    private var standing: UInt64 = 0

    package init() {}

    /// A look, every second or so.
    /// - Parameter turn: when the loop last turned, monotonic nanoseconds; nil when it does not run.
    package mutating func look(turn: UInt64?, now: UInt64) -> Verdict {
        defer { lastLook = now }
        guard let turn else {
            standing = 0
            return .turning
        }
        if turn != lastTurn || lastLook == 0 {
            lastTurn = turn
            standing = 0
            return .turning
        }
        standing += min(now - lastLook, Self.mostPerLook)
        if standing >= Self.hopelessNanoseconds { return .hopeless(seconds: Int(standing / 1_000_000_000)) }
        return standing >= Self.stalledNanoseconds ? .stalled(seconds: Int(standing / 1_000_000_000)) : .turning
    }
}
