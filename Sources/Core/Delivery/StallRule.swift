// Whether a stage's loop has stalled. librdkafka does not notice: any poll of any queue resets its own timer.

package struct StallRule: Sendable {
    package enum Verdict: Equatable, Sendable {
        case turning
        /// Said and shown, for the seconds it has lasted.
        case stalled(seconds: Int)
        /// The process is to end, so that its partitions move to others.
        case hopeless(seconds: Int)
    }

    /// `ops.stallWarning`, `ops.stallExit`.
    private let stalledNanoseconds: UInt64
    private let hopelessNanoseconds: UInt64
    /// What a look adds at most: when the whole process stood still, nobody could have turned.
    private static let mostPerLook: UInt64 = 2_000_000_000

    private var lastLook: UInt64 = 0
    private var lastTurn: UInt64 = 0
    private var standing: UInt64 = 0

    /// - Parameters:
    ///   - stalled: how long a loop stands still until it is said, milliseconds.
    ///   - hopeless: and until the process is given up.
    package init(stalled: Int64 = 10_000, hopeless: Int64 = 120_000) {
        stalledNanoseconds = UInt64(max(0, stalled)) * 1_000_000
        hopelessNanoseconds = UInt64(max(0, hopeless)) * 1_000_000
    }

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
        if standing >= hopelessNanoseconds { return .hopeless(seconds: Int(standing / 1_000_000_000)) }
        return standing >= stalledNanoseconds ? .stalled(seconds: Int(standing / 1_000_000_000)) : .turning
    }
}
