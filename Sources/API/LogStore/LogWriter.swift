// The writing half of the log store: everything that one thread does with its connection. Rows and the offsets they
// were read at are one transaction, so that a restart goes on exactly where it stopped.
internal import Core

/// Rows read from the attempts topic and, by partition, the offset to go on at.
struct AttemptBatch: Sendable {
    var rows: [AttemptRow]
    var offsets: [(partition: Int32, next: Int64)]
    /// Of the file these offsets go on from; nil for any.
    var generation: Int?
}

/// Owned by the writer's thread; not Sendable.
final class LogWriter {
    private let connection: SQLiteConnection
    private let limits: LogLimits
    private(set) var offsets: [Int32: Int64] = [:]
    private var webhooks: [WebhookID: (id: Int64, rows: Int)] = [:]
    private var types: [String: Int64] = [:]
    private var overfull: Set<WebhookID> = []
    /// Whose old rows are looked for next.
    private var aging: [WebhookID] = []
    private var idBytes = IDBytes()
    private var inserting: SQLiteStatement?
    /// Of each webhook in the batches that are being written, the last row with a lane: one write a webhook, not one a row.
    private var latest: [WebhookID: AttemptRow] = [:]

    private static let insert = """
        INSERT OR IGNORE INTO attempts
          (place, webhook, at, delivered, type, attempt, code, duration, error, event, delivery, origin, next_at, tier)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
        """

    init(path: String, limits: LogLimits) throws(SQLiteError) {
        connection = try LogSchema.open(path)
        self.limits = limits
        try load()
    }

    /// Reads what is kept in memory from the file.
    func load() throws(SQLiteError) {
        offsets.removeAll()
        webhooks.removeAll()
        types.removeAll()
        overfull.removeAll()
        let places = try connection.statement("SELECT partition, next FROM offsets")
        while try places.step() { offsets[Int32(places.integer(0))] = places.integer(1) }
        let names = try connection.statement("SELECT id, name FROM event_types")
        while try names.step() { types[names.text(1) ?? ""] = names.integer(0) }
        var counts: [Int64: Int] = [:]
        let counted = try connection.statement("SELECT webhook, count(*) FROM attempts GROUP BY webhook")
        while try counted.step() { counts[counted.integer(0)] = Int(counted.integer(1)) }
        let known = try connection.statement("SELECT id, webhook FROM webhooks")
        while try known.step() {
            guard known.blob(1).count == 12 else { continue }
            let webhook = WebhookID(bytes: Array(known.blob(1)))
            let rows = counts[known.integer(0)] ?? 0
            webhooks[webhook] = (known.integer(0), rows)
            if rows > limits.rowsPerWebhook { overfull.insert(webhook) }
        }
    }

    // MARK: Writing

    /// Writes batches in one transaction. After an error nothing of them is in the file, and they may be tried again.
    func write(_ batches: [AttemptBatch]) throws(SQLiteError) {
        do {
            try connection.execute("BEGIN IMMEDIATE")
            latest.removeAll(keepingCapacity: true)
            for batch in batches {
                for row in batch.rows {
                    try insert(row)
                    if row.lane != nil { latest[row.webhook] = row }
                }
                for (partition, next) in batch.offsets { try store(partition, next) }
            }
            for row in latest.values { try storeLane(of: row) }
            try connection.execute("COMMIT")
        } catch {
            if connection.isInTransaction { try? connection.execute("ROLLBACK") }
            // What was counted in memory did not happen. If this fails too, so will the next attempt.
            try? load()
            throw error
        }
    }

    private func insert(_ row: AttemptRow) throws(SQLiteError) {
        guard row.partition >= 0, row.offset >= 0 else { return }
        let webhook = try localID(of: row)
        // Not looked up by its text for each row.
        let statement = if let inserting { inserting } else { try connection.statement(Self.insert) }
        inserting = statement
        statement.bind(LogSchema.place(partition: row.partition, offset: row.offset), at: 1)
        statement.bind(webhook, at: 2)
        statement.bind(row.at.milliseconds, at: 3)
        statement.bind(row.isDelivered ? 1 : 0, at: 4)
        statement.bind(try localID(ofType: row.eventType), at: 5)
        statement.bind(Int64(row.attempt), at: 6)
        statement.bind(row.responseCode.map { Int64($0) }, at: 7)
        statement.bind(row.responseTime.map { Int64($0) }, at: 8)
        statement.bind(row.error, at: 9)
        idBytes.withBytes(of: row.event) { statement.bind(blob: $0, at: 10) }
        idBytes.withBytes(of: row.delivery) { statement.bind(blob: $0, at: 11) }
        statement.bind(row.origin, at: 12)
        statement.bind(row.nextAttemptAt?.milliseconds, at: 13)
        statement.bind(row.backoffTier, at: 14)
        try statement.run()
        if connection.changes == 1 { count(1, row.webhook) }
    }

    private func count(_ change: Int, _ webhook: WebhookID) {
        let rows = webhooks[webhook, default: (0, 0)].rows + change
        webhooks[webhook, default: (0, 0)].rows = rows
        if rows > limits.rowsPerWebhook {
            if rows == limits.rowsPerWebhook + 1 || change < 0 { overfull.insert(webhook) }
        } else if change < 0 {
            overfull.remove(webhook)
        }
    }

