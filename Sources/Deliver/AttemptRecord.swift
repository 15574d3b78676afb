// The record of one attempt on `attempts`: the documented log entry and what ops and analysts need beside it.
internal import Core
internal import HTTPEngine
internal import JSON

struct AttemptRecord {
    let delivery: Delivery
    let attempt: Int
    let outcome: Outcome
    let startedAt: Timestamp
    let milliseconds: Int
    /// What follows; nil when nothing does.
    let retry: (tier: RetrySchedule.Tier, due: Timestamp)?

    func write(to writer: inout JSONWriter) {
        writer.reset()
        writer.object { writer in
            writer.field("eventId", delivery.event.description)
            writer.field("eventType", delivery.eventType)
            writer.field("attempt", attempt)
            writer.field("status", outcome.isSuccess ? "delivered" : "failed")
            writer.key("responseCode")
            if let status = outcome.status { writer.integer(status) } else { writer.null() }
            writer.field("responseTime", milliseconds)
            if let error = outcome.errorText { writer.field("error", error) }
            writer.field("timestamp", startedAt.description)
            writer.field("webhookId", delivery.webhook.description)
            writer.field("accountId", delivery.account.description)
            writer.field("deliveryId", delivery.id.description)
            writer.field("purpose", delivery.purpose.rawValue)
            writer.field("origin", delivery.origin)
            writer.field("nextAttemptAt", retry?.due.description)
            writer.field("backoffTier", retry?.tier.label)
        }
    }
}
