// Which replays this process runs: those of webhooks whose shard its delivery stage owns, as many as there are places.

package struct ReplayRoster: Sendable {
    /// One running replay, as the view shows it.
    package struct Candidate: Equatable, Sendable {
        package var webhook: WebhookID
        package var replay: ReplayID
        package var shard: Int32
        package var createdAt: Timestamp

        package init(webhook: WebhookID, replay: ReplayID, shard: Int32, createdAt: Timestamp) {
            self.webhook = webhook
            self.replay = replay
            self.shard = shard
            self.createdAt = createdAt
        }
    }

    /// Replays that read at once in one process; the others wait their turn.
    package static let places = 4
    /// Those included that have reached their window: an endpoint that does not answer keeps nobody else waiting.
    package static let most = 16
    /// How long a new owner waits for the last report of the one before, which saves it from repeating work.
    package static let graceNanoseconds: UInt64 = 1_000_000_000

    private var ownedSince: [Int32: UInt64] = [:]

    package init() {}

    /// The shards that are owned from now on.
    /// - Parameter now: monotonic nanoseconds.
    package mutating func owns(_ shards: Set<Int32>, now: UInt64) {
        ownedSince = Dictionary(uniqueKeysWithValues: shards.map { ($0, ownedSince[$0] ?? now) })
    }

    package func isOwned(_ shard: Int32) -> Bool { ownedSince[shard] != nil }

    /// Which candidates to begin, the oldest first.
    /// - Parameters:
    ///   - running: replays that have been begun.
    ///   - stalled: how many of them have reached their window.
    package func next(
        _ candidates: [Candidate], running: Set<ReplayID>, stalled: Int = 0, now: UInt64
    ) -> [Candidate] {
        let free = min(Self.places + stalled, Self.most) - running.count
        guard free > 0 else { return [] }
        let ready = candidates.filter { candidate in
            guard !running.contains(candidate.replay), let since = ownedSince[candidate.shard] else { return false }
            return now >= since + Self.graceNanoseconds
        }
        return Array(ready.sorted { ($0.createdAt, $0.replay) < ($1.createdAt, $1.replay) }.prefix(free))
    }
}
