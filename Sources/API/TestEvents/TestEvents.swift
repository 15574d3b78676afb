// Hands test events to the broker and answers those who asked for them, on the threads that bring the news: the
// acknowledgement, the attempt, the end of the time.
package import Core
internal import HTTPServer
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
    private let wake: @Sendable () -> Void

    /// What an attempt may take beyond its own time: its way there, its record's way back.
    private static let wayMilliseconds = 2000

    /// - Parameters:
    ///   - attemptMilliseconds: how long an attempt lasts at most, `egress.timeoutMilliseconds`.
    ///   - wake: has ``expire(now:)`` called soon: somebody has begun to wait.
    package init(sink: any DeliverySink, attemptMilliseconds: Int, wake: @escaping @Sendable () -> Void = {}) {
        self.sink = sink
        self.wake = wake
        var limits = PendingTests<APICall>.Limits()
        limits.waitNanoseconds = UInt64(attemptMilliseconds + Self.wayMilliseconds) * 1_000_000
        pending = Guarded(PendingTests(limits: limits))
    }

    /// What has to be done between the broker's acknowledgement, or its lack, and the answer; says in the end whether the
    /// asker may be told that his event is on its way.
    typealias Settle = @Sendable (_ isSent: Bool, _ then: @escaping @Sendable (Bool) -> Void) -> Void

    /// Answers the call in the end. Never blocks.
    /// - Parameters:
    ///   - waits: for the attempt and its log entry.
    ///   - settle: nil: there is nothing to do. Called once, also where nothing is sent.
    func send(_ delivery: Delivery, waits: Bool, for call: APICall, settle: Settle? = nil) {
        let event = delivery.event
        let refusal = pending.withLock {
            $0.add(event, account: call.account, waits: waits, holds: settle != nil, asker: call)
        }
        if let refusal {
            settle?(false) { _ in }
            return refuse(call, refusal)
        }
        sink.send(delivery) { [self] isAcknowledged in
            guard let settle else { return ended(event, isSent: isAcknowledged) }
            settle(isAcknowledged) { [self] isSent in ended(event, isSent: isSent) }
        }
    }

    /// Waits with those who wait for the event already.
    /// - Returns: false: nobody does here, and the call is not answered.
    func join(_ event: EventID, for call: APICall) -> Bool {
        let refusal: PendingTests<APICall>.Refusal?? = pending.withLock { pending in
            guard pending.contains(event) else { return nil }
            return .some(pending.add(event, account: call.account, waits: true, asker: call))
        }
        guard let refusal else { return false }
        if let refusal { refuse(call, refusal) }
        return true
    }

    /// Waits for the attempt of an event that the broker has.
    func wait(for event: EventID, _ call: APICall) {
        let (refusal, now) = pending.withLock { pending in
            let isFirst = !pending.contains(event)
            let refusal = pending.add(event, account: call.account, waits: true, asker: call)
            return (refusal, isFirst && refusal == nil ? pending.acknowledged(event, now: Clock.monotonic()) : nil)
        }
        if let refusal { return refuse(call, refusal) }
        answer(now)
        wake()
    }

    private func refuse(_ call: APICall, _ refusal: PendingTests<APICall>.Refusal) {
        switch refusal {
        case .tooMany: call.respond(.unavailable("Too many test events are under way; try again."))
        case .tooManyOfAccount: call.respond(.tooManyTests())
        }
    }

    private func ended(_ event: EventID, isSent: Bool) {
        answer(pending.withLock { isSent ? $0.acknowledged(event, now: Clock.monotonic()) : $0.givenUp(event) })
        // This may be the registry's thread, and whoever calls `expire` may rest until much later.
        wake()
    }

    /// How many have no answer yet.
    package var askers: Int { pending.withLock { $0.askers } }

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
        for asker in ended.askers {
            switch ended.ending {
            case .accepted: asker.respond(.testAccepted(ended.event))
            case .attempted(let row): asker.respond(.data(200) { $0.logEntry(row) })
            case .unconfirmed: asker.respond(.unconfirmedTest())
            }
        }
    }
}

extension HTTPServerResponse {
    static func testAccepted(_ event: EventID) -> HTTPServerResponse {
        .data(202) { $0.object { $0.field("eventId", event.description) } }
    }
}
