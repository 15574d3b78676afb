// SQLite as the log store needs it: connections that one thread owns, statements that are prepared once, errors that
// say whether the file is damaged.
internal import CSQLite

struct SQLiteError: Error, CustomStringConvertible {
    let code: Int32
    let description: String

    /// The file itself is wrong, so waiting does not help: not a database, corrupt, or of another shape.
    var isDamage: Bool { [SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_ERROR, SQLITE_MISMATCH].contains(code & 0xFF) }
    /// There is no room for what was to be written.
    var isFull: Bool { code & 0xFF == SQLITE_FULL }
}

/// A connection. Its owner's thread only; not Sendable.
final class SQLiteConnection {
    fileprivate let handle: OpaquePointer
    private var prepared: [String: SQLiteStatement] = [:]

    private static let library: Void = csqlite_without_statistics()

    /// Opens or makes the file.
    init(path: String, cacheKibibytes: Int) throws(SQLiteError) {
        Self.library
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            sqlite3_close_v2(opened)
            throw SQLiteError(code: code, description: String(cString: sqlite3_errstr(code)))
        }
        handle = opened
        sqlite3_busy_timeout(handle, 2000)
        try execute("PRAGMA cache_size = -\(cacheKibibytes)")
        try execute("PRAGMA temp_store = MEMORY")
    }

    deinit {
        prepared.removeAll()
        sqlite3_close_v2(handle)
    }

    func execute(_ sql: String) throws(SQLiteError) { try check(sqlite3_exec(handle, sql, nil, nil, nil)) }

    /// The statement for a text, prepared at its first use, reset and ready to be bound.
    func statement(_ sql: String) throws(SQLiteError) -> SQLiteStatement {
        if let statement = prepared[sql] {
            statement.reset()
            return statement
        }
        var made: OpaquePointer?
        try check(sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &made, nil))
        guard let made else { throw SQLiteError(code: SQLITE_MISUSE, description: "an empty statement") }
        let statement = SQLiteStatement(made)
        prepared[sql] = statement
        return statement
    }

    /// The first column of the first row; nil when there is none.
    func integer(_ sql: String) throws(SQLiteError) -> Int64? {
        let statement = try statement(sql)
        defer { statement.reset() }
        return try statement.step() ? statement.integer(0) : nil
    }

    /// Rows that the last statement inserted or deleted.
    var changes: Int { Int(sqlite3_changes(handle)) }
    var lastRowID: Int64 { sqlite3_last_insert_rowid(handle) }
    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    private func check(_ code: Int32) throws(SQLiteError) {
        if code != SQLITE_OK { throw SQLiteError(code: code, description: String(cString: sqlite3_errmsg(handle))) }
    }
}

/// A prepared statement; parameters count from 1 and columns from 0, as SQLite has it.
final class SQLiteStatement {
    private let handle: OpaquePointer

    fileprivate init(_ handle: OpaquePointer) { self.handle = handle }
    deinit { sqlite3_finalize(handle) }

    func bind(_ value: Int64, at index: Int32) { sqlite3_bind_int64(handle, index, value) }

    func bind(_ value: Int64?, at index: Int32) {
        if let value { sqlite3_bind_int64(handle, index, value) } else { sqlite3_bind_null(handle, index) }
    }

    func bind(_ value: String?, at index: Int32) {
        guard var value else {
            sqlite3_bind_null(handle, index)
            return
        }
        value.withUTF8 { text in
            _ = text.withMemoryRebound(to: CChar.self) {
                sqlite3_bind_text(handle, index, $0.baseAddress, Int32($0.count), csqlite_transient())
            }
        }
    }

    func bind(blob: UnsafeRawBufferPointer, at index: Int32) {
        sqlite3_bind_blob(handle, index, blob.baseAddress, Int32(blob.count), csqlite_transient())
    }

    /// - Returns: whether there is a row.
    func step() throws(SQLiteError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code:
            let message = String(cString: sqlite3_errmsg(sqlite3_db_handle(handle)))
            sqlite3_reset(handle)
            throw SQLiteError(code: code, description: message)
        }
    }

    /// For a statement that answers no rows.
    func run() throws(SQLiteError) {
        _ = try step()
        sqlite3_reset(handle)
    }

    func reset() { sqlite3_reset(handle) }

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    func optionalInteger(_ column: Int32) -> Int64? {
        sqlite3_column_type(handle, column) == SQLITE_NULL ? nil : sqlite3_column_int64(handle, column)
    }

    func isPresent(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) != SQLITE_NULL }

    func text(_ column: Int32) -> String? { sqlite3_column_text(handle, column).map { String(cString: $0) } }

    func blob(_ column: Int32) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: sqlite3_column_blob(handle, column), count: Int(sqlite3_column_bytes(handle, column)))
    }
}
