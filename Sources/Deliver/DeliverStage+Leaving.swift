// Partitions come and go: what has not started is handed over, what is under way comes to its end, and a member that gets
// a partition straight back goes on where it was.
internal import Core
package import Pipeline
internal import Runtime

extension DeliverStage {
    package func assigned(_ partitions: [StagePartition], _ loop: StageLoop) {
        let now = Clock.monotonic()
        isDraining = false
        let shards = Set(partitions.lazy.filter { $0.topic == self.topics.deliveries }.map(\.number))
        // After a longer absence another member may have had them.
        let isStraightBack = now < revokedAt + loop.sessionNanoseconds
        for lane in lanes.values where !isStraightBack || !shards.contains(lane.shard) { lanes[lane.id] = nil }
        let kept = isStraightBack ? ownedSince : [:]
        ownedSince = [:]
        for shard in shards { ownedSince[shard] = kept[shard] ?? now }
        intakes = partitions.map { partition in
            let intake = Intake(
                partition, isDeferred: partition.topic == topics.deferred,
                ownedSince: ownedSince[partition.number] ?? now, now: now)
            intake.ownsShard = shards.contains(partition.number)
            partition.attachment = intake
            return intake
        }
        deferredIntakes = intakes.filter(\.isDeferred)
        replays.owns(shards)
    }

    /// What has not started goes to `deferred`, so that the watermark can pass it; what is under way comes to its end.
    package func drain(_ loop: StageLoop) {
        guard !isDraining else { return }
        isDraining = true
        replays.owns([])
        // A deferred record stays where it is unless a later one of its partition is through: the watermark would stop
        // at it, and the later ones would be sent again.
        for intake in intakes {
            intake.highestTouched = max(intake.partition.highestFinished, slots.highestInFlight(of: intake))
        }
        for lane in lanes.values {
            while let item = lane.lane.takeOut() {
                let held = slots.remove(item.slot)
                if held.intake.isDeferred, held.record.offset > held.intake.highestTouched { continue }
                `defer`(held.delivery, lane, held.record, loop)
            }
        }
    }

    package var isDrained: Bool { inFlight == 0 }

    package func revoked() { revoked(wasLost: true) }

    /// Results of POSTs that are still under way find their slot and no owner: they are recorded and nothing more. The
    /// lanes stay until the next assignment says whether they are still ours, unless others own them already.
    package func revoked(wasLost: Bool) {
        for lane in lanes.values {
            while let item = lane.lane.takeOut() { slots.remove(item.slot) }
            lane.stopWaiting()
            lane.backlog = DeferredShare.Backlog()
            lane.isQueued = false
            lane.isHolder = false
            lane.timer = 0
        }
        replays.owns([])
        if wasLost {
            lanes.removeAll()
            ownedSince = [:]
        }
        queue.removeAll()
        timers.removeAll()
        intakes = []
        deferredIntakes = []
        isDraining = false
        revokedAt = Clock.monotonic()
    }
}