    private func store(_ partition: Int32, _ next: Int64) throws(SQLiteError) {
        let statement = try connection.statement("INSERT OR REPLACE INTO offsets (partition, next) VALUES (?1, ?2)")
        statement.bind(Int64(partition), at: 1)
        statement.bind(next, at: 2)
        try statement.run()
        offsets[partition] = next
    }

    /// What is read again does not overwrite what is newer.
    private func storeLane(of row: AttemptRow) throws(SQLiteError) {
        guard let lane = row.lane, let webhook = webhooks[row.webhook]?.id else { return }
        let statement = try connection.statement(
            """
            INSERT INTO lanes (webhook, place, at, state, queued, deferred, next_probe_at, last_success_at, last_error,
              last_error_at, p50, p99)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
            ON CONFLICT (webhook) DO UPDATE SET
              place = excluded.place, at = excluded.at, state = excluded.state, queued = excluded.queued,
              deferred = excluded.deferred, next_probe_at = excluded.next_probe_at,
              last_success_at = excluded.last_success_at, last_error = excluded.last_error,
              last_error_at = excluded.last_error_at, p50 = excluded.p50, p99 = excluded.p99
            WHERE excluded.place >= lanes.place
            """)
        statement.bind(webhook, at: 1)
        statement.bind(LogSchema.place(partition: row.partition, offset: row.offset), at: 2)
        statement.bind(lane.at.milliseconds, at: 3)
        statement.bind(lane.state.rawValue, at: 4)
        statement.bind(Int64(lane.queued), at: 5)
        statement.bind(Int64(lane.deferred), at: 6)
        statement.bind(lane.nextProbeAt?.milliseconds, at: 7)
        statement.bind(lane.lastSuccessAt?.milliseconds, at: 8)
        statement.bind(lane.lastError, at: 9)
        statement.bind(lane.lastErrorAt?.milliseconds, at: 10)
        statement.bind(lane.p50.map { Int64($0) }, at: 11)
        statement.bind(lane.p99.map { Int64($0) }, at: 12)
        try statement.run()
    }

    private func localID(of row: AttemptRow) throws(SQLiteError) -> Int64 {
        if let known = webhooks[row.webhook] { return known.id }
        let statement = try connection.statement("INSERT INTO webhooks (webhook, account) VALUES (?1, ?2)")
        idBytes.withBytes(of: row.webhook) { statement.bind(blob: $0, at: 1) }
        idBytes.withBytes(of: row.account) { statement.bind(blob: $0, at: 2) }
        try statement.run()
        webhooks[row.webhook] = (connection.lastRowID, 0)
        return connection.lastRowID
    }

    private func localID(ofType name: String) throws(SQLiteError) -> Int64 {
        if let known = types[name] { return known }
        let statement = try connection.statement("INSERT INTO event_types (name) VALUES (?1)")
        statement.bind(name, at: 1)
        try statement.run()
        types[name] = connection.lastRowID
        return connection.lastRowID
    }

    // MARK: Bounds

    /// Whether so much is over the bound that pruning should not wait for a quiet moment.
    var hasExcess: Bool {
        let slack = max(100, limits.rowsPerWebhook / 20)
        return overfull.contains { (webhooks[$0]?.rows ?? 0) > limits.rowsPerWebhook + slack }
    }

    /// Deletes a bounded number of rows that are over a bound, so that writing is not held up for long.
    /// - Parameter rows: to delete at most.
    /// - Returns: whether there may be more.
    func prune(now: Timestamp, rows: Int) throws(SQLiteError) -> Bool {
        var room = rows
        for webhook in overfull {
            guard room > 0 else { return true }
            let excess = (webhooks[webhook]?.rows ?? 0) - limits.rowsPerWebhook
            room -= try delete(webhook, before: .max, limit: min(room, excess))
        }
        let cutoff = now.adding(milliseconds: -limits.ageMilliseconds).milliseconds
        if aging.isEmpty { aging = Array(webhooks.keys) }
        for _ in 0..<500 {
            guard room > 0, let webhook = aging.popLast() else { break }
            let deleted = try delete(webhook, before: cutoff, limit: room)
            room -= deleted
            if room == 0 { aging.append(webhook) }
            if webhooks[webhook]?.rows == 0 { try forget(webhook) }
        }
        return room <= 0
    }

    private func delete(_ webhook: WebhookID, before: Int64, limit: Int) throws(SQLiteError) -> Int {
        guard limit > 0, let id = webhooks[webhook]?.id else { return 0 }
        let statement = try connection.statement(
            """
            DELETE FROM attempts WHERE webhook = ?1 AND (at, place) <=
              (SELECT at, place FROM
                 (SELECT at, place FROM attempts WHERE webhook = ?1 AND at < ?2 ORDER BY at, place LIMIT ?3)
               ORDER BY at DESC, place DESC LIMIT 1)
            """)
        statement.bind(id, at: 1)
        statement.bind(before, at: 2)
        statement.bind(Int64(limit), at: 3)
        try statement.run()
        let deleted = connection.changes
        count(-deleted, webhook)
        return deleted
    }

    private func forget(_ webhook: WebhookID) throws(SQLiteError) {
        guard let id = webhooks[webhook]?.id else { return }
        for table in ["DELETE FROM lanes WHERE webhook = ?1", "DELETE FROM webhooks WHERE id = ?1"] {
            let statement = try connection.statement(table)
            statement.bind(id, at: 1)
            try statement.run()
        }
        webhooks[webhook] = nil
        overfull.remove(webhook)
    }
}
