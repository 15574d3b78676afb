// How much of a replay may be on its way: no more unfinished deliveries than its window, no more a second than half of
// what the webhook may get, so that what happens now finds tokens in the bucket, and no more records read than leave broker
// and processor to others.

package struct ReplayPace: Sendable {
    /// Deliveries of one replay that are written and neither delivered nor given up.
    package static let window = 500
    /// Where webhooks have no limit.
    package static let unlimitedPerSecond = 200
    /// Records read, whoever they are for.
    package static let recordsPerSecond = 20_000
    /// Records that are looked at in one go.
    package static let recordsAtOnce = 200

    private var unfinished: Set<DeliveryID>
    /// Those that the broker has not acknowledged, by their token.
    private var unacknowledged: [UInt64: DeliveryID] = [:]
    private var lastToken: UInt64 = 0
    private var bucket: TokenBucket
    private let isDryRun: Bool
    private var readAgainAt: UInt64 = 0

    /// - Parameters:
    ///   - eventsPerSecond: `limits.eventsPerSecond`; 0 is no limit.
    ///   - unfinished: of an earlier part of the same replay.
    ///   - now: monotonic nanoseconds.
    package init(eventsPerSecond: Int, isDryRun: Bool, unfinished: Set<DeliveryID> = [], now: UInt64) {
        self.unfinished = unfinished
        let perSecond = eventsPerSecond > 0 ? max(1, eventsPerSecond / 2) : Self.unlimitedPerSecond
        // Some hundredths of a second in one go: a longer burst would stand before what happens now.
        bucket = TokenBucket(perSecond: perSecond, burst: max(1, perSecond / 50), emptySince: now)
        self.isDryRun = isDryRun
    }

    package var unfinishedCount: Int { unfinished.count }

    /// How many records may be looked at now; each may become an event. 0 until ``nextMoment(now:)`` or until one ends.
    package func room(now: UInt64) -> Int {
        guard now >= readAgainAt else { return 0 }
        if isDryRun { return Self.recordsAtOnce }
        guard bucket.nextToken(now: now) <= now else { return 0 }
        return max(0, min(Self.recordsAtOnce, Self.window - unfinished.count))
    }

    /// Whether reading goes on after one more record of the same handful.
    package func mayGoOn(now: UInt64) -> Bool { isDryRun || room(now: now) > 0 }

    /// When there is a token again, monotonic nanoseconds.
    package func nextMoment(now: UInt64) -> UInt64 {
        max(now, readAgainAt, isDryRun ? 0 : bucket.nextToken(now: now))
    }

    /// Records were read.
    package mutating func read(_ count: Int, now: UInt64) {
        readAgainAt = now + UInt64(count) * (1_000_000_000 / UInt64(Self.recordsPerSecond))
    }

    /// - Returns: what names it to ``acknowledged(_:)``.
    package mutating func wrote(_ delivery: DeliveryID, now: UInt64) -> UInt64 {
        unfinished.insert(delivery)
        bucket.take(now: now)
        lastToken += 1
        unacknowledged[lastToken] = delivery
        return lastToken
    }

    /// The broker has it.
    package mutating func acknowledged(_ token: UInt64) { unacknowledged[token] = nil }

    /// For whoever goes on with the replay: what is on its way for certain. A record that the broker never got comes to no end
    /// that anybody could count; it is written again.
    package var handedOver: Set<DeliveryID> { unfinished.subtracting(unacknowledged.values) }

    /// It was delivered or given up.
    package mutating func ended(_ delivery: DeliveryID) { unfinished.remove(delivery) }
}
