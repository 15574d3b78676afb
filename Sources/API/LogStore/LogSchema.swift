// The log store's tables, and the file they are in.
//
// Attempts are one tree, in the order in which they are shown: by webhook, time and place on the attempts topic (partition
// and offset in one integer). A page is a piece of it, a new row goes to the end of its webhook's piece and an old one from
// its front, and there is no index to be kept beside it, which was a third of what a row cost. A filter reads the rows of
// one webhook, of which there are no more than the bound. Webhooks and event types are small integers, to keep rows short.
// What endpoints answered is a table of its own: a page needs few of them and a count none. Of each webhook's lane the latest
// report is kept, with its place on the topic.
internal import Core
internal import Glibc

enum LogSchema {
    /// A file of another version is moved aside and rebuilt from the topic.
    static let version: Int64 = 4

    private static let attempts = """
        CREATE TABLE attempts (
          webhook INTEGER NOT NULL, at INTEGER NOT NULL, place INTEGER NOT NULL, delivered INTEGER NOT NULL,
          type INTEGER NOT NULL, attempt INTEGER NOT NULL, code INTEGER, duration INTEGER, error TEXT,
          event BLOB NOT NULL, delivery BLOB NOT NULL, origin TEXT, next_at INTEGER, tier TEXT,
          PRIMARY KEY (webhook, at, place)) WITHOUT ROWID;
        """

    /// Headers and body are bytes of text, in which there may be NUL.
    private static let responses = """
        CREATE TABLE responses (
          place INTEGER PRIMARY KEY, webhook INTEGER NOT NULL, at INTEGER NOT NULL, headers BLOB NOT NULL,
          body BLOB NOT NULL);
        CREATE INDEX responses_of_webhook ON responses (webhook, at);
        PRAGMA user_version = \(version);
        """

    /// Version 3 kept no answers.
    private static let fromVersion3 = responses

    /// Version 2 had an index and a table by place.
    private static let fromVersion2 = """
        DROP INDEX attempts_of_webhook;
        ALTER TABLE attempts RENAME TO attempts_by_place;
        \(attempts)
        INSERT INTO attempts
          SELECT webhook, at, id, delivered, type, attempt, code, duration, error, event, delivery, origin, next_at, tier
          FROM attempts_by_place;
        DROP TABLE attempts_by_place;
        \(fromVersion3)
        """

    static let tables = """
        CREATE TABLE webhooks (id INTEGER PRIMARY KEY, webhook BLOB NOT NULL UNIQUE, account BLOB NOT NULL);
        CREATE TABLE event_types (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE offsets (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL);
        CREATE TABLE lanes (
          webhook INTEGER PRIMARY KEY, place INTEGER NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL,
          queued INTEGER NOT NULL, deferred INTEGER NOT NULL, next_probe_at INTEGER, last_success_at INTEGER,
          last_error TEXT, last_error_at INTEGER, p50 INTEGER, p99 INTEGER);
        \(attempts)
        \(responses)
        """

    /// Opens the file for writing and makes what is missing.
    /// - Throws: with `isDamage` for a file that is not ours or not whole.
    static func open(_ path: String) throws(SQLiteError) -> SQLiteConnection {
        let connection = try SQLiteConnection(path: path, cacheKibibytes: 16_384)
        try connection.execute("PRAGMA journal_mode = WAL")
        // A power cut may lose the last transactions, but rows and offsets together: they are read again.
        try connection.execute("PRAGMA synchronous = NORMAL")
        try connection.execute("PRAGMA wal_autocheckpoint = 10000")
        try connection.execute("PRAGMA journal_size_limit = 67108864")
        let found = try connection.integer("PRAGMA user_version") ?? 0
        let tables = try connection.integer("SELECT count(*) FROM sqlite_schema") ?? 0
        if tables == 0 {
            try connection.execute("BEGIN; \(Self.tables) COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
        } else if found == 2 {
            try connection.execute("BEGIN; \(fromVersion2) COMMIT")
        } else if found == 3 {
            try connection.execute("BEGIN; \(fromVersion3) COMMIT")
        } else if found != version {
            throw SQLiteError(
                code: 1, description: "the file is of schema version \(found), this program writes \(version)")
        }
        return connection
    }

    /// The integer that stands for a place on the topic.
    static func place(partition: Int32, offset: Int64) -> Int64 { Int64(partition) << 48 | offset & 0xFFFF_FFFF_FFFF }
    static func position(_ place: Int64) -> (partition: Int32, offset: Int64) {
        (Int32(place >> 48), place & 0xFFFF_FFFF_FFFF)
    }
}

/// The file on disk, apart from what is in it.
struct LogFile {
    let path: String

    /// Which file the path names now; changes when somebody removes or replaces it.
    var identity: UInt64? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_size > 0 else { return nil }
        return UInt64(status.st_ino) ^ UInt64(status.st_dev) << 40
    }

    /// Puts the file out of the way for a person to look at; of several only the last is kept, so that a disk that
    /// damages files is not filled by them.
    func moveAside() {
        unlink(path + "-wal")
        unlink(path + "-shm")
        rename(path, path + ".damaged")
    }

    /// - Returns: whether there was one.
    func removeDamaged() -> Bool { unlink(path + ".damaged") == 0 }
}

/// The twelve bytes of an id, as they are stored.
struct IDBytes {
    private var text: [UInt8] = []
    private var bytes = [UInt8](repeating: 0, count: 12)

    mutating func withBytes<Kind, Result>(
        of id: ID<Kind>, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        text.removeAll(keepingCapacity: true)
        id.append(to: &text)
        let start = text.count - 24
        for index in 0..<12 {
            let high = hexValue(text[start + index * 2]) ?? 0
            let low = hexValue(text[start + index * 2 + 1]) ?? 0
            bytes[index] = high << 4 | low
        }
        return try bytes.withUnsafeBytes { try body($0) }
    }
}
