// The reading half of the log store: pages and totals, on a connection of its own, so that a query neither waits for
// the writer nor holds it up (write-ahead log).
internal import Core

/// Owned by the reader's thread; not Sendable.
final class LogReader {
    private let connection: SQLiteConnection
    private var idBytes = IDBytes()

    init(path: String) throws(SQLiteError) {
        connection = try SQLiteConnection(path: path, cacheKibibytes: 8192)
        try connection.execute("PRAGMA query_only = 1")
    }

    /// - Parameters:
    ///   - page: from 1.
    ///   - limit: rows of a page.
    func page(
        webhook: WebhookID, account: AccountID, filter: LogFilter, page: Int, limit: Int
    ) throws(SQLiteError) -> LogPage {
        guard let id = try localID(webhook, account) else { return LogPage(rows: [], total: 0) }
        var type: Int64?
        if let name = filter.eventType {
            guard let known = try typeID(name) else { return LogPage(rows: [], total: 0) }
            type = known
        }
        var condition = "webhook = ?1 AND at >= ?2 AND at < ?3"
        if filter.isDelivered != nil { condition += " AND delivered = ?4" }
        if type != nil { condition += " AND type = ?5" }
        func bind(_ statement: SQLiteStatement) {
            statement.bind(id, at: 1)
            statement.bind(filter.since?.milliseconds ?? .min, at: 2)
            statement.bind(filter.until?.milliseconds ?? .max, at: 3)
            if let isDelivered = filter.isDelivered { statement.bind(isDelivered ? 1 : 0, at: 4) }
            if let type { statement.bind(type, at: 5) }
        }
        let counted = try connection.statement("SELECT count(*) FROM attempts WHERE \(condition)")
        bind(counted)
        let total = try counted.step() ? Int(counted.integer(0)) : 0
        counted.reset()
        guard (page - 1) * limit < total else { return LogPage(rows: [], total: total) }

        let found = try connection.statement(
            """
            SELECT a.place, a.at, a.delivered, t.name, a.attempt, a.code, a.duration, a.error, a.event, a.delivery,
              a.origin, a.next_at, a.tier, r.headers, r.body
            FROM (SELECT * FROM attempts WHERE \(condition) ORDER BY at DESC, place DESC LIMIT ?6 OFFSET ?7) AS a
            JOIN event_types AS t ON t.id = a.type LEFT JOIN responses AS r ON r.place = a.place
            ORDER BY a.at DESC, a.place DESC
            """)
        bind(found)
        found.bind(Int64(limit), at: 6)
        found.bind(Int64((page - 1) * limit), at: 7)
        var rows: [AttemptRow] = []
        while try found.step() {
            var row = row(found, webhook, account)
            if found.isPresent(14) {
                row.response = ResponseExcerpt(headerLines: found.blob(13), body: found.blob(14))
            }
            rows.append(row)
        }
        found.reset()
        return LogPage(rows: rows, total: total)
    }

    /// The newest attempt for an event; nil when the log knows none. Goes through the webhook's rows, of which there are no
    /// more than are kept.
    func newest(of event: EventID, webhook: WebhookID, account: AccountID) throws(SQLiteError) -> AttemptRow? {
        guard let id = try localID(webhook, account) else { return nil }
        let found = try connection.statement(
            """
            SELECT a.place, a.at, a.delivered, t.name, a.attempt, a.code, a.duration, a.error, a.event, a.delivery,
              a.origin, a.next_at, a.tier
            FROM attempts AS a JOIN event_types AS t ON t.id = a.type
            WHERE a.webhook = ?1 AND a.event = ?2 ORDER BY a.at DESC LIMIT 1
            """)
        found.bind(id, at: 1)
        idBytes.withBytes(of: event) { found.bind(blob: $0, at: 2) }
        defer { found.reset() }
        return try found.step() ? row(found, webhook, account) : nil
    }

    /// The webhook's lane at its last attempt; nil when none was read of.
    func lane(webhook: WebhookID, account: AccountID) throws(SQLiteError) -> LaneReport? {
        guard let id = try localID(webhook, account) else { return nil }
        let found = try connection.statement(
            """
            SELECT at, state, queued, deferred, next_probe_at, last_success_at, last_error, last_error_at, p50, p99
            FROM lanes WHERE webhook = ?1
            """)
        found.bind(id, at: 1)
        defer { found.reset() }
        guard try found.step(), let state = found.text(1).flatMap({ LaneState(rawValue: $0) }) else { return nil }
        func time(_ column: Int32) -> Timestamp? {
            found.optionalInteger(column).map { Timestamp(milliseconds: $0) }
        }
        return LaneReport(
            state: state, queued: Int(found.integer(2)), deferred: Int(found.integer(3)), nextProbeAt: time(4),
            lastSuccessAt: time(5), lastError: found.text(6), lastErrorAt: time(7),
            p50: found.optionalInteger(8).map { Int($0) }, p99: found.optionalInteger(9).map { Int($0) },
            at: Timestamp(milliseconds: found.integer(0)))
    }

    private func row(_ found: SQLiteStatement, _ webhook: WebhookID, _ account: AccountID) -> AttemptRow {
        let place = LogSchema.position(found.integer(0))
        return AttemptRow(
            partition: place.partition, offset: place.offset, webhook: webhook, account: account,
            delivery: DeliveryID(bytes: twelve(found.blob(9))), event: EventID(bytes: twelve(found.blob(8))),
            eventType: found.text(3) ?? "", attempt: Int(found.integer(4)), isDelivered: found.integer(2) != 0,
            responseCode: found.optionalInteger(5).map { Int($0) },
            responseTime: found.optionalInteger(6).map { Int($0) }, error: found.text(7),
            at: Timestamp(milliseconds: found.integer(1)), origin: found.text(10),
            nextAttemptAt: found.optionalInteger(11).map { Timestamp(milliseconds: $0) }, backoffTier: found.text(12))
    }

    /// A damaged file may hold a blob of any length.
    private func twelve(_ blob: UnsafeRawBufferPointer) -> [UInt8] {
        Array(blob.prefix(12)) + [UInt8](repeating: 0, count: max(0, 12 - blob.count))
    }

    private func localID(_ webhook: WebhookID, _ account: AccountID) throws(SQLiteError) -> Int64? {
        let statement = try connection.statement("SELECT id FROM webhooks WHERE webhook = ?1 AND account = ?2")
        idBytes.withBytes(of: webhook) { statement.bind(blob: $0, at: 1) }
        idBytes.withBytes(of: account) { statement.bind(blob: $0, at: 2) }
        defer { statement.reset() }
        return try statement.step() ? statement.integer(0) : nil
    }

    private func typeID(_ name: String) throws(SQLiteError) -> Int64? {
        let statement = try connection.statement("SELECT id FROM event_types WHERE name = ?1")
        statement.bind(name, at: 1)
        defer { statement.reset() }
        return try statement.step() ? statement.integer(0) : nil
    }
}
