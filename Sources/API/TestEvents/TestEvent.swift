// The event `webhook.test` as a delivery: what `POST /v1/webhooks/:webhookId/test` puts on `deliveries`.
internal import Core
internal import Crypto
internal import JSON

enum TestEvent {
    static let type = "webhook.test"
    private static let message = "This is a test event. Your endpoint works if it answers with a 2xx status."

    /// - Parameter event: random; no record caused the event, so there is nothing to derive its id from, and its origin is
    ///   empty.
    static func delivery(_ event: EventID, to webhook: Webhook, at now: Timestamp) -> Delivery {
        let body = JSONWriter.document { json in
            json.field("id", event.description)
            json.field("type", type)
            json.field("created", now.secondsText)
            json.field("version", "1.0")
            json.object("data") { json in
                json.field("webhookId", webhook.id.description)
                json.field("message", message)
            }
        }
        // Contract §1: the digest over event id, webhook id and run, which is empty.
        let (high, low) = Digest.prefix(of: Array("\(event)\0\(webhook.id)\0".utf8))
        return Delivery(
            webhook: webhook.id, account: webhook.account, event: event, eventType: type,
            id: DeliveryID(high: high, low: low), generation: webhook.generation, purpose: .test, origin: "",
            body: body)
    }
}
