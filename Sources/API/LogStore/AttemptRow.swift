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
    /// What the endpoint answered; of failures and tests only, and only as long as it is kept.
    package var response: ResponseExcerpt?
    /// How the webhook's lane stood then. The store keeps a webhook's latest only: pages come without.
    package var lane: LaneReport?

    package init(
        partition: Int32, offset: Int64, webhook: WebhookID, account: AccountID, delivery: DeliveryID, event: EventID,
        eventType: String, attempt: Int, isDelivered: Bool, responseCode: Int?, responseTime: Int?, error: String?,
        at: Timestamp, origin: String? = nil, nextAttemptAt: Timestamp? = nil, backoffTier: String? = nil,
        response: ResponseExcerpt? = nil, lane: LaneReport? = nil
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
        self.response = response
        self.lane = lane
    }

    /// Larger than any attempt takes; a record with more was not written by the bridge, and is to stop nobody.
    private static let mostMilliseconds = 86_400_000

    /// Reads the value of an attempts record (contract §3). nil when a field the log needs is missing or of another
    /// kind; fields it does not know are ignored.
    /// - Parameter wantsLane: asked for once the webhook is known: whether its lane is to be read as well.
    package init?(
        json: JSONValue, partition: Int32, offset: Int64, wantsLane: (WebhookID) -> Bool = { _ in true }
    ) {
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
        var headers: JSONValue?
        var body: String?
        var lane: JSONValue?
        // One walk over the members instead of a search for each.
        for (key, value) in json.members {
            if sameBytes(key, "webhookId") {
                webhook = value.stringBytes.flatMap { WebhookID($0) }
            } else if sameBytes(key, "accountId") {
                account = value.stringBytes.flatMap { AccountID($0) }
            } else if sameBytes(key, "deliveryId") {
                delivery = value.stringBytes.flatMap { DeliveryID($0) }
            } else if sameBytes(key, "eventId") {
                event = value.stringBytes.flatMap { EventID($0) }
            } else if sameBytes(key, "eventType") {
                eventType = value.string
            } else if sameBytes(key, "attempt") {
                attempt = value.int
            } else if sameBytes(key, "status") {
                status = value.string
            } else if sameBytes(key, "timestamp") {
                at = value.stringBytes.flatMap { Timestamp(rfc3339: $0) }
            } else if sameBytes(key, "responseCode") {
                row.code = value.int
            } else if sameBytes(key, "responseTime") {
                row.time = value.int.map { min(max($0, 0), Self.mostMilliseconds) }
            } else if sameBytes(key, "error") {
                row.error = value.string
            } else if sameBytes(key, "origin") {
                row.origin = value.string
            } else if sameBytes(key, "nextAttemptAt") {
                next = value.stringBytes.flatMap { Timestamp(rfc3339: $0) }
            } else if sameBytes(key, "backoffTier") {
                tier = value.string
            } else if sameBytes(key, "responseHeaders") {
                headers = value
            } else if sameBytes(key, "responseBody") {
                body = value.string
            } else if sameBytes(key, "lane") {
                lane = value
            }
        }
        guard let webhook, let account, let delivery, let event, let eventType, let attempt, let at,
            status == "delivered" || status == "failed"
        else { return nil }
        if !wantsLane(webhook) { lane = nil }
        self.init(
            partition: partition, offset: offset, webhook: webhook, account: account, delivery: delivery, event: event,
            eventType: eventType, attempt: attempt, isDelivered: status == "delivered", responseCode: row.code,
            responseTime: row.time, error: row.error, at: at, origin: row.origin, nextAttemptAt: next,
            backoffTier: tier,
            response: body.map { ResponseExcerpt(headers: headers, body: $0) },
            lane: lane.flatMap { LaneReport(json: $0, at: at.adding(milliseconds: Int64(row.time ?? 0))) })
    }
}

extension AttemptRow {
    /// What it takes of the memory for rows that wait: one with an answer as much as several without.
    package var weight: Int { 1 + (response?.byteCount ?? 0) / 256 }
}

extension ResponseExcerpt {
    /// As an attempts record has it; of more than is ever written no more is taken.
    fileprivate init(headers: JSONValue?, body: String) {
        var read: [Header] = []
        headers?.forEachMember { name, value in
            guard read.count < Self.maximumHeaders, let value = value.string else { return }
            read.append(Header(name: String(decoding: name, as: UTF8.self), value: value))
        }
        self.init(headers: read, body: String(body.unicodeScalars.prefix(Self.maximumBodyBytes)))
    }

    /// Its headers as lines, for the file.
    var headerLines: [UInt8] {
        var lines: [UInt8] = []
        for header in headers {
            lines.append(contentsOf: header.name.utf8)
            lines.append(0x3a)
            // No header value has a line's end; a record that was not written by the bridge might.
            lines.append(contentsOf: header.value.utf8.lazy.map { $0 == 0x0a ? 0x20 : $0 })
            lines.append(0x0a)
        }
        return lines
    }

    init(headerLines: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer) {
        let headers = headerLines.split(separator: 0x0a).compactMap { line -> Header? in
            guard let colon = line.firstIndex(of: 0x3a) else { return nil }
            return Header(
                name: String(decoding: line[..<colon], as: UTF8.self),
                value: String(decoding: line[(colon + 1)...], as: UTF8.self))
        }
        self.init(headers: headers, body: String(decoding: body, as: UTF8.self))
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
