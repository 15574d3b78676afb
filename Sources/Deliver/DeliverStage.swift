// DELIVER: `deliveries` and `deferred` in, HTTPS POSTs out. The only stage that posts. A webhook's records are all on one
// partition of each topic, so one process owns its rate and its concurrency without any shared state.
//
// This file takes records on; DeliverStage+Lanes starts them, DeliverStage+Results ends them, DeliverStage+Leaving hands
// them over.
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
    /// How long a delivery waits for the view to know its webhook.
    package var viewPatienceNanoseconds: UInt64 = 30_000_000_000
    /// How long a webhook that has nothing to do is remembered …
    package var idleLaneNanoseconds: UInt64 = 300_000_000_000
    /// … and one whose circuit is open: longer than the longest wait, 24 h.
    package var openLaneNanoseconds: UInt64 = 25 * 3_600_000_000_000
    package var policy = AddressPolicy()
    package var deferredAgeMilliseconds: Int64 = 48 * 3_600_000
    /// `limits.payloadBytes`.
    package var payloadBytes = 1_048_576
    package var window = WindowLimits()

    package init() {}
}

package final class DeliverStage: StageHandler {
    let topics: Topics
    let settings: DeliverSettings
    let engine: HTTPEngine
    let results: Inbox<HTTPResult>
    var output: DeliveryOutput
    private let view: RegistryView
    let replays: ReplayLink
    private let makeTarget: (Webhook) -> TargetState

    var slots = SlotTable()
    var lanes: [WebhookID: WebhookLane] = [:]
    var intakes: [Intake] = []
    /// Partitions of `deferred`, among ``intakes``.
    var deferredIntakes: [Intake] = []
    var queue: [WebhookLane] = []
    var timers = LaneTimers()
    var batch: [HTTPRequest] = []
    var finished: [HTTPResult] = []
    var inFlight = 0
    var isDraining = false
    /// When each owned shard came, monotonic nanoseconds; kept from a revocation to the next assignment.
    var ownedSince: [Int32: UInt64] = [:]
    var revokedAt: UInt64 = 0
    private var lastSweep: UInt64 = 0
    /// What came twice through a crash ends here.
    var settled = SettledAttempts()
    let counters = DeliverCounters()
    let census = LaneCensus()

    /// - Parameters:
    ///   - results: the inbox the engine's results come through; its wake is the loop's.
    ///   - replays: is told what this stage owns, and which deliveries of replays ended.
    package init(
        topics: Topics, schedule: RetrySchedule, settings: DeliverSettings, view: RegistryView, secrets: SecretBox,
        engine: HTTPEngine, results: Inbox<HTTPResult>, producer: KafkaProducer, replays: ReplayLink = ReplayLink()
    ) {
        self.topics = topics
        self.settings = settings
        self.view = view
        self.engine = engine
        self.results = results
        self.replays = replays
        output = DeliveryOutput(
            topics: topics, schedule: schedule, payloadBytes: settings.payloadBytes, producer: producer,
            replays: replays)
        makeTarget = {
            Target.make(
                $0, secrets: secrets, allowHTTP: settings.allowHTTP, policy: settings.policy,
                at: Timestamp(milliseconds: Clock.wallMilliseconds()))
        }
    }

    // MARK: Reading

    package func budget(for partition: StagePartition) -> Int {
        let intake = intake(of: partition)
        if intake.isDeferred {
            guard intake.ownsShard else { return 0 }
        } else if let lane = intake.brake {
            guard !lane.lane.isFullButFlowing(now: Clock.monotonic()) else { return 0 }
            intake.brake = nil
        }
        return settings.window.room(
            unfinished: partition.ledger.unfinished, bytes: intake.bytes, processBytes: slots.bytes)
    }

    func intake(of partition: StagePartition) -> Intake {
        // The stage puts it there in `assigned`, before the first record is read.
        unsafeDowncast(partition.attachment!, to: Intake.self)
    }

    package func handle(
        _ message: borrowing KafkaMessage, _ record: RecordReference, _ partition: StagePartition, _ loop: StageLoop
    ) {
        // Nothing here writes tombstones; one that came by hand says nothing.
        guard message.value != nil else { return loop.finish(record) }
        let intake = intake(of: partition)
        let delivery: Delivery
        do { delivery = try Delivery(message) } catch {
            output.bury(message, error.description, record: record, loop)
            return loop.finish(record)
        }
        let lane = lane(for: delivery.webhook, intake)
        if intake.isDeferred {
            if !intake.share.hasBegun { begin(intake, loop) }
            intake.share.read(record.offset, &lane.backlog)
        }
        if hasSettled(delivery) {
            return dropRepeat(delivery, record, loop)
        }
        if let twin = slots.twin(of: delivery), loop.owns(twin.record) {
            // Whatever becomes of the twin is written before its own offset is passed, so this one is not needed.
            counters.repeated.add()
            return loop.finish(record)
        }
        // After reading, so that no record seems to come from the future.
        let now = Clock.monotonic()
        lane.lastUsed = now
        refresh(lane, now, loop)
        if lane.isAhead(delivery) {
            lane.awaitView(for: delivery, now: now)
        } else if !isFit(delivery, lane, record, since: now, now, loop) {
            return
        } else if intake.isDeferred, buriedForAge(delivery, message.timestamp, record, loop) {
            // Only what would have been sent: of a deleted webhook nothing is kept, also not as a dead letter.
            return
        }
        let kind: Lane.Item.Kind =
            delivery.purpose == .test
            ? .test : intake.isDeferred ? .deferred : delivery.attempt > 0 || delivery.parks > 0 ? .retry : .fresh
        let item = Lane.Item(
            slot: slots.nextSlot, kind: kind, attempts: delivery.attempt, bytes: delivery.body.count, since: now)
        guard lane.lane.add(item, wasDeferred: intake.isDeferred) else {
            return `defer`(delivery, lane, record, loop)
        }
        slots.add(HeldRecord(delivery, record, lane, intake, item))
        if intake.isDeferred {
            if !lane.isHolder {
                lane.isHolder = true
                intake.holders.append(lane)
            }
        } else if lane.lane.isFullButFlowing(now: now) {
            intake.brake = lane
        }
        enqueue(lane)
    }

    /// The first record of a partition of `deferred` is here: what the log holds was written by others or is counted anew.
    private func begin(_ intake: Intake, _ loop: StageLoop) {
        intake.share.began(logEnd: loop.logEnd(of: intake.partition))
        for lane in lanes.values where lane.shard == intake.shard { lane.backlog = DeferredShare.Backlog() }
    }

    private func buriedForAge(
        _ delivery: Delivery, _ written: Int64, _ record: RecordReference, _ loop: StageLoop
    ) -> Bool {
        let deferredAt = delivery.deferredAt ?? Timestamp(milliseconds: written)
        guard deferredAt.milliseconds >= 0,
            DeferredShare.isTooOld(
                deferredAt: deferredAt, now: Timestamp(milliseconds: Clock.wallMilliseconds()),
                limitMilliseconds: settings.deferredAgeMilliseconds)
        else { return false }
        output.bury(
            delivery, .overItsRate, "it waited longer than limits.deferredAge allows", record: record, loop)
        loop.finish(record)
        return true
    }

    private func lane(for webhook: WebhookID, _ intake: Intake) -> WebhookLane {
        if let lane = lanes[webhook] { return lane }
        // A new owner does not know what the one before sent: the bucket was empty when the shard came.
        let bucket = TokenBucket(
            perSecond: settings.eventsPerSecond, burst: settings.burst, emptySince: intake.ownedSince)
        let lane = WebhookLane(
            id: webhook, shard: intake.shard, lane: Lane(bucket: bucket),
            viewPatience: settings.viewPatienceNanoseconds)
        lanes[webhook] = lane
        return lane
    }

    func `defer`(_ delivery: Delivery, _ lane: WebhookLane, _ record: RecordReference, _ loop: StageLoop) {
        output.defer(delivery, lane, record, loop)
        loop.finish(record)
        counters.deferred.add()
        if let target = deferredIntakes.first(where: { $0.shard == lane.shard }) {
            target.share.wrote(&lane.backlog)
        }
    }

    // MARK: What the view says

    /// Takes in what the view says now. When that changed, or the patience with it is over, every waiting record is judged
    /// anew.
    func refresh(_ lane: WebhookLane, _ now: UInt64, _ loop: StageLoop) {
        let hasChanged = lane.refresh(view, make: makeTarget)
        guard hasChanged || lane.wait(now: now) == .over else { return }
        let isOver = lane.wait(now: now) == .over
        if isOver { lane.stopWaiting() }
        guard lane.lane.waiting > 0 else { return }
        var kept: [Lane.Item] = []
        while let item = lane.lane.takeOut() {
            let held = slots[item.slot]
            if !isOver, lane.isAhead(held.delivery) || lane.wait(now: now) == .view {
                kept.append(item)
            } else if isFit(held.delivery, lane, held.record, since: item.since, now, loop) {
                kept.append(item)
            } else {
                slots.remove(item.slot)
            }
        }
        for item in kept { _ = lane.lane.add(item, wasDeferred: true) }
    }

    /// Whether a record may be sent by what the view says; one that may not is settled here.
    /// - Parameter since: when the record was read, monotonic nanoseconds.
    private func isFit(
        _ delivery: Delivery, _ lane: WebhookLane, _ record: RecordReference, since: UInt64, _ now: UInt64,
        _ loop: StageLoop
    ) -> Bool {
        // Nobody knows yet whether the webhook was deleted, or is so new or so newly switched on that this process has not heard
        // of it: its view may be behind.
        if lane.isAhead(delivery), view.confirmedAt <= since {
            output.park(delivery, shard: lane.shard, record, loop)
            loop.finish(record)
            counters.parked.add()
            return false
        }
        switch target(of: delivery, lane) {
        case .deleted, .unknown:
            drop(delivery, record, loop)
            return false
        case .inactive:
            output.bury(delivery, .webhookDisabled, "the webhook is not active", record: record, loop)
            loop.finish(record)
            return false
        case .active, .unusable:
            guard delivery.purpose == .test || delivery.generation == lane.state.generation else {
                output.bury(
                    delivery, .webhookDisabled, "the webhook was switched off and on again since", record: record, loop)
                loop.finish(record)
                return false
            }
            if let run = delivery.run, lane.hasCancelled(run) {
                drop(delivery, record, loop)
                return false
            }
            switch target(of: delivery, lane) {
            case .unusable(.endpoint, _):
                refuse(delivery, .endpointInvalid, lane, record, now, loop)
                return false
            case .unusable(.secret, _) where delivery.purpose == .test:
                // Somebody waits for its answer; a delivery can wait for the key.
                refuse(delivery, .secretUnavailable, lane, record, now, loop)
                return false
            default: return true
            }
        }
    }

    /// Whether the attempt that a record asks for has been made and dealt with by this owner.
    func hasSettled(_ delivery: Delivery) -> Bool {
        settled.contains(delivery.id, generation: delivery.generation, attempt: delivery.attempt)
    }

    func dropRepeat(_ delivery: Delivery, _ record: RecordReference, _ loop: StageLoop) {
        counters.repeated.add()
        if let run = delivery.run { replays.ended(delivery.id, of: run) }
        loop.finish(record)
    }

    /// Nobody is to have it any more: its webhook is gone, or its replay was cancelled.
    private func drop(_ delivery: Delivery, _ record: RecordReference, _ loop: StageLoop) {
        counters.dropped.add()
        if let run = delivery.run { replays.ended(delivery.id, of: run) }
        loop.finish(record)
    }

    func target(of delivery: Delivery, _ lane: WebhookLane) -> TargetState {
        delivery.purpose == .test ? lane.target(for: .test, make: makeTarget) : lane.state
    }

    package func willStore() { CrashPoint.afterRetry.pass() }

    // MARK: Turning

    package func turn(now: UInt64, _ loop: StageLoop) -> UInt64? {
        takeResults(loop)
        while let lane = timers.takeDue(now: now) {
            lane.timer = 0
            enqueue(lane)
        }
        serveLanes(now, loop)
        submit(loop)
        let rotation = isDraining ? nil : rotate(now, loop)
        sweep(now)
        if now >= census.due { takeCensus(now, loop) }
        let brake = intakes.contains { $0.brake != nil } ? now + 10_000_000 : UInt64.max
        let next = min(timers.next ?? .max, rotation ?? .max, brake)
        return next == .max ? nil : next
    }

    /// Forgets webhooks that had nothing to do for five minutes, or, while their circuit is open, for longer than the longest
    /// wait: what is parked comes back to an endpoint that is still taken for dead.
    private func sweep(_ now: UInt64) {
        guard now > lastSweep + min(10_000_000_000, settings.idleLaneNanoseconds) else { return }
        lastSweep = now
        for lane in lanes.values where lane.isForgotten(now: now, settings) { lanes[lane.id] = nil }
    }
}
