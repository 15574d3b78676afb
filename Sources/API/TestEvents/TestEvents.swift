// Hands test events to the broker and answers those who asked for them, on the threads that bring the news: the
// acknowledgement, the attempt, the end of the time.
package import Core
internal import JSON
internal import Runtime

/// Takes deliveries to the broker. Any thread; `completion` is called exactly once, on a thread of the sink's own, and
/// must not block. False says that nothing was acknowledged within 4 s and that the sink has given up.
package protocol DeliverySink: Sendable {
    func send(_ delivery: Delivery, completion: @escaping @Sendable (_ isAcknowledged: Bool) -> Void)
}

package final class TestEvents: Sendable {
    private let sink: any DeliverySink
    private let pending: Guarded<PendingTests<APICall>>

    /// What an attempt may take beyond its own time: its way there, its record's way back.
    private static let wayMilliseconds = 2000

    /// - Parameter attemptMilliseconds: how long an attempt lasts at most, `egress.timeoutMilliseconds`.
    package init(sink: any DeliverySink, attemptMilliseconds: Int) {
        self.sink = sink
        var limits = PendingTests<APICall>.Limits()
        limits.waitNanoseconds = UInt64(attemptMilliseconds + Self.wayMilliseconds) * 1_000_000
        pending = Guarded(PendingTests(limits: limits))
    }

    /// Answers the call in the end. Never blocks.
    /// - Parameter waits: for the attempt and its log entry.
    func send(_ delivery: Delivery, waits: Bool, for call: APICall) {
        let event = delivery.event
        let refusal = pending.withLock { $0.add(event, account: call.account, waits: waits, asker: call) }
        switch refusal {
        case .tooMany: return call.respond(.unavailable("Too many test events are under way; try again."))
        case .tooManyOfAccount: return call.respond(.tooManyTests())
        case nil: break
        }
        sink.send(delivery) { [self] isAcknowledged in
            answer(
                pending.withLock {
                    isAcknowledged ? $0.acknowledged(event, now: Clock.monotonic()) : $0.givenUp(event)
                })
        }
    }

    /// The attempts that were recorded, of whatever event.
    package func saw(_ rows: [AttemptRow]) {
        let ended = pending.withLock { pending in
            pending.isEmpty ? [] : rows.compactMap { pending.saw($0) }
        }
        for each in ended { answer(each) }
    }

    /// Answers those who have waited long enough.
    /// - Parameter now: monotonic nanoseconds.
    /// - Returns: when it wants to be called again; nil while there is nothing to wait for.
    package func expire(now: UInt64) -> UInt64? {
        let (ended, next) = pending.withLock { ($0.expire(now: now), $0.nextDeadline) }
        for each in ended { answer(each) }
        return next
    }

    /// Nobody waits for an attempt from now on, so that the server can come to its end.
    package func release() {
        for each in pending.withLock({ $0.release() }) { answer(each) }
    }

    private func answer(_ ended: PendingTests<APICall>.Ended?) {
        guard let ended else { return }
        switch ended.ending {
        case .accepted:
            ended.asker.respond(.data(202) { $0.object { $0.field("eventId", ended.event.description) } })
        case .attempted(let row): ended.asker.respond(.data(200) { $0.logEntry(row) })
        case .unconfirmed: ended.asker.respond(.unconfirmedTest())
        }
    }
}
