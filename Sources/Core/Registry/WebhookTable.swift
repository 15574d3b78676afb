// Webhooks by id. The table holds each in an object of its own: a hash table has up to twice as many places as entries, and
// a webhook takes 200 bytes, so that 100,000 of them in place would take 57 MB for what is empty as well.

package struct WebhookTable: Sendable {
    private final class Entry: Sendable {
        let webhook: Webhook
        init(_ webhook: Webhook) { self.webhook = webhook }
    }

    private var entries: [WebhookID: Entry] = [:]

    package init() {}

    package var count: Int { entries.count }
    package var isEmpty: Bool { entries.isEmpty }
    /// In no order.
    package var keys: some Collection<WebhookID> { entries.keys }

    package subscript(id: WebhookID) -> Webhook? {
        get { entries[id]?.webhook }
        set { entries[id] = newValue.map(Entry.init) }
    }

    /// - Returns: what was there.
    @discardableResult
    package mutating func removeValue(forKey id: WebhookID) -> Webhook? { entries.removeValue(forKey: id)?.webhook }
}
