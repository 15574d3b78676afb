// DELIVER: `deliveries` and `deferred` in, HTTPS POSTs out. The only stage that posts. A webhook's records are all on one
// partition of each topic, so one process owns its rate and its concurrency without any shared state.
package import Core
package import Crypto
package import HTTPEngine
package import Kafka
package import Pipeline
package import Registry
package import Runtime

package struct DeliverSettings: Sendable {
    /// 0 switches the limit off.
    package var eventsPerSecond = 100
    package var burst = 5
    package var timeoutMilliseconds = 5000
    package var allowHTTP = false
    package var policy = AddressPolicy()
    package var deferredAgeMilliseconds: Int64 = 48 * 3_600_000

    package init() {}
}

package final class DeliverStage: StageHandler {
    private let topics: Topics
    private let settings: DeliverSettings
    private let view: RegistryView
    private let secrets: SecretBox
    private let engine: HTTPEngine
    private let results: Inbox<HTTPResult>
    private var output: DeliveryOutput

    private var slots = SlotTable()
    private var lanes: [WebhookID: WebhookLane] = [:]
    private var queue: [WebhookLane] = []
    private var timers = LaneTimers()
    private var batch: [HTTPRequest] = []
    private var finished: [HTTPResult] = []
    private var inFlight = 0
    private var isDraining = false
    private var assignedAt: UInt64 = 0
    private var lastSweep: UInt64 = 0

    // Bounds of design §2: a record is unfinished until everything it caused is acknowledged.
    private static let unfinishedPerPartition = 1000
    private static let bytesInHand = 64 << 20
    /// What has not started after this goes to `deferred`.
    private static let patience: UInt64 = 1_000_000_000
    /// How long the view may be behind the record it has to explain.
    private static let viewPatience: UInt64 = 30_000_000_000
    private static let viewRetry: UInt64 = 50_000_000
    private static let engineRetry: UInt64 = 100_000_000

    /// - Parameter results: the inbox the engine's results come through; its wake is the loop's.
    package init(
        topics: Topics, schedule: RetrySchedule, settings: DeliverSettings, view: RegistryView, secrets: SecretBox,
        engine: HTTPEngine, results: Inbox<HTTPResult>, producer: KafkaProducer
    ) {
        self.topics = topics
        self.settings = settings
        self.view = view
        self.secrets = secrets
        self.engine = engine
        self.results = results
        output = DeliveryOutput(topics: topics, schedule: schedule, producer: producer)
    }

    // MARK: Records

    package func assigned(_: [StagePartition], _: StageLoop) {
        assignedAt = Clock.monotonic()
        isDraining = false
    }

    package func budget(for partition: StagePartition) -> Int {
        slots.bytes >= Self.bytesInHand ? 0 : Self.unfinishedPerPartition - partition.ledger.unfinished
    }

    package func handle(
        _ message: borrowing KafkaMessage, _ record: RecordReference, _ partition: StagePartition, _ loop: StageLoop
    ) {
        // Nothing here writes tombstones; one that came by hand says nothing.
        guard message.value != nil else { return loop.finish(record) }
        let delivery: Delivery
        do { delivery = try Delivery(message) } catch {
            output.bury(message, error.description, record: record, loop)
            return loop.finish(record)
        }
        let now = Clock.monotonic()
        let wasDeferred = partition.topic == topics.deferred
        let lane = lane(for: delivery.webhook, shard: partition.number)
        lane.lastUsed = now
        if !wasDeferred, lane.lane.isFull {
            output.defer(delivery, shard: lane.shard, record: record, loop)
            return loop.finish(record)
        }
        if wasDeferred, message.timestamp >= 0,
            Clock.wallMilliseconds() - message.timestamp > settings.deferredAgeMilliseconds
        {
            output.bury(
                delivery, .overItsRate, "it waited longer than limits.deferredAge allows", record: record, loop)
            return loop.finish(record)
        }
        let slot = slots.add(delivery, record)
        lane.lane.add(
            Lane.Item(slot: slot, isRetry: delivery.attempt > 0, wasDeferred: wasDeferred, since: now))
        enqueue(lane)
        if !wasDeferred { wakeUp(lane, at: now + Self.patience) }
    }

    private func lane(for webhook: WebhookID, shard: Int32) -> WebhookLane {
        if let lane = lanes[webhook] { return lane }
        let bucket = TokenBucket(perSecond: settings.eventsPerSecond, burst: settings.burst, emptySince: assignedAt)
        let lane = WebhookLane(id: webhook, shard: shard, lane: Lane(bucket: bucket))
        lanes[webhook] = lane
        return lane
    }

    // MARK: Serving lanes

    private func enqueue(_ lane: WebhookLane) {
        guard !lane.isQueued else { return }
        lane.isQueued = true
        queue.append(lane)
    }

    private func wakeUp(_ lane: WebhookLane, at: UInt64) {
        guard lane.timer == 0 || at < lane.timer else { return }
        lane.timer = at
        timers.add(lane, at: at)
    }

    package func turn(now: UInt64, _ loop: StageLoop) -> UInt64? {
        takeResults(loop)
        while let lane = timers.takeDue(now: now) {
            lane.timer = 0
            enqueue(lane)
        }
        // Round robin: one start a lane and round.
        while !queue.isEmpty {
            let round = queue
            queue.removeAll(keepingCapacity: true)
            for lane in round {
                lane.isQueued = false
                serve(lane, now, loop)
            }
        }
        if !batch.isEmpty {
            engine.submit(batch)
            batch.removeAll(keepingCapacity: true)
        }
        sweep(now)
        return timers.next
    }

    private func serve(_ lane: WebhookLane, _ now: UInt64, _ loop: StageLoop) {
        guard !isDraining else { return }
        deferStale(lane, now, loop)
        guard lane.lane.waiting > 0 else { return }
        lane.refresh(view) { [settings, secrets] in
            Target.make($0, secrets: secrets, allowHTTP: settings.allowHTTP, policy: settings.policy)
        }
        while let head = lane.lane.head {
            switch judge(head, lane, now) {
            case .drop:
                lane.lane.dropHead()
                loop.finish(slots.remove(head.slot).record)
            case .bury(let reason, let message):
                lane.lane.dropHead()
                let entry = slots.remove(head.slot)
                output.bury(entry.delivery, reason, message, record: entry.record, loop)
                loop.finish(entry.record)
            case .wait:
                return wakeUp(lane, at: now + Self.viewRetry)
            case .refuse(let failure):
                guard case .start(let item) = lane.lane.next(now: now) else { return waitForToken(lane, now) }
                lane.lane.finished(.failure)
                settle(item.slot, lane, refused: failure, loop)
            case .send(let target):
                guard case .start(let item) = lane.lane.next(now: now) else { return waitForToken(lane, now) }
                start(item, lane, target)
                if lane.lane.waiting > 0 { enqueue(lane) }
                return
            }
        }
    }

    private func waitForToken(_ lane: WebhookLane, _ now: UInt64) {
        if case .wait(let until) = lane.lane.next(now: now) { wakeUp(lane, at: until) }
    }

    private enum Judgement {
        case send(Target)
        /// Nobody is to get it, and nobody has to know.
        case drop
        case bury(DeadLetterReason, String)
        /// A failed attempt without a connection.
        case refuse(AttemptFailure)
        /// The view does not explain the record yet, or the secret cannot be opened now.
        case wait
    }

    /// What is to happen with the record at the head, by what the view says at this moment.
    private func judge(_ head: Lane.Item, _ lane: WebhookLane, _ now: UInt64) -> Judgement {
        let delivery = slots[head.slot].delivery
        let waitedForView = now > head.since + Self.viewPatience
        if case .deleted = lane.state { return .drop }
        guard let generation = lane.state.generation else { return waitedForView ? .drop : .wait }
        if delivery.purpose != .test {
            if delivery.generation > generation, !waitedForView { return .wait }
            if case .inactive = lane.state { return .bury(.webhookDisabled, "the webhook is not active") }
            if delivery.generation != generation {
                return .bury(.webhookDisabled, "the webhook was switched off and on again since")
            }
        }
        switch lane.state {
        case .active(let target): return .send(target)
        case .unusable(.endpoint, _): return .refuse(.endpointInvalid)
        case .unusable(.secret, _): return .wait
        case .inactive, .unknown, .deleted: return .drop
        }
    }

    private func start(_ item: Lane.Item, _ lane: WebhookLane, _ target: Target) {
        let entry = slots[item.slot]
        inFlight += 1
        batch.append(
            HTTPRequest(
                token: slots.token(item.slot), affinity: Int(lane.shard), endpoint: target.endpoint,
                headerLines: target.headerLines(
                    for: entry.delivery, attempt: entry.delivery.attempt + 1,
                    at: Timestamp(milliseconds: Clock.wallMilliseconds())),
                body: entry.delivery.body, timeoutMilliseconds: settings.timeoutMilliseconds))
    }

    private func deferStale(_ lane: WebhookLane, _ now: UInt64, _ loop: StageLoop) {
        guard let oldest = lane.lane.oldestDeferrable else { return }
        guard oldest + Self.patience <= now else { return wakeUp(lane, at: oldest + Self.patience) }
        // A webhook the view does not know yet is not slow; its records wait where they are.
        if case .unknown = lane.state { return }
        for item in lane.lane.takeStale(before: now - Self.patience + 1) {
            let entry = slots.remove(item.slot)
            output.defer(entry.delivery, shard: lane.shard, record: entry.record, loop)
            loop.finish(entry.record)
        }
        if let next = lane.lane.oldestDeferrable { wakeUp(lane, at: next + Self.patience) }
    }

    // MARK: Results

    private func takeResults(_ loop: StageLoop) {
        results.take(into: &finished)
        for result in finished {
            guard let slot = slots.slot(result.token) else { continue }
            inFlight -= 1
            let lane = lanes[slots[slot].delivery.webhook]
            if result.cancellation == .beforeSending, let lane, loop.owns(slots[slot].record), !isDraining {
                retake(slot, lane)
                continue
            }
            let entry = slots.remove(slot)
            // No attempt: the record stays unfinished, and whoever owns the partition next reads it again.
            if result.cancellation == .beforeSending { continue }
            if let lane, loop.owns(entry.record) {
                lane.lane.finished(ending(result.outcome))
                lane.lastUsed = Clock.monotonic()
                enqueue(lane)
            }
            settle(
                entry,
                DeliveryOutput.Attempt(
                    outcome: result.outcome, startedAt: Timestamp(milliseconds: result.startedAtWall),
                    microseconds: result.durationMicroseconds, retryAfterSeconds: result.retryAfterSeconds), loop)
        }
    }

    /// The engine had no connection to give: that says nothing of the receiver, and the record waits again.
    private func retake(_ slot: Int, _ lane: WebhookLane) {
        let now = Clock.monotonic()
        lane.lane.cancelled()
        lane.lane.add(Lane.Item(slot: slot, isRetry: true, wasDeferred: true, since: now))
        wakeUp(lane, at: now + Self.engineRetry)
    }

    private func ending(_ outcome: Outcome) -> Lane.Ending {
        switch outcome {
        case .answered(let status):
            outcome.isSuccess ? .success : status == 429 || status >= 500 ? .overload : .failure
        case .failed(.responseTimeout), .failed(.connectTimeout), .failed(.tlsTimeout), .failed(.dnsTimeout): .overload
        case .failed: .failure
        }
    }

    private func settle(_ slot: Int, _ lane: WebhookLane, refused failure: AttemptFailure, _ loop: StageLoop) {
        settle(
            slots.remove(slot),
            DeliveryOutput.Attempt(
                outcome: .failed(failure), startedAt: Timestamp(milliseconds: Clock.wallMilliseconds()),
                microseconds: 0, retryAfterSeconds: nil), loop)
    }

    private func settle(_ entry: SlotTable.Entry, _ attempt: DeliveryOutput.Attempt, _ loop: StageLoop) {
        let delivery = entry.delivery
        Log.debug(
            "attempt", .webhook(delivery.webhook.description), .event(delivery.event.description),
            .attempt(delivery.attempt + 1), .outcome(attempt.outcome.metricLabel),
            .milliseconds(attempt.microseconds / 1000))
        output.settle(
            delivery, attempt, shard: delivery.webhook.shard(of: topics.shards), record: entry.record, loop)
        loop.finish(entry.record)
    }

    // MARK: Leaving

    /// What has not started goes to `deferred`, so that the watermark can pass it; what is under way comes to its end.
    package func drain(_ loop: StageLoop) {
        guard !isDraining else { return }
        isDraining = true
        for lane in lanes.values {
            for item in lane.lane.takeAll() {
                let entry = slots.remove(item.slot)
                if item.wasDeferred { continue }  // it stays where it is, unfinished
                output.defer(entry.delivery, shard: lane.shard, record: entry.record, loop)
                loop.finish(entry.record)
            }
        }
    }

    package var isDrained: Bool { inFlight == 0 }

    /// Results of POSTs that are still under way find their slot and no owner: they are recorded and nothing more.
    package func revoked() {
        slots.remove(
            waiting: lanes.values.reduce(into: Set<Int>()) { waiting, lane in
                for item in lane.lane.takeAll() { waiting.insert(item.slot) }
            })
        lanes.removeAll()
        queue.removeAll()
        timers.removeAll()
        isDraining = false
    }

    /// Forgets webhooks that had nothing to do for five minutes.
    private func sweep(_ now: UInt64) {
        guard now > lastSweep + 10_000_000_000 else { return }
        lastSweep = now
        let idle = lanes.values.filter { $0.lane.isIdle && !$0.isQueued && now > $0.lastUsed + 300_000_000_000 }
        for lane in idle { lanes[lane.id] = nil }
    }
}
