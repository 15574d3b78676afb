// The rate of one webhook: a token bucket kept as one number, the virtual time at which it will be full again (GCRA).

package struct TokenBucket: Sendable {
    private let interval: UInt64
    private let burst: UInt64
    /// Virtual time up to which tokens are taken, monotonic nanoseconds.
    private var takenUntil: UInt64

    /// - Parameters:
    ///   - perSecond: tokens a second; 0 switches the limit off.
    ///   - emptySince: when the bucket was empty; a new owner does not know what the one before took.
    package init(perSecond: Int, burst: Int, emptySince: UInt64) {
        interval = perSecond > 0 ? 1_000_000_000 / UInt64(perSecond) : 0
        self.burst = UInt64(max(1, burst))
        takenUntil = emptySince + interval * self.burst
    }

    /// When the next token is there; `now` or earlier means now.
    package func nextToken(now: UInt64) -> UInt64 {
        let room = interval * burst
        return takenUntil + interval > room ? takenUntil + interval - room : 0
    }

    /// Takes a token; the caller has checked ``nextToken(now:)``.
    package mutating func take(now: UInt64) {
        takenUntil = max(takenUntil, now) + interval
    }
}
