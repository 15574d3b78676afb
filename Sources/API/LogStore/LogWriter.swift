// The writing half of the log store: everything that one thread does with its connection. Rows and the offsets they
// were read at are one transaction, so that a restart goes on exactly where it stopped.
internal import Core

/// Rows read from the attempts topic and, by partition, the offset to go on at.
struct AttemptBatch: Sendable {
    var rows: [AttemptRow]
    /// What they count of what may wait.
    var weight: Int
    var offsets: [(partition: Int32, next: Int64)]
    /// Of the file these offsets go on from; nil for any.
    var generation: Int?
}

/// Owned by the writer's thread; not Sendable.
final class LogWriter {
    private let connection: SQLiteConnection
    private let limits: LogLimits
    private(set) var offsets: [Int32: Int64] = [:]
    private var webhooks: [WebhookID: Kept] = [:]
    private var types: [String: Int64] = [:]
    /// Which have more rows, and which more answers, than are kept.
    private var overfull: Set<WebhookID> = []
    private var overanswered: Set<WebhookID> = []
    /// Whose old rows are looked for next.
    private var aging: [WebhookID] = []
    private var idBytes = IDBytes()
    private var inserting: SQLiteStatement?
    /// Of each webhook in the batches that are being written, the last row with a lane: one write a webhook, not one a row.
    private var latest: [WebhookID: AttemptRow] = [:]

