// When a member of a group may begin what the world outside sees: not when it may have lost its partitions unnoticed. A
// process that was stopped (SIGSTOP, a frozen machine) wakes in the middle of a step, and others post its records already.

package struct StartRule: Sendable {
    package let sessionNanoseconds: UInt64
    private var lastPoll: UInt64 = 0
    /// After an absence: when the client has had the time to notice what happened meanwhile.
    private var settledAt: UInt64 = 0

    /// The group counts from the last heartbeat, which may be older than the last poll.
    private static let marginNanoseconds: UInt64 = 1_000_000_000
    /// librdkafka's own thread looks at its session at least once a second.
    private static let noticeNanoseconds: UInt64 = 1_100_000_000

    package init(sessionNanoseconds: UInt64) { self.sessionNanoseconds = sessionNanoseconds }

    private var longestAbsence: UInt64 {
        sessionNanoseconds > 2 * Self.marginNanoseconds
            ? sessionNanoseconds - Self.marginNanoseconds : sessionNanoseconds / 2
    }

    /// The group's queue was polled.
    package mutating func polled(now: UInt64) {
        if lastPoll != 0, now > lastPoll + longestAbsence { settledAt = now + Self.noticeNanoseconds }
        lastPoll = now
    }

    package func mayStart(now: UInt64) -> Bool { now <= startEnd(now: now) }

    /// Until when something that is handed over now may be begun, monotonic nanoseconds; 0 when nothing may.
    package func startEnd(now: UInt64) -> UInt64 {
        lastPoll != 0 && now >= settledAt ? lastPoll + longestAbsence : 0
    }
}
