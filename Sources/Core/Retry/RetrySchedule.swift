// The documented retry schedule: eight waits, one tier each, and what a failed attempt leads to.

package struct RetrySchedule: Sendable {
    /// Always eight: the partition of `retries` is shard·8 + tier.
    package static let tierCount = 8
    package static let documentedWaits: [Int64] = [
        5_000, 30_000, 300_000, 1_800_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
    ]

    package struct Tier: Sendable, Equatable {
        package let index: Int
        /// The unscaled wait as operators write it, for instance `30m`; the key of the `retries` topic.
        package let label: String
        /// The wait that is really waited, scaled.
        package let waitMilliseconds: Int64
    }

    package let tiers: [Tier]

    /// - Parameters:
    ///   - waits: eight unscaled waits in milliseconds.
    ///   - timeScale: multiplies the waits and nothing else.
    package init(waits: [Int64] = RetrySchedule.documentedWaits, timeScale: Double = 1) {
        precondition(waits.count == Self.tierCount, "there are eight tiers")
        tiers = waits.enumerated().map { index, wait in
            Tier(
                index: index, label: Milliseconds(wait).description,
                waitMilliseconds: max(1, Int64((Double(wait) * timeScale).rounded())))
        }
    }

    package enum Next: Equatable, Sendable {
        case retry(Tier, due: Timestamp)
        /// The retries are spent: the webhook is disabled.
        case giveUp
    }

    /// What follows after a failed attempt.
    /// - Parameters:
    ///   - attemptsMade: 1 after the first POST.
    ///   - endedAt: the wait is counted from the end of the attempt.
    ///   - retryAfterSeconds: what the receiver asked for; a longer wait than scheduled moves to the first tier that is
    ///     not shorter, a shorter one is ignored.
    package func next(attemptsMade: Int, endedAt: Timestamp, retryAfterSeconds: Int?) -> Next {
        guard attemptsMade <= Self.tierCount else { return .giveUp }
        var tier = tiers[max(0, attemptsMade - 1)]
        if let seconds = retryAfterSeconds, Int64(clamping: seconds) > tier.waitMilliseconds / 1000 {
            let asked = Int64(min(seconds, 1_000_000)) * 1000
            if asked > tier.waitMilliseconds {
                tier = tiers[tier.index...].first { $0.waitMilliseconds >= asked } ?? tiers[Self.tierCount - 1]
            }
        }
        return .retry(tier, due: endedAt.adding(milliseconds: tier.waitMilliseconds))
    }

    /// Whether only retry 8 is left after this many attempts: the moment to warn the account.
    package static func isOneLeft(attemptsMade: Int) -> Bool { attemptsMade == tierCount }

    /// A record that an open circuit sends round again waits no longer than this tier, `2h`.
    package static let longestPark = 4

    /// Where a record goes that an open circuit holds back: its attempts do not count, only how often it was parked.
    /// - Parameter parks: how often before this time.
    package func park(parks: Int, now: Timestamp) -> (tier: Tier, due: Timestamp) {
        let tier = tiers[min(max(0, parks), Self.longestPark)]
        return (tier, now.adding(milliseconds: tier.waitMilliseconds))
    }
}
