// What the delivery stage writes: for a settled attempt its record, and then a retry, or the dead letter and the order to
// disable; and the records that go round: deferred, or parked in `retries` without an attempt.
internal import Core
internal import Crypto
internal import JSON
internal import Kafka
internal import Pipeline
internal import Registry
internal import Runtime

struct DeliveryOutput {
    private let topics: Topics
    private let schedule: RetrySchedule
    private let attempts: KafkaProducer.Topic
    private let retries: KafkaProducer.Topic
    private let deferred: KafkaProducer.Topic
    private let commands: KafkaProducer.Topic
    private let deadLetters: DeadLetters
    private let replays: ReplayLink
    private let tierKeys: [[UInt8]]
    private var writer = JSONWriter()
    private var text: [UInt8] = []

    /// - Parameter payloadBytes: `limits.payloadBytes`.
    init(
        topics: Topics, schedule: RetrySchedule, payloadBytes: Int, producer: KafkaProducer, replays: ReplayLink
    ) {
        self.topics = topics
        self.schedule = schedule
        attempts = producer.topic(topics.attempts)
        retries = producer.topic(topics.retries)
        deferred = producer.topic(topics.deferred)
        commands = producer.topic(topics.commands)
        deadLetters = DeadLetters(topics, producer, largest: payloadBytes)
        self.replays = replays
        tierKeys = schedule.tiers.map { Array($0.label.utf8) }
    }

    /// One attempt that was made.
    struct Attempt {
        let outcome: Outcome
        let startedAt: Timestamp
        let microseconds: Int
        let retryAfterSeconds: Int?
        /// What the log keeps of the answer.
        var response: ResponseExcerpt?
        var endedAt: Timestamp { startedAt.adding(milliseconds: Int64(microseconds / 1000)) }
    }

    /// Writes everything an attempt causes. The caller finishes the record.
    /// - Parameter hasFollowed: what follows from a failure is written already, for a twin of this delivery.
    mutating func settle(
        _ delivery: Delivery, _ record: RecordReference, _ lane: WebhookLane, _ attempt: Attempt, hasFollowed: Bool,
        now: UInt64, _ loop: StageLoop
    ) {
        let number = delivery.attempt + 1
        var next: RetrySchedule.Next?
        if !attempt.outcome.isSuccess, delivery.purpose != .test, !hasFollowed {
            next = schedule.next(
                attemptsMade: number, endedAt: attempt.endedAt, retryAfterSeconds: attempt.retryAfterSeconds)
        }
        var retry: (tier: RetrySchedule.Tier, due: Timestamp)?
        if case .retry(let tier, let due)? = next { retry = (tier, due) }
        AttemptRecord(
            attempt: number, outcome: attempt.outcome, startedAt: attempt.startedAt,
            milliseconds: attempt.microseconds / 1000, response: attempt.response, retry: retry, now: now,
            wallNow: attempt.endedAt
        ).write(delivery, lane, to: &writer, &text)
        guard loop.owns(record) else {
            // The assignment was lost while the POST was under way: it happened, so it is recorded, but what follows
            // from it is the new owner's to decide.
            loop.producer.produce(
                attempts, partition: lane.shard, key: lane.key, value: writer.bytes, headers: KafkaHeaders.none,
                token: 0)
            return
        }
        loop.produce(
            attempts, partition: lane.shard, key: lane.key, value: writer.bytes, headers: KafkaHeaders.none,
            for: record)
        guard let next else { return ended(delivery) }
        var failed = delivery
        failed.attempt = number
        failed.firstAttemptAt = delivery.firstAttemptAt ?? attempt.startedAt
        failed.lastError = attempt.outcome.errorText
        failed.deferredAt = nil
        switch next {
        case .retry(let tier, let due):
            failed.dueAt = due
            produce(failed, tier, shard: lane.shard, record, loop)
            if RetrySchedule.isOneLeft(attemptsMade: number) {
                warn(failed, at: attempt.endedAt, lastAttemptAt: due, record, loop)
            }
        case .giveUp:
            failed.dueAt = nil
            deadLetters.write(
                failed, reason: .retriesSpent,
                message: "\(number) attempts failed; the last: \(failed.lastError ?? "")",
                for: record, loop)
            disable(failed, at: attempt.endedAt, record, loop)
            ended(delivery)
        }
    }

