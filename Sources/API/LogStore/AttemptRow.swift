// One attempt as the log keeps it, and how it is read from a record of the attempts topic.
package import Core
package import JSON

package struct AttemptRow: Equatable, Sendable {
    /// Where on the attempts topic it stands; what makes it unique.
    package var partition: Int32
    package var offset: Int64
    package var webhook: WebhookID
    package var account: AccountID
    package var delivery: DeliveryID
    package var event: EventID
    package var eventType: String
    /// 1 for the first POST.
    package var attempt: Int
    package var isDelivered: Bool
    /// nil where there was no HTTP status.
    package var responseCode: Int?
    /// Milliseconds.
    package var responseTime: Int?
    /// Only when it failed.
    package var error: String?
    /// When it began.
    package var at: Timestamp
    /// `topic/partition/offset` of the domain event.
    package var origin: String?
    package var nextAttemptAt: Timestamp?
    package var backoffTier: String?
    /// How the webhook's lane stood then. The store keeps a webhook's latest only: pages come without.
    package var lane: LaneReport?

    package init(
        partition: Int32, offset: Int64, webhook: WebhookID, account: AccountID, delivery: DeliveryID, event: EventID,
        eventType: String, attempt: Int, isDelivered: Bool, responseCode: Int?, responseTime: Int?, error: String?,
        at: Timestamp, origin: String? = nil, nextAttemptAt: Timestamp? = nil, backoffTier: String? = nil,
        lane: LaneReport? = nil
    ) {
        self.partition = partition
        self.offset = offset
        self.webhook = webhook
        self.account = account
        self.delivery = delivery
        self.event = event
        self.eventType = eventType
        self.attempt = attempt
        self.isDelivered = isDelivered
        self.responseCode = responseCode
        self.responseTime = responseTime
        self.error = error
        self.at = at
        self.origin = origin
        self.nextAttemptAt = nextAttemptAt
        self.backoffTier = backoffTier
        self.lane = lane
    }

    /// Reads the value of an attempts record (contract §3). nil when a field the log needs is missing or of another
    /// kind; fields it does not know are ignored.
    package init?(json: JSONValue, partition: Int32, offset: Int64) {
        var webhook: WebhookID?
        var account: AccountID?
        var delivery: DeliveryID?
        var event: EventID?
        var eventType: String?
        var attempt: Int?
        var status: String?
        var at: Timestamp?
        var row = (code: Int?.none, time: Int?.none, error: String?.none, origin: String?.none)
        var next: Timestamp?
        var tier: String?
        var lane: JSONValue?
        // One walk over the members instead of a search for each.
        json.forEachMember { key, value in
            if key.elementsEqual("webhookId".utf8) {
                webhook = value.stringBytes.flatMap { WebhookID($0) }
            } else if key.elementsEqual("accountId".utf8) {
                account = value.stringBytes.flatMap { AccountID($0) }
            } else if key.elementsEqual("deliveryId".utf8) {
                delivery = value.stringBytes.flatMap { DeliveryID($0) }
            } else if key.elementsEqual("eventId".utf8) {
                event = value.stringBytes.flatMap { EventID($0) }
            } else if key.elementsEqual("eventType".utf8) {
                eventType = value.string
            } else if key.elementsEqual("attempt".utf8) {
                attempt = value.int
            } else if key.elementsEqual("status".utf8) {
                status = value.string
            } else if key.elementsEqual("timestamp".utf8) {
                at = value.stringBytes.flatMap { Timestamp(rfc3339: $0) }
            } else if key.elementsEqual("responseCode".utf8) {
                row.code = value.int
            } else if key.elementsEqual("responseTime".utf8) {
                row.time = value.int
            } else if key.elementsEqual("error".utf8) {
                row.error = value.string
            } else if key.elementsEqual("origin".utf8) {
                row.origin = value.string
            } else if key.elementsEqual("nextAttemptAt".utf8) {
                next = value.stringBytes.flatMap { Timestamp(rfc3339: $0) }
            } else if key.elementsEqual("backoffTier".utf8) {
                tier = value.string
            } else if key.elementsEqual("lane".utf8) {
                lane = value
            }
        }
        guard let webhook, let account, let delivery, let event, let eventType, let attempt, let at,
            status == "delivered" || status == "failed"
        else { return nil }
        self.init(
            partition: partition, offset: offset, webhook: webhook, account: account, delivery: delivery, event: event,
            eventType: eventType, attempt: attempt, isDelivered: status == "delivered", responseCode: row.code,
            responseTime: row.time, error: row.error, at: at, origin: row.origin, nextAttemptAt: next,
            backoffTier: tier,
            lane: lane.flatMap { LaneReport(json: $0, at: at.adding(milliseconds: Int64(row.time ?? 0))) })
    }
}

/// Which attempts are asked for; nil does not restrict.
package struct LogFilter: Equatable, Sendable {
    package var isDelivered: Bool?
    package var eventType: String?
    /// From this time on.
    package var since: Timestamp?
    /// Before this time.
    package var until: Timestamp?

    package init(
        isDelivered: Bool? = nil, eventType: String? = nil, since: Timestamp? = nil, until: Timestamp? = nil
    ) {
        self.isDelivered = isDelivered
        self.eventType = eventType
        self.since = since
        self.until = until
    }
}

/// A page of attempts, newest first, and how many there are in all.
package struct LogPage: Equatable, Sendable {
    package var rows: [AttemptRow]
    package var total: Int

    package init(rows: [AttemptRow], total: Int) {
        self.rows = rows
        self.total = total
    }
}