    /// What is in the file of a webhook.
    private struct Kept {
        let id: Int64
        var rows = 0
        var responses = 0
    }

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
        overanswered.removeAll()
        let places = try connection.statement("SELECT partition, next FROM offsets")
        while try places.step() { offsets[Int32(places.integer(0))] = places.integer(1) }
        let names = try connection.statement("SELECT id, name FROM event_types")
        while try names.step() { types[names.text(1) ?? ""] = names.integer(0) }
        let rows = try counts("SELECT webhook, count(*) FROM attempts GROUP BY webhook")
        let responses = try counts("SELECT webhook, count(*) FROM responses GROUP BY webhook")
        let known = try connection.statement("SELECT id, webhook FROM webhooks")
        while try known.step() {
            guard known.blob(1).count == 12 else { continue }
            let webhook = WebhookID(bytes: Array(known.blob(1)))
            let id = known.integer(0)
            webhooks[webhook] = Kept(id: id, rows: rows[id] ?? 0, responses: responses[id] ?? 0)
            if rows[id] ?? 0 > limits.rowsPerWebhook { overfull.insert(webhook) }
            if responses[id] ?? 0 > limits.responsesPerWebhook { overanswered.insert(webhook) }
        }
    }

    private func counts(_ sql: String) throws(SQLiteError) -> [Int64: Int] {
        var counts: [Int64: Int] = [:]
        let counted = try connection.statement(sql)
        while try counted.step() { counts[counted.integer(0)] = Int(counted.integer(1)) }
        return counts
    }

    // MARK: Writing

    /// Writes batches in one transaction. After an error nothing of them is in the file, and they may be tried again.
    func write(_ batches: [AttemptBatch]) throws(SQLiteError) {
        var surplus = surplus(of: batches)
        do {
            try connection.execute("BEGIN IMMEDIATE")
            latest.removeAll(keepingCapacity: true)
            for batch in batches {
                for row in batch.rows {
                    if let left = surplus[row.webhook], left > 0 {
                        surplus[row.webhook] = left - 1
                    } else {
                        try insert(row)
                    }
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

    /// Of each webhook with more rows here than are kept, how many of its first ones need not be written at all: they would
    /// be deleted in the same breath.
    private func surplus(of batches: [AttemptBatch]) -> [WebhookID: Int] {
        guard batches.reduce(0, { $0 + $1.rows.count }) > limits.rowsPerWebhook else { return [:] }
        var counts: [WebhookID: Int] = [:]
        for batch in batches { for row in batch.rows { counts[row.webhook, default: 0] += 1 } }
        return counts.compactMapValues { $0 > limits.rowsPerWebhook ? $0 - limits.rowsPerWebhook : nil }
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
        guard connection.changes == 1 else { return }
        count(1, row.webhook)
        if let response = row.response { try insert(response, of: row, webhook) }
    }

    private func insert(_ response: ResponseExcerpt, of row: AttemptRow, _ webhook: Int64) throws(SQLiteError) {
        let statement = try connection.statement(
            "INSERT OR REPLACE INTO responses (place, webhook, at, headers, body) VALUES (?1, ?2, ?3, ?4, ?5)")
        statement.bind(LogSchema.place(partition: row.partition, offset: row.offset), at: 1)
        statement.bind(webhook, at: 2)
        statement.bind(row.at.milliseconds, at: 3)
        response.headerLines.withUnsafeBytes { statement.bind(blob: $0, at: 4) }
        Array(response.body.utf8).withUnsafeBytes { statement.bind(blob: $0, at: 5) }
        try statement.run()
        countResponses(1, row.webhook)
    }

    private func count(_ change: Int, _ webhook: WebhookID) {
        guard let rows = webhooks[webhook]?.rows else { return }
        webhooks[webhook]?.rows = rows + change
        note(webhook, rows + change, change, limit: limits.rowsPerWebhook, in: &overfull)
    }

    private func countResponses(_ change: Int, _ webhook: WebhookID) {
        guard let responses = webhooks[webhook]?.responses else { return }
        webhooks[webhook]?.responses = responses + change
        note(webhook, responses + change, change, limit: limits.responsesPerWebhook, in: &overanswered)
    }

    private func note(_ webhook: WebhookID, _ count: Int, _ change: Int, limit: Int, in over: inout Set<WebhookID>) {
        if count > limit {
            if count == limit + 1 || change < 0 { over.insert(webhook) }
        } else if change < 0 {
            over.remove(webhook)
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
        webhooks[row.webhook] = Kept(id: connection.lastRowID)
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
        overfull.contains { (webhooks[$0]?.rows ?? 0) > Self.withSlack(limits.rowsPerWebhook) }
            || overanswered.contains { (webhooks[$0]?.responses ?? 0) > Self.withSlack(limits.responsesPerWebhook) }
    }

    private static func withSlack(_ limit: Int) -> Int { limit + max(100, limit / 20) }

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
        for webhook in overanswered {
            guard room > 0 else { return true }
            let excess = (webhooks[webhook]?.responses ?? 0) - limits.responsesPerWebhook
            room -= try deleteResponses(webhook, limit: min(room, excess))
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
        let oldest = try connection.statement(
            """
            SELECT at, place FROM
              (SELECT at, place FROM attempts WHERE webhook = ?1 AND at < ?2 ORDER BY at, place LIMIT ?3)
            ORDER BY at DESC, place DESC LIMIT 1
            """)
        oldest.bind(id, at: 1)
        oldest.bind(before, at: 2)
        oldest.bind(Int64(limit), at: 3)
        guard try oldest.step() else { return 0 }
        let (at, place) = (oldest.integer(0), oldest.integer(1))
        oldest.reset()
        // Answers first: one that stays behind would belong to no row.
        if webhooks[webhook]?.responses ?? 0 > 0 {
            let deleted = try delete(
                "DELETE FROM responses WHERE webhook = ?1 AND (at, place) <= (?2, ?3)", id, at, place)
            countResponses(-deleted, webhook)
        }
        let deleted = try delete("DELETE FROM attempts WHERE webhook = ?1 AND (at, place) <= (?2, ?3)", id, at, place)
        count(-deleted, webhook)
        return deleted
    }

    private func delete(_ sql: String, _ webhook: Int64, _ at: Int64, _ place: Int64) throws(SQLiteError) -> Int {
        let statement = try connection.statement(sql)
        statement.bind(webhook, at: 1)
        statement.bind(at, at: 2)
        statement.bind(place, at: 3)
        try statement.run()
        return connection.changes
    }

    /// The oldest answers of a webhook; their rows stay.
    private func deleteResponses(_ webhook: WebhookID, limit: Int) throws(SQLiteError) -> Int {
        guard limit > 0, let id = webhooks[webhook]?.id else { return 0 }
        let statement = try connection.statement(
            """
            DELETE FROM responses WHERE place IN
              (SELECT place FROM responses WHERE webhook = ?1 ORDER BY at, place LIMIT ?2)
            """)
        statement.bind(id, at: 1)
        statement.bind(Int64(limit), at: 2)
        try statement.run()
        let deleted = connection.changes
        countResponses(-deleted, webhook)
        return deleted
    }

    private func forget(_ webhook: WebhookID) throws(SQLiteError) {
        guard let id = webhooks[webhook]?.id else { return }
        for deletion in [
            "DELETE FROM lanes WHERE webhook = ?1", "DELETE FROM responses WHERE webhook = ?1",
            "DELETE FROM webhooks WHERE id = ?1",
        ] {
            let statement = try connection.statement(deletion)
            statement.bind(id, at: 1)
            try statement.run()
        }
        webhooks[webhook] = nil
        overfull.remove(webhook)
        overanswered.remove(webhook)
    }
}
