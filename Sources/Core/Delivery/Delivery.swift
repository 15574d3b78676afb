// One event on its way to one webhook: what travels in the headers of `deliveries`, `deferred`, `retries` and
// `dead-letters`. The body travels as the value and is never touched.

package struct Delivery: Sendable {
    package enum Purpose: String, Sendable {
        case delivery, test, replay
    }

    package var webhook: WebhookID
    package var account: AccountID
    package var event: EventID
    package var eventType: String
    package var id: DeliveryID
    /// The webhook's generation when the record was routed.
    package var generation: Int
    package var purpose: Purpose
    /// The replay it belongs to.
    package var run: ReplayID?
    /// Attempts already made.
    package var attempt: Int
    /// Where the event came from: `topic/partition/offset`.
    package var origin: String
    package var firstAttemptAt: Timestamp?
    package var dueAt: Timestamp?
    package var lastError: String?
    package var traceparent: String?
    /// How often it was sent round without an attempt: behind an open circuit, or for a reason of our own.
    package var parks: Int
    /// When it first went to `deferred` on this way; its age there is counted from it.
    package var deferredAt: Timestamp?
    package var body: [UInt8]

    package init(
        webhook: WebhookID, account: AccountID, event: EventID, eventType: String, id: DeliveryID, generation: Int,
        purpose: Purpose = .delivery, run: ReplayID? = nil, attempt: Int = 0, origin: String,
        firstAttemptAt: Timestamp? = nil,
        dueAt: Timestamp? = nil, lastError: String? = nil, traceparent: String? = nil, parks: Int = 0,
        deferredAt: Timestamp? = nil, body: [UInt8]
    ) {
        self.webhook = webhook
        self.account = account
        self.event = event
        self.eventType = eventType
        self.id = id
        self.generation = generation
        self.purpose = purpose
        self.run = run
        self.attempt = attempt
        self.origin = origin
        self.firstAttemptAt = firstAttemptAt
        self.dueAt = dueAt
        self.lastError = lastError
        self.traceparent = traceparent
        self.parks = parks
        self.deferredAt = deferredAt
        self.body = body
    }
}

/// Why a record is a dead letter; the raw value is the header `reason`.
package enum DeadLetterReason: String, Sendable, CaseIterable {
    case unmappable = "unmappable"
    case noAudience = "no audience"
    case tooLarge = "too large"
    case malformedRecord = "malformed record"
    case retriesSpent = "retries spent"
    case webhookDisabled = "webhook was disabled"
    case overItsRate = "over its rate"
    case mailRefused = "mail refused"
}
