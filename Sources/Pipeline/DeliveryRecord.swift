// A delivery as a Kafka record: key and headers of the contract (§3), the body as the value.
package import Core
internal import Glibc
package import Kafka

/// Why a record on one of the bridge's own topics is no delivery.
package struct MalformedRecord: Error, CustomStringConvertible {
    package let description: String
}

extension Delivery {
    /// Reads a record of `deliveries`, `deferred` or `retries`. The webhook comes from the key, or on `retries`, where
    /// the key is the tier, from the header `webhook-id`.
    package init(_ message: borrowing KafkaMessage) throws(MalformedRecord) {
        var fields = HeaderFields()
        message.forEachHeader { fields.take($0, $1) }
        guard let webhook = fields.webhook ?? WebhookID(message.key) else {
            throw MalformedRecord(description: "neither key nor header webhook-id is a webhook id")
        }
        guard let event = fields.event else { throw MalformedRecord(description: "header event-id misses or is no id") }
        guard let delivery = fields.delivery else {
            throw MalformedRecord(description: "header delivery-id misses or is no id")
        }
        guard let account = fields.account else {
            throw MalformedRecord(description: "header account-id misses or is no id")
        }
        guard let generation = fields.generation else {
            throw MalformedRecord(description: "header generation misses or is no number")
        }
        guard !fields.eventType.isEmpty else { throw MalformedRecord(description: "header event-type misses") }
        guard let value = message.value else { throw MalformedRecord(description: "the record has no value") }
        self.init(
            webhook: webhook, account: account, event: event, eventType: fields.eventType, id: delivery,
            generation: generation, purpose: fields.purpose, run: fields.run, attempt: fields.attempt,
            origin: fields.origin,
            firstAttemptAt: fields.firstAttemptAt, dueAt: fields.dueAt, lastError: fields.lastError,
            traceparent: fields.traceparent, parks: fields.parks, deferredAt: fields.deferredAt, body: Array(value))
    }

    /// The headers of this delivery, for any of its topics.
    /// - Parameter extra: how many more the caller will add.
    package func headers(extra: Int = 0) -> KafkaHeaders {
        let headers = KafkaHeaders(capacity: 16 + extra)
        event.withText { headers.add("event-id", $0) }
        headers.add("event-type", eventType)
        webhook.withText { headers.add("webhook-id", $0) }
        account.withText { headers.add("account-id", $0) }
        id.withText { headers.add("delivery-id", $0) }
        headers.add("generation", String(generation))
        headers.add("purpose", purpose.rawValue)
        if let run { run.withText { headers.add("run", $0) } }
        headers.add("attempt", String(attempt))
        headers.add("origin", origin)
        if let firstAttemptAt { headers.add("first-attempt-at", firstAttemptAt.description) }
        if let dueAt { headers.add("due-at", dueAt.description) }
        if let lastError { headers.add("last-error", lastError) }
        if let traceparent { headers.add("traceparent", traceparent) }
        if parks > 0 { headers.add("parks", String(parks)) }
        if let deferredAt { headers.add("deferred-at", deferredAt.description) }
        return headers
    }
}

private struct HeaderFields {
    var webhook: WebhookID?
    var event: EventID?
    var delivery: DeliveryID?
    var account: AccountID?
    var generation: Int?
    var eventType = ""
    var purpose = Delivery.Purpose.delivery
    var run: ReplayID?
    var attempt = 0
    var origin = ""
    var firstAttemptAt: Timestamp?
    var dueAt: Timestamp?
    var lastError: String?
    var traceparent: String?
    var parks = 0
    var deferredAt: Timestamp?

    mutating func take(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        // Length first: the names differ enough in it that one comparison decides.
        switch name.count {
        case 7 where name.matches("purpose"):
            purpose = value.matches("test") ? .test : value.matches("replay") ? .replay : .delivery
        case 7 where name.matches("attempt"): attempt = decimal(value) ?? 0
        case 3 where name.matches("run"): run = ReplayID(value)
        case 5 where name.matches("parks"): parks = decimal(value) ?? 0
        case 6 where name.matches("origin"): origin = String(decoding: value, as: UTF8.self)
        case 6 where name.matches("due-at"): dueAt = Timestamp(rfc3339: value)
        case 8 where name.matches("event-id"): event = EventID(value)
        case 10 where name.matches("event-type"): eventType = String(decoding: value, as: UTF8.self)
        case 10 where name.matches("webhook-id"): webhook = WebhookID(value)
        case 10 where name.matches("account-id"): account = AccountID(value)
        case 10 where name.matches("generation"): generation = decimal(value)
        case 10 where name.matches("last-error"): lastError = String(decoding: value, as: UTF8.self)
        case 11 where name.matches("delivery-id"): delivery = DeliveryID(value)
        case 11 where name.matches("deferred-at"): deferredAt = Timestamp(rfc3339: value)
        case 11 where name.matches("traceparent"): traceparent = String(decoding: value, as: UTF8.self)
        case 16 where name.matches("first-attempt-at"): firstAttemptAt = Timestamp(rfc3339: value)
        default: break
        }
    }
}

private func decimal(_ text: UnsafeRawBufferPointer) -> Int? {
    guard text.count > 0, text.count <= 10 else { return nil }
    var value = 0
    for byte in text {
        guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
        value = value * 10 + Int(byte - UInt8(ascii: "0"))
    }
    return value
}

extension UnsafeRawBufferPointer {
    fileprivate func matches(_ text: StaticString) -> Bool {
        count == text.utf8CodeUnitCount && memcmp(baseAddress!, text.utf8Start, count) == 0
    }
}
