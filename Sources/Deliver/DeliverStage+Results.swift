// What comes back from the engine, and what follows from it.
internal import Core
internal import HTTPEngine
internal import Pipeline
internal import Runtime

extension DeliverStage {
    func takeResults(_ loop: StageLoop) {
        results.take(into: &finished)
        guard !finished.isEmpty else { return }
        let now = Clock.monotonic()
        for result in finished {
            guard let held = slots.record(result.token) else { continue }
            switch result.cancellation {
            case .beforeSending, .tooLate: takeBack(held, now, loop)
            case .none, .afterSending:
                if result.outcome.isSuccess { CrashPoint.afterResponse.pass() }
                settle(held, result, now, loop)
            }
        }
    }

    /// The engine had no connection to give, or stops, or the time to begin was over: this was no attempt.
    private func takeBack(_ held: HeldRecord, _ now: UInt64, _ loop: StageLoop) {
        let isOwned = loop.owns(held.record)
        if isOwned, !isDraining { return retake(held, now) }
        inFlight -= 1
        held.lane.lane.finished(slot: held.item.slot, kind: held.item.kind, .void, now: now)
        slots.remove(held.item.slot)
        // Without the partition the record stays unfinished, and whoever owns it next reads it again.
        if isOwned { `defer`(held.delivery, held.lane, held.record, loop) }
    }

    private func settle(_ held: HeldRecord, _ result: HTTPResult, _ now: UInt64, _ loop: StageLoop) {
        inFlight -= 1
        held.isInFlight = false
        slots.remove(held.item.slot)
        let lane = held.lane
        // Also for a lost assignment: if the lane was kept, the attempt still counts there.
        lane.lane.finished(
            slot: held.item.slot, kind: held.item.kind,
            result.cancellation == .none ? Lane.Ending(result.outcome) : .void,
            took: UInt64(max(0, result.durationMicroseconds)) * 1000, now: now)
        lane.lastUsed = now
        let attempt = DeliveryOutput.Attempt(
            outcome: result.outcome, startedAt: Timestamp(milliseconds: result.startedAtWall),
            microseconds: result.durationMicroseconds, retryAfterSeconds: result.retryAfterSeconds,
            response: result.response)
        if held.item.kind != .test, result.cancellation == .none {
            lane.note(result.outcome, milliseconds: result.durationMicroseconds / 1000, at: attempt.endedAt)
        }
        if lane.lane.waiting > 0 { enqueue(lane) }
        settle(held, attempt, now, loop)
    }

    /// An attempt that configuration forbids: it has failed without a connection, and counts for nothing else.
    func refuse(
        _ delivery: Delivery, _ cause: AttemptFailure, _ lane: WebhookLane, _ record: RecordReference, _ now: UInt64,
        _ loop: StageLoop
    ) {
        let attempt = DeliveryOutput.Attempt(
            outcome: .failed(cause), startedAt: Timestamp(milliseconds: Clock.wallMilliseconds()),
            microseconds: 0, retryAfterSeconds: nil)
        settle(delivery, record, lane, attempt, now, loop)
    }

    private func settle(
        _ held: HeldRecord, _ attempt: DeliveryOutput.Attempt, _ now: UInt64, _ loop: StageLoop
    ) {
        settle(held.delivery, held.record, held.lane, attempt, now, loop)
    }

    private func settle(
        _ delivery: Delivery, _ record: RecordReference, _ lane: WebhookLane, _ attempt: DeliveryOutput.Attempt,
        _ now: UInt64, _ loop: StageLoop
    ) {
        counters.attempts.count(attempt.outcome, microseconds: attempt.microseconds)
        if Log.isEnabled(.debug) {
            Log.debug(
                "attempt", .webhook(delivery.webhook.description), .event(delivery.event.description),
                .attempt(delivery.attempt + 1), .outcome(attempt.outcome.metricLabel),
                .milliseconds(attempt.microseconds / 1000))
        }
        // Of twins that were under way at the same time both happened, but what follows follows once.
        let isRepeat = hasSettled(delivery)
        output.settle(delivery, record, lane, attempt, hasFollowed: isRepeat, now: now, loop)
        if loop.owns(record), delivery.purpose != .test {
            settled.note(
                delivery.id, generation: delivery.generation, attempt: delivery.attempt,
                isSuccess: attempt.outcome.isSuccess)
        }
        loop.finish(record)
    }
}
