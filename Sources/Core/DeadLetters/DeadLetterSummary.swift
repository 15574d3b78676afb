// A dead letter without its payload, and which of them somebody asked for.

/// What a list shows of a letter. Never the value, and never the record's own key and headers: they are people's data.
package struct DeadLetterSummary: Sendable {
    package var position: DeadLetterPosition
    /// When it was written; nil where the broker keeps no times.
    package var writtenAt: Timestamp?
    /// One of ``DeadLetterReason``, unless a newer version wrote it.
    package var reason = ""
    package var message = ""
    /// `topic/partition/offset` of the domain record.
    package var origin = ""
    /// Set when it is a delivery that was given up, not a record.
    package var webhook: WebhookID?
    package var account: AccountID?
    package var event: EventID?
    package var eventType: String?
    package var attempt: Int?
    /// Bytes of the value that are kept.
    package var bytes = 0
    /// Bytes the value had, where it was cut.
    package var wholeBytes: Int?

    package init(position: DeadLetterPosition) { self.position = position }

    /// The domain topic, also of a given-up delivery.
    package var sourceTopic: String { String(origin.prefix { $0 != "/" }) }
}

package struct DeadLetterFilter: Equatable, Sendable {
    package enum Since: Equatable, Sendable {
        case time(Timestamp)
        case age(Milliseconds)

        /// An RFC 3339 time, or a length of time before now such as `24h`.
        package init?(_ text: String) {
            if let age = Milliseconds(text) {
                self = .age(age)
            } else if let time = Timestamp(rfc3339: text) {
                self = .time(time)
            } else {
                return nil
            }
        }

        package func start(now: Timestamp) -> Timestamp {
            switch self {
            case .time(let time): time
            case .age(let age): now.adding(milliseconds: -age.count)
            }
        }
    }

    package var topic: String?
    package var webhook: WebhookID?
    package var reason: DeadLetterReason?
    package var event: EventID?
    package var since: Since?

    package init(
        topic: String? = nil, webhook: WebhookID? = nil, reason: DeadLetterReason? = nil, event: EventID? = nil,
        since: Since? = nil
    ) {
        self.topic = topic
        self.webhook = webhook
        self.reason = reason
        self.event = event
        self.since = since
    }

    /// Whether a letter is one of them. One without a time is never too old.
    package func matches(_ letter: DeadLetterSummary, now: Timestamp) -> Bool {
        if let topic, letter.sourceTopic != topic { return false }
        if let webhook, letter.webhook != webhook { return false }
        if let reason, letter.reason != reason.rawValue { return false }
        if let event, letter.event != event { return false }
        if let since, let writtenAt = letter.writtenAt, writtenAt < since.start(now: now) { return false }
        return true
    }
}

/// The newest letters out of many, and how many there were for each reason; memory for twice the limit.
package struct NewestDeadLetters: Sendable {
    private let limit: Int
    private var kept: [DeadLetterSummary] = []
    package private(set) var total = 0
    private var byReason: [String: Int] = [:]

    package init(limit: Int) { self.limit = limit }

    package mutating func add(_ letter: DeadLetterSummary) {
        total += 1
        byReason[letter.reason, default: 0] += 1
        kept.append(letter)
        if kept.count >= 2 * limit { kept = newest }
    }

    /// Oldest first, so that the newest stands next to the prompt.
    package var newest: [DeadLetterSummary] { Array(kept.sorted(by: Self.isOlder).suffix(limit)) }

    /// The most frequent first.
    package var reasons: [(reason: String, count: Int)] {
        byReason.map { ($0.key, $0.value) }.sorted { ($1.1, $0.0) < ($0.1, $1.0) }
    }

    private static func isOlder(_ left: DeadLetterSummary, _ right: DeadLetterSummary) -> Bool {
        let times = (left.writtenAt?.milliseconds ?? -1, right.writtenAt?.milliseconds ?? -1)
        return times.0 == times.1 ? left.position < right.position : times.0 < times.1
    }
}
