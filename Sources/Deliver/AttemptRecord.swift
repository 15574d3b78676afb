// The record of one attempt on `attempts`: the documented log entry, what ops and analysts need beside it, and how the
// webhook's lane was, so that any process can say why a delivery waits.
internal import Core
internal import HTTPEngine
internal import JSON

/// The delivery and its lane are lent to ``write(_:_:to:_:)``: a copy would count references a dozen times for each attempt.
struct AttemptRecord {
    let attempt: Int
    let outcome: Outcome
    let startedAt: Timestamp
    let milliseconds: Int
    /// Of a failure or a test that was answered.
    let response: ResponseExcerpt?
    /// What follows; nil when nothing does.
    let retry: (tier: RetrySchedule.Tier, due: Timestamp)?
    /// Monotonic nanoseconds and the wall clock of one moment.
    let now: UInt64
    let wallNow: Timestamp

    /// - Parameter text: room for text forms, so that none allocates its own.
    func write(_ delivery: Delivery, _ lane: WebhookLane, to writer: inout JSONWriter, _ text: inout [UInt8]) {
        writer.reset()
        writer.beginObject()
        writer.field("eventId", &text, delivery.event.append)
        writer.field("eventType", delivery.eventType)
        writer.field("attempt", attempt)
        writer.field("status", outcome.isSuccess ? "delivered" : "failed")
        writer.key("responseCode")
        if let status = outcome.status { writer.integer(status) } else { writer.null() }
        writer.field("responseTime", milliseconds)
        if let error = outcome.errorText { writer.field("error", error) }
        writer.field("timestamp", startedAt, &text)
        writer.key("webhookId")
        lane.key.withUnsafeBytes { writer.string($0) }
        writer.field("accountId", &text, delivery.account.append)
        writer.field("deliveryId", &text, delivery.id.append)
        writer.field("purpose", delivery.purpose.rawValue)
        writer.field("origin", delivery.origin)
        if let retry {
            writer.field("nextAttemptAt", retry.due, &text)
            writer.field("backoffTier", retry.tier.label)
        } else {
            writer.key("nextAttemptAt")
            writer.null()
            writer.key("backoffTier")
            writer.null()
        }
        if let response {
            writer.object("responseHeaders") { writer in
                for header in response.headers {
                    writer.key(header.name)
                    writer.string(header.value)
                }
            }
            writer.field("responseBody", response.body)
        }
        writer.key("lane")
        write(lane, to: &writer, &text)
        writer.endObject()
    }

    private func write(_ lane: WebhookLane, to writer: inout JSONWriter, _ text: inout [UInt8]) {
        let circuit = lane.lane.circuit
        writer.beginObject()
        writer.field("state", lane.health(now: now).rawValue)
        writer.field("queued", lane.lane.waiting)
        writer.field("deferred", lane.deferredCount)
        writer.field("inFlight", lane.lane.inFlight)
        writer.field("concurrency", lane.lane.concurrency)
        writer.field("circuitOpen", circuit.isOpen)
        if circuit.isOpen {
            let left = circuit.nextProbeAt > now ? Int64((circuit.nextProbeAt - now) / 1_000_000) : 0
            writer.field("nextProbeAt", wallNow.adding(milliseconds: left), &text)
        }
        if let p50 = lane.latencies.p50, let p99 = lane.latencies.p99 {
            writer.field("p50", p50)
            writer.field("p99", p99)
        }
        if let at = lane.lastSuccessAt { writer.field("lastSuccessAt", at, &text) }
        if let last = lane.lastError {
            writer.field("lastError", last.text)
            writer.field("lastErrorAt", last.at, &text)
        }
        writer.endObject()
    }
}

extension HTTPResult {
    /// What the log keeps of an answer that came whole as far as its head; nil where none did or none was kept.
    var response: ResponseExcerpt? {
        outcome.status == nil || responseHead.isEmpty ? nil : ResponseExcerpt(head: responseHead, body: bodyPrefix)
    }
}

extension JSONWriter {
    fileprivate mutating func field(
        _ name: StaticString, _ text: inout [UInt8], _ append: (inout [UInt8]) -> Void
    ) {
        text.removeAll(keepingCapacity: true)
        append(&text)
        key(name)
        text.withUnsafeBytes { string($0) }
    }

    fileprivate mutating func field(_ name: StaticString, _ time: Timestamp, _ text: inout [UInt8]) {
        field(name, &text) { time.appendRFC3339(to: &$0, fraction: true) }
    }
}
