// The delivery stage's side of one partition it owns: what it holds of it, and, on `deferred`, who waits behind whom.
internal import Core
internal import Pipeline

/// Belongs to the delivery stage's thread, for one assignment.
final class Intake {
    let partition: StagePartition
    let isDeferred: Bool
    /// When the stage came to own the shard, monotonic nanoseconds.
    let ownedSince: UInt64
    /// Body bytes in hand.
    var bytes = 0
    /// At a drain: the highest offset that is finished or under way.
    var highestTouched: Int64 = -1
    /// `deliveries` only: a lane that is full for a moment; the partition is read again when it has room.
    var brake: WebhookLane?

    // On `deferred` only.
    /// Whether the shard's `deliveries` is owned as well; its lanes are nobody else's only then.
    var ownsShard = false
    var share: DeferredShare
    /// Lanes that have records of this partition waiting; those that have none any more are weeded out at the next look.
    var holders: [WebhookLane] = []
    /// When excess may be moved again, monotonic nanoseconds.
    var nextRotation: UInt64 = 0

    init(_ partition: StagePartition, isDeferred: Bool, ownedSince: UInt64, now: UInt64) {
        self.partition = partition
        self.isDeferred = isDeferred
        self.ownedSince = ownedSince
        share = DeferredShare(now: now)
    }

    var shard: Int32 { partition.number }

    /// Whether nothing more can be read because of what is in hand.
    func isFull(_ window: WindowLimits, processBytes: Int) -> Bool {
        window.room(unfinished: partition.ledger.unfinished, bytes: bytes, processBytes: processBytes) == 0
            || partition.ledger.span >= Ledger.maxSpan
    }

    /// The lane with the most records of this partition waiting.
    func holder() -> WebhookLane? {
        holders.removeAll { lane in
            guard lane.lane.waitingDeferred == 0 else { return false }
            lane.isHolder = false
            return true
        }
        return holders.max { $0.lane.waitingDeferred < $1.lane.waitingDeferred }
    }
}
