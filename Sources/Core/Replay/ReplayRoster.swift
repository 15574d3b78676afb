// Which replays this process runs: those of webhooks whose shard its delivery stage owns, as many as there are places, and of
// one account not all of them. One that waits for its endpoint takes no place, and gives even its thread up when others want it.

package struct ReplayRoster: Sendable {
    /// One running replay, as the view shows it.
    package struct Candidate: Equatable, Sendable {
        package var webhook: WebhookID
        package var account: AccountID
        package var replay: ReplayID
        package var shard: Int32
        package var createdAt: Timestamp

        package init(webhook: WebhookID, account: AccountID, replay: ReplayID, shard: Int32, createdAt: Timestamp) {
            self.webhook = webhook
            self.account = account
            self.replay = replay
            self.shard = shard
            self.createdAt = createdAt
        }
    }

    /// A replay that has a thread.
    package struct Running: Sendable {
        package var replay: ReplayID
        package var account: AccountID
        /// Since when it has reached its window, monotonic nanoseconds; nil while it reads.
        package var stalledSince: UInt64?
        /// It was asked to stop and does so.
        package var isLeaving: Bool

        package init(replay: ReplayID, account: AccountID, stalledSince: UInt64? = nil, isLeaving: Bool = false) {
            self.replay = replay
            self.account = account
            self.stalledSince = stalledSince
            self.isLeaving = isLeaving
        }
    }

    /// What is to be done.
    package struct Turn: Equatable, Sendable {
        package var begin: [Candidate] = []
        /// Stalled ones that are to make room.
        package var release: [ReplayID] = []

        package init() {}
    }

    /// Replays that read at once in one process; the others wait their turn.
    package static let places = 4
    /// Of them, those of one account.
    package static let placesOfAnAccount = 2
    /// Those included that have reached their window: an endpoint that does not answer keeps nobody else waiting.
    package static let most = 16
    /// Replays without a thread whose deliveries on their way are kept account of; each has a window of them.
    package static let mostReleased = 256
    /// How long a new owner waits for the last report of the one before, which saves it from repeating work.
    package static let graceNanoseconds: UInt64 = 1_000_000_000

    private struct Released: Sendable {
        var unfinished: Set<DeliveryID>
        let at: UInt64

        /// With room for a good part of its window; else it would be back in a moment.
        func isReady(_ now: UInt64) -> Bool {
            unfinished.count <= ReplayPace.window / 2 && now >= at + ReplayRoster.graceNanoseconds
        }
    }

    private var ownedSince: [Int32: UInt64] = [:]
    private var released: [ReplayID: Released] = [:]

    package init() {}

    /// The shards that are owned from now on.
    /// - Parameter now: monotonic nanoseconds.
    package mutating func owns(_ shards: Set<Int32>, now: UInt64) {
        ownedSince = Dictionary(uniqueKeysWithValues: shards.map { ($0, ownedSince[$0] ?? now) })
    }

    package func isOwned(_ shard: Int32) -> Bool { ownedSince[shard] != nil }

    /// Which candidates to begin, the oldest first, and who makes room for the rest.
    /// - Parameter running: replays that have been begun.
    package func next(_ candidates: [Candidate], running: [Running], now: UInt64) -> Turn {
        var turn = Turn()
        let stalled = running.filter { $0.stalledSince != nil }
        var places = Self.places - (running.count - stalled.count)
        guard places > 0 else { return turn }
        var threads = Self.most - running.count
        var ofAccount: [AccountID: Int] = [:]
        for each in running where each.stalledSince == nil { ofAccount[each.account, default: 0] += 1 }
        let begun = Set(running.map(\.replay))
        let ready = candidates.filter { candidate in
            guard !begun.contains(candidate.replay), let since = ownedSince[candidate.shard] else { return false }
            return now >= since + Self.graceNanoseconds && released[candidate.replay]?.isReady(now) ?? true
        }
        var lacking = 0
        for candidate in ready.sorted(by: { ($0.createdAt, $0.replay) < ($1.createdAt, $1.replay) }) {
            guard places > 0 else { break }
            guard ofAccount[candidate.account, default: 0] < Self.placesOfAnAccount else { continue }
            places -= 1
            ofAccount[candidate.account, default: 0] += 1
            if threads > 0 {
                threads -= 1
                turn.begin.append(candidate)
            } else {
                lacking += 1
            }
        }
        lacking = min(lacking - running.count(where: \.isLeaving), Self.mostReleased - released.count)
        if lacking > 0 {
            turn.release = stalled.filter { !$0.isLeaving }
                .sorted { ($0.stalledSince ?? 0, $0.replay) < ($1.stalledSince ?? 0, $1.replay) }
                .prefix(lacking).map(\.replay)
        }
        return turn
    }

    // MARK: Those that were released

    /// - Parameter unfinished: its deliveries that are on their way.
    package mutating func wasReleased(_ replay: ReplayID, unfinished: Set<DeliveryID>, now: UInt64) {
        released[replay] = Released(unfinished: unfinished, at: now)
    }

    package var releasedReplays: [ReplayID] { Array(released.keys) }

    /// Deliveries of one that was released have come to their end.
    package mutating func ended(_ deliveries: [DeliveryID], of replay: ReplayID) {
        for delivery in deliveries { released[replay]?.unfinished.remove(delivery) }
    }

    /// It begins again: its deliveries that are on their way.
    package mutating func takeUp(_ replay: ReplayID) -> Set<DeliveryID> {
        released.removeValue(forKey: replay)?.unfinished ?? []
    }

    /// - Parameter candidates: what there is to run at all.
    /// - Returns: those that are none of ours any more.
    package mutating func forgetReleased(but candidates: [Candidate]) -> [ReplayID] {
        guard !released.isEmpty else { return [] }
        let ours = Set(candidates.filter { isOwned($0.shard) }.map(\.replay))
        let gone = released.keys.filter { !ours.contains($0) }
        for replay in gone { released[replay] = nil }
        return gone
    }
}