    /// It will not be attempted again.
    private func ended(_ delivery: Delivery) {
        if let run = delivery.run { replays.ended(delivery.id, of: run) }
    }

    private func produce(
        _ delivery: Delivery, _ tier: RetrySchedule.Tier, shard: Int32, _ record: RecordReference, _ loop: StageLoop
    ) {
        loop.produce(
            retries, partition: topics.retryPartition(shard: shard, tier: tier.index), key: tierKeys[tier.index],
            value: delivery.body, headers: delivery.headers(), for: record)
    }

    private func disable(_ delivery: Delivery, at: Timestamp, _ record: RecordReference, _ loop: StageLoop) {
        // The id is derived, so that the order repeated after a crash is the same order.
        let seed = Array("disable\0\(delivery.webhook)\0\(delivery.generation)\0\(delivery.id)".utf8)
        let command = Command(
            id: CommandID(bytes: Digest.sha256(seed)), account: delivery.account, at: at, notAfter: nil,
            change: .disableWebhook(
                delivery.webhook,
                DisableOrder(
                    generation: delivery.generation, reason: "too many failures", failedAttempts: delivery.attempt,
                    lastError: delivery.lastError ?? "", failingSince: delivery.firstAttemptAt ?? at)),
            actor: .deliveryStage)
        order(command, record, loop)
    }

    private func warn(
        _ delivery: Delivery, at: Timestamp, lastAttemptAt: Timestamp, _ record: RecordReference, _ loop: StageLoop
    ) {
        // The same id for every delivery that comes this far: all but the first are answered from memory.
        let seed = Array("warn\0\(delivery.webhook)\0\(delivery.generation)".utf8)
        let command = Command(
            id: CommandID(bytes: Digest.sha256(seed)), account: delivery.account, at: at, notAfter: nil,
            change: .warnWebhook(
                delivery.webhook,
                WarnOrder(
                    generation: delivery.generation, failedAttempts: delivery.attempt,
                    lastError: delivery.lastError ?? "", failingSince: delivery.firstAttemptAt ?? at,
                    lastAttemptAt: lastAttemptAt)),
            actor: .deliveryStage)
        order(command, record, loop)
    }

    private func order(_ command: Command, _ record: RecordReference, _ loop: StageLoop) {
        loop.produce(
            commands, partition: 0, key: Array(command.account.description.utf8), value: command.json,
            headers: KafkaHeaders.none, for: record)
    }

    /// It cannot be attempted now (open circuit, no secret, a webhook not known yet): it goes round through `retries`, its attempts as they are.
    func park(_ delivery: Delivery, shard: Int32, _ record: RecordReference, _ loop: StageLoop) {
        let (tier, due) = schedule.park(
            parks: delivery.parks, now: Timestamp(milliseconds: Clock.wallMilliseconds()))
        var parked = delivery
        parked.parks += 1
        parked.dueAt = due
        parked.deferredAt = nil
        produce(parked, tier, shard: shard, record, loop)
    }

    /// Moves a record that has to wait out of the way; the time of the first move stays with it.
    func `defer`(_ delivery: Delivery, _ lane: WebhookLane, _ record: RecordReference, _ loop: StageLoop) {
        var late = delivery
        late.deferredAt = delivery.deferredAt ?? Timestamp(milliseconds: Clock.wallMilliseconds())
        loop.produce(
            deferred, partition: lane.shard, key: lane.key, value: late.body, headers: late.headers(), for: record)
    }

    /// Gives up a delivery without another attempt.
    func bury(
        _ delivery: Delivery, _ reason: DeadLetterReason, _ message: String, record: RecordReference, _ loop: StageLoop
    ) {
        deadLetters.write(delivery, reason: reason, message: message, for: record, loop)
        ended(delivery)
    }

    func bury(
        _ message: borrowing KafkaMessage, _ cause: String, record: RecordReference, _ loop: StageLoop
    ) {
        deadLetters.write(message, reason: .malformedRecord, message: cause, for: record, loop)
    }
}
