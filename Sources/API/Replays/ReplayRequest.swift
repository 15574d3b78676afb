// The body of `POST /v1/webhooks/:webhookId/replay`, read strictly.
internal import Core
internal import JSON

struct ReplayRequest: Equatable {
    var since: Timestamp
    var until: Timestamp
    var isDryRun: Bool

    /// A domain record older than this is nobody's, whatever a topic keeps; it catches a year that was mistyped.
    static let oldestMilliseconds: Int64 = 366 * 86_400_000
    /// How far a client's clock may be ahead.
    static let clockMilliseconds: Int64 = 5000

    /// - Parameter now: also the end where none is given.
    init?(_ body: inout RequestBody, now: Timestamp) {
        let since = Self.time("since", &body, isRequired: true)
        let until = Self.time("until", &body, isRequired: false)
        let isDryRun = body.boolean("dryRun")
        if let since {
            if since < now.adding(milliseconds: -Self.oldestMilliseconds) {
                body.fault("/since", "must not be longer ago than 366 days")
            } else if since >= now {
                body.fault("/since", "must be in the past")
            }
        }
        if let until {
            if until > now.adding(milliseconds: Self.clockMilliseconds) {
                body.fault("/until", "must not be in the future; leave it out for now")
            } else if let since, until <= since {
                body.fault("/until", "must be after since")
            }
        }
        guard let since else { return nil }
        self.since = since
        self.until = min(until ?? now, now)
        self.isDryRun = isDryRun ?? false
    }

    private static func time(_ name: String, _ body: inout RequestBody, isRequired: Bool) -> Timestamp? {
        guard let text = body.string(name, isRequired: isRequired) else { return nil }
        let time = Timestamp(rfc3339: text)
        if time == nil { body.fault("/\(name)", "must be an RFC 3339 time such as 2024-01-15T10:30:00Z") }
        return time
    }
}
