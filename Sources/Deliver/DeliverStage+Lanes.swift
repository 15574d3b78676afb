// Serving lanes: what each lane decides is carried out here, round robin, and what a full partition of `deferred` needs.
internal import Core
internal import HTTPEngine
internal import Pipeline
internal import Runtime

extension DeliverStage {
    /// How soon the view is asked again for what it does not explain yet.
    private static let viewRetry: UInt64 = 50_000_000
    /// How soon a full partition of `deferred` is looked at again.
    private static let rotationInterval: UInt64 = 20_000_000

    func enqueue(_ lane: WebhookLane) {
        guard !lane.isQueued else { return }
        lane.isQueued = true
        queue.append(lane)
    }

    func wakeUp(_ lane: WebhookLane, at: UInt64) {
        guard lane.timer == 0 || at < lane.timer else { return }
        lane.timer = at
        timers.add(lane, at: at)
    }

    /// One start a lane and round.
    func serveLanes(_ now: UInt64, _ loop: StageLoop) {
        guard !isDraining else {
            for lane in queue { lane.isQueued = false }
            return queue.removeAll(keepingCapacity: true)
        }
        var first = 0
        while first < queue.count {
            let end = queue.count
            for index in first..<end {
                let lane = queue[index]
                lane.isQueued = false
                serve(lane, now, loop)
            }
            first = end
        }
        queue.removeAll(keepingCapacity: true)
    }

    private func serve(_ lane: WebhookLane, _ now: UInt64, _ loop: StageLoop) {
        refresh(lane, now, loop)
        guard lane.lane.waiting > 0 else { return }
        if lane.wait(now: now) == .view { return wakeUp(lane, at: now + Self.viewRetry) }
        if case .unusable(.secret, _) = lane.state { return parkAll(lane, loop) }
        while true {
            switch lane.lane.next(now: now) {
            case .start(let item):
                start(slots[item.slot], lane, now, loop)
                if lane.lane.waiting > 0 { enqueue(lane) }
                return
            case .park(let item):
                park(item, loop)
            case .defer(let item): deferHeld(item, loop)
            case .wait(let until): return wakeUp(lane, at: until)
            case .nothing: return
            }
        }
    }

    /// Nothing can be signed now: what waits goes round as behind an open circuit, so that it neither fills a window that is
    /// others' too nor holds a watermark back.
    private func parkAll(_ lane: WebhookLane, _ loop: StageLoop) {
        while let item = lane.lane.takeOut() { park(item, loop) }
    }

    private func park(_ item: Lane.Item, _ loop: StageLoop) {
        let held = slots.remove(item.slot)
        output.park(held.delivery, shard: held.lane.shard, held.record, loop)
        loop.finish(held.record)
        counters.parked.add()
    }

    private func deferHeld(_ item: Lane.Item, _ loop: StageLoop) {
        let held = slots.remove(item.slot)
        `defer`(held.delivery, held.lane, held.record, loop)
    }

    private func start(_ held: HeldRecord, _ lane: WebhookLane, _ now: UInt64, _ loop: StageLoop) {
        if hasSettled(held.delivery) {
            // Its twin was settled while it waited.
            lane.lane.finished(slot: held.item.slot, kind: held.item.kind, .void, now: now)
            slots.remove(held.item.slot)
            return dropRepeat(held.delivery, held.record, loop)
        }
        guard case .active(let target) = target(of: held.delivery, lane) else {
            assertionFailure("a lane that may start holds a record without a target")
            return lane.lane.cancelled(held.item, now: Clock.monotonic())
        }
        inFlight += 1
        held.isInFlight = true
        batch.append(
            HTTPRequest(
                token: slots.token(held.item.slot), affinity: Int(lane.shard), endpoint: target.endpoint,
                headerLines: target.headerLines(
                    for: held.delivery, attempt: held.delivery.attempt + 1,
                    at: Timestamp(milliseconds: Clock.wallMilliseconds())),
                body: held.delivery.body, timeoutMilliseconds: settings.timeoutMilliseconds, lease: loop.lease,
                keepsSuccess: held.delivery.purpose == .test))
    }

    /// Hands the started requests to the engine, unless this member may have lost its partitions without knowing it yet.
    func submit(_ loop: StageLoop) {
        guard !batch.isEmpty else { return }
        defer { batch.removeAll(keepingCapacity: true) }
        if loop.mayStart() { return engine.submit(batch) }
        let now = Clock.monotonic()
        for request in batch {
            guard let held = slots.record(request.token) else { continue }
            retake(held, now)
        }
    }

    /// A start that became no attempt: that says nothing of the receiver, and the record waits again.
    func retake(_ held: HeldRecord, _ now: UInt64) {
        inFlight -= 1
        held.isInFlight = false
        held.lane.lane.cancelled(held.item, now: now)
        wakeUp(held.lane, at: now + Lane.holdNanoseconds)
    }

    /// Where a webhook fills the window of a partition of `deferred` while another waits behind it, the first one's excess
    /// goes to the tail again.
    /// - Returns: when to look again, monotonic nanoseconds; nil while no window is full.
    func rotate(_ now: UInt64, _ loop: StageLoop) -> UInt64? {
        var next: UInt64?
        for intake in deferredIntakes
        where intake.ownsShard && intake.isFull(settings.window, processBytes: slots.bytes) {
            if now >= intake.nextRotation {
                intake.nextRotation = now + Self.rotationInterval
                rotate(intake, now, loop)
            }
            next = min(next ?? .max, intake.nextRotation)
        }
        return next
    }

    private func rotate(_ intake: Intake, _ now: UInt64, _ loop: StageLoop) {
        let ledger = intake.partition.ledger
        guard let holder = intake.holder(), intake.share.othersWait(behind: holder.backlog, next: ledger.next) else {
            return
        }
        while holder.lane.waitingDeferred > DeferredShare.kept, intake.share.rotate(now: now) == nil,
            let item = holder.lane.takeDeferred(oldest: ledger.span > Ledger.maxSpan / 2)
        {
            deferHeld(item, loop)
            counters.rotated.add()
            CrashPoint.whileRotating.pass()
        }
    }
}
