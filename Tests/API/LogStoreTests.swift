// The log store against a real file.
import API
import CSQLite
import Core
import Foundation
import JSON
import Runtime
import Testing

let sampleTime = Timestamp(rfc3339: "2024-01-15T10:30:15Z")!

func sampleID<Kind>(_ number: Int, _: Kind.Type = Kind.self) -> ID<Kind> {
    ID(bytes: (0..<12).map { UInt8(truncatingIfNeeded: number >> (8 * (11 - $0))) })
}

func sampleRow(
    _ number: Int, webhook: Int = 1, partition: Int32 = 0, delivered: Bool = true, type: String = "module.completed",
    at: Timestamp? = nil
) -> AttemptRow {
    AttemptRow(
        partition: partition, offset: Int64(number), webhook: sampleID(webhook), account: sampleID(7),
        delivery: sampleID(number), event: sampleID(number), eventType: type, attempt: 1, isDelivered: delivered,
        responseCode: delivered ? 200 : nil, responseTime: 350, error: delivered ? nil : "Connection timeout",
        at: at ?? sampleTime.adding(milliseconds: Int64(number) * 1000), origin: "learnault.modules/3/\(number)",
        nextAttemptAt: delivered ? nil : sampleTime.adding(milliseconds: 5000), backoffTier: delivered ? nil : "5s")
}

/// Holds for a test long enough for threads to do their work, and no longer.
func eventually(_ seconds: Double = 5, _ condition: () -> Bool) -> Bool {
    let deadline = Clock.monotonic() + UInt64(seconds * 1e9)
    while !condition() {
        guard Clock.monotonic() < deadline else { return false }
        usleep(5000)
    }
    return true
}

/// A directory that goes with the test, and limits in which nothing is old.
final class TemporaryDirectory {
    let path = NSTemporaryDirectory() + "log-store-\(UInt64.random(in: 0...UInt64.max))"
    init() { try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var file: String { path + "/attempts.sqlite" }

    func store(_ change: (inout LogLimits) -> Void = { _ in }) -> LogStore {
        var limits = LogLimits()
        limits.ageMilliseconds = 1_000_000 * 86_400_000
        change(&limits)
        let store = LogStore(directory: path, limits: limits)
        _ = eventually(20) { store.generation > 0 }
        return store
    }
}

extension LogStore {
    /// Appends and waits until it is written.
    func write(_ rows: [AttemptRow], partition: Int32 = 0, next: Int64) -> Bool {
        guard append(rows, offsets: [(partition: partition, next: next)]) else { return false }
        return eventually { resumeOffsets()[partition] == next }
    }

    func page(
        _ webhook: Int = 1, account: Int = 7, filter: LogFilter = LogFilter(), page: Int = 1, limit: Int = 50
    ) throws -> LogPage {
        let answer = Guarded<Result<LogPage, LogStoreError>?>(nil)
        let answered = EventFD()
        query(webhook: sampleID(webhook), account: sampleID(account), filter: filter, page: page, limit: limit) {
            result in
            answer.withLock { $0 = result }
            answered.signal()
        }
        answered.wait(milliseconds: 5000)
        return try #require(answer.withLock { $0 }).get()
    }
}

@Suite struct LogStoreTests {
    let directory = TemporaryDirectory()

    @Test func keepsEveryField() throws {
        let store = directory.store()
        defer { store.stop() }
        let rows = [sampleRow(1), sampleRow(2, delivered: false)]
        #expect(store.write(rows, next: 3))
        #expect(try store.page() == LogPage(rows: rows.reversed(), total: 2))
        #expect(store.generation == 1)
    }

    /// With NUL and what else a text may have.
    @Test func keepsWhatTheEndpointAnswered() throws {
        let store = directory.store()
        defer { store.stop() }
        var rows = [sampleRow(1, delivered: false), sampleRow(2, delivered: false), sampleRow(3)]
        rows[0].response = ResponseExcerpt(
            headers: [.init(name: "x-a", value: "a: b"), .init(name: "x-empty", value: "")],
            body: "no\0 \"room\"\né\u{FFFD}")
        rows[1].response = ResponseExcerpt(headers: [], body: "")
        #expect(store.write(rows, next: 4))
        #expect(try store.page() == LogPage(rows: rows.reversed(), total: 3))
    }

    @Test func keepsTheNewestAnswersOfEachWebhook() throws {
        let store = directory.store {
            $0.rowsPerWebhook = 300
            $0.responsesPerWebhook = 50
        }
        defer { store.stop() }
        func row(_ number: Int, webhook: Int = 1) -> AttemptRow {
            var row = sampleRow(number, webhook: webhook, delivered: false)
            row.response = ResponseExcerpt(headers: [.init(name: "x-n", value: "\(number)")], body: "sorry")
            return row
        }
        #expect(store.write((0..<400).map { row($0) } + [row(400, webhook: 2)], next: 401))
        func answers() throws -> [Int64] {
            let pages = try (1...3).map { try store.page(page: $0, limit: 100).rows }
            return pages.joined().filter { $0.response != nil }.map(\.offset)
        }
        #expect(eventually { (try? store.page().total) == 300 && (try? answers().count) == 50 })
        #expect(try answers() == Array((350..<400).reversed()))
        #expect(try store.page(2).rows.first?.response != nil)
    }

    /// They would take the memory of several each.
    @Test func rowsWithAnswersCountMoreWhileTheyWait() {
        var row = sampleRow(1, delivered: false)
        #expect(row.weight == 1)
        row.response = ResponseExcerpt(headers: [], body: String(repeating: "x", count: 1024))
        #expect(row.weight == 5)
    }

    @Test func pagesNewestFirst() throws {
        let store = directory.store()
        defer { store.stop() }
        #expect(store.write((0..<120).map { sampleRow($0) }, next: 120))
        let first = try store.page(limit: 50)
        #expect(first.total == 120)
        #expect(first.rows.map(\.offset) == Array((70..<120).reversed()))
        #expect(try store.page(page: 3, limit: 50).rows.map(\.offset) == Array((0..<20).reversed()))
        #expect(try store.page(page: 4, limit: 50) == LogPage(rows: [], total: 120))
    }

    @Test func pagesMeetEveryRowOnceWhenTimesAreEqual() throws {
        let store = directory.store()
        defer { store.stop() }
        let rows = (0..<90).map { sampleRow($0, delivered: $0 % 3 != 0, at: sampleTime) }
        #expect(store.write(rows, next: 90))
        var seen: [Int64] = []
        for page in 1...9 { seen += try store.page(page: page, limit: 10).rows.map(\.offset) }
        #expect(Set(seen).count == 90)
    }

    @Test func filters() throws {
        let store = directory.store()
        defer { store.stop() }
        let rows = (0..<60).map {
            sampleRow($0, delivered: $0 % 2 == 0, type: $0 % 3 == 0 ? "reward.issued" : "module.completed")
        }
        #expect(store.write(rows, next: 60))
        #expect(try store.page(filter: LogFilter(isDelivered: false)).total == 30)
        #expect(try store.page(filter: LogFilter(eventType: "reward.issued")).total == 20)
        #expect(try store.page(filter: LogFilter(isDelivered: true, eventType: "reward.issued")).total == 10)
        #expect(try store.page(filter: LogFilter(eventType: "user.created")) == LogPage(rows: [], total: 0))
        let since = sampleTime.adding(milliseconds: 10_000)
        let until = sampleTime.adding(milliseconds: 20_000)
        let between = try store.page(filter: LogFilter(since: since, until: until))
        #expect(between.total == 10)
        #expect(between.rows.last?.offset == 10)
        #expect(between.rows.first?.offset == 19)
    }

    @Test func keepsWebhooksAndAccountsApart() throws {
        let store = directory.store()
        defer { store.stop() }
        #expect(store.write([sampleRow(1), sampleRow(2, webhook: 2)], next: 3))
        #expect(try store.page(2).rows.map(\.offset) == [2])
        #expect(try store.page(3).total == 0)
        #expect(try store.page(1, account: 8).total == 0)
    }

    @Test func resumesWhereItStopped() throws {
        var store = directory.store()
        #expect(store.append([sampleRow(1)], offsets: [(partition: 0, next: 2)]))
        #expect(store.append([sampleRow(5, partition: 3)], offsets: [(partition: 3, next: 6)]))
        store.stop()
        store = directory.store()
        defer { store.stop() }
        #expect(store.resumeOffsets() == [0: 2, 3: 6])
        #expect(try store.page().total == 2)
    }

    @Test func ignoresWhatIsReadAgain() throws {
        let store = directory.store()
        defer { store.stop() }
        #expect(store.write((0..<10).map { sampleRow($0) }, next: 10))
        #expect(store.write((5..<15).map { sampleRow($0) }, next: 15))
        #expect(try store.page().total == 15)
    }

    @Test func keepsTheNewestOfEachWebhook() throws {
        let store = directory.store { $0.rowsPerWebhook = 50 }
        defer { store.stop() }
        for start in stride(from: 0, to: 400, by: 40) {
            #expect(store.write((start..<start + 40).map { sampleRow($0) }, next: Int64(start + 40)))
        }
        #expect(store.write([sampleRow(400, webhook: 2)], next: 401))
        #expect(eventually { (try? store.page().total) == 50 })
        #expect(try store.page(limit: 100).rows.map(\.offset) == Array((350..<400).reversed()))
        #expect(try store.page(2).total == 1)
    }

    @Test func forgetsWhatIsTooOld() throws {
        let store = directory.store { $0.ageMilliseconds = 86_400_000 }
        defer { store.stop() }
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let rows = [sampleRow(1), sampleRow(2, at: now), sampleRow(3, webhook: 2)]
        #expect(store.write(rows, next: 4))
        #expect(eventually { (try? store.page().total) == 1 && (try? store.page(2).total) == 0 })
        #expect(store.write([sampleRow(4, webhook: 2, at: now)], next: 5))
        #expect(try store.page(2).total == 1)
    }

    @Test func takesNoMoreThanItMayHold() {
        let store = directory.store { $0.pendingRows = 10 }
        defer { store.stop() }
        var refused = false
        for number in 0..<10_000 where !refused {
            refused = !store.append((0..<10).map { sampleRow(number * 10 + $0) }, offsets: [])
        }
        #expect(refused)
        #expect(eventually { store.append([], offsets: []) })
    }

    /// What comes while the file is replaced was read for the one before.
    @Test(arguments: 0..<12) func aReplacedFileIsReadAgainFromWhereItMustBe(_ run: Int) throws {
        let store = directory.store()
        defer { store.stop() }
        #expect(store.write([sampleRow(0)], next: 1))
        for ending in ["", "-wal", "-shm"] { unlink(directory.file + ending) }
        var generation = store.generation
        var next = 1
        var resumed: [Int32: Int64]?
        let deadline = Clock.monotonic() + 10_000_000_000
        while resumed == nil, Clock.monotonic() < deadline {
            if store.generation != generation {
                generation = store.generation
                resumed = store.resumeOffsets()
                break
            }
            usleep(UInt32(4_000 + 2500 * run))  // the poll of the reader
            _ = store.append(
                [sampleRow(next)], offsets: [(partition: 0, next: Int64(next + 1))], generation: generation)
            next += 1
        }
        #expect(resumed == [:], "run \(run): the feed goes on at \(String(describing: resumed)); next \(next)")
    }
}

@Suite struct LogStoreDamageTests {
    let directory = TemporaryDirectory()

    private func damage(_ bytes: [UInt8]) { try? Data(bytes).write(to: URL(fileURLWithPath: directory.file)) }

    @Test(arguments: [
        Array("this is no database, and long enough to be read as a header by whoever tries it".utf8),
        [UInt8](repeating: 0xA5, count: 100_000), Array("SQLite format 3\0".utf8),
    ])
    func replacesAFileThatIsNoDatabase(_ noise: [UInt8]) throws {
        damage(noise)
        let store = directory.store()
        defer { store.stop() }
        #expect(store.resumeOffsets() == [:])
        #expect(store.write([sampleRow(1)], next: 2))
        #expect(try store.page().total == 1)
        #expect(FileManager.default.fileExists(atPath: directory.file + ".damaged"))
    }

    @Test func replacesAFileOfAnotherVersion() throws {
        directory.store().stop()
        var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: directory.file)))
        bytes[63] = 99  // the last byte of user_version
        damage(bytes)
        let store = directory.store()
        defer { store.stop() }
        #expect(store.write([sampleRow(1)], next: 2))
        #expect(FileManager.default.fileExists(atPath: directory.file + ".damaged"))
    }

    /// What a process of the version before has written is there, and goes on with answers.
    @Test func takesOverAFileOfVersionThree() throws {
        var rows = (1...3).map { sampleRow($0, delivered: $0 != 2) }
        var store = directory.store()
        #expect(store.write(rows, next: 4))
        store.stop()
        try run("DROP TABLE responses; PRAGMA user_version = 3;")
        store = directory.store()
        defer { store.stop() }
        #expect(store.resumeOffsets() == [0: 4])
        rows.append(sampleRow(4, delivered: false))
        rows[3].response = ResponseExcerpt(headers: [], body: "sorry")
        #expect(store.write([rows[3]], next: 5))
        #expect(try store.page() == LogPage(rows: rows.reversed(), total: 4))
        #expect(!FileManager.default.fileExists(atPath: directory.file + ".damaged"))
    }

    private func run(_ sql: String) throws {
        var handle: OpaquePointer?
        #expect(sqlite3_open(directory.file, &handle) == SQLITE_OK)
        defer { sqlite3_close(handle) }
        #expect(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle)))")
    }

    @Test func makesANewFileWhenItIsDeleted() throws {
        let store = directory.store()
        defer { store.stop() }
        #expect(store.write([sampleRow(1)], next: 2))
        for ending in ["", "-wal", "-shm"] { unlink(directory.file + ending) }
        #expect(eventually { store.generation == 2 })
        #expect(store.resumeOffsets() == [:])
        #expect(store.write([sampleRow(2)], next: 3))
        #expect(try store.page().rows.map(\.offset) == [2])
    }

    @Test func healsWhenPagesTurnToNoiseWhileItRuns() throws {
        var store = directory.store()
        #expect(store.write((0..<5000).map { sampleRow($0) }, next: 5000))
        store.stop()
        store = directory.store()
        defer { store.stop() }
        #expect(store.resumeOffsets() == [0: 5000])
        // Everything behind the first page, in place: the file stays the same file.
        let handle = try #require(FileHandle(forWritingAtPath: directory.file))
        let size = try handle.seekToEnd()
        try handle.seek(toOffset: 4096)
        try handle.write(contentsOf: Data(repeating: 0x5A, count: Int(size) - 4096))
        try handle.close()
        #expect(throws: LogStoreError.unavailable) { try store.page() }
        #expect(eventually { store.generation == 2 })
        #expect(store.resumeOffsets() == [:])
        #expect(store.write([sampleRow(1)], next: 2))
        #expect(try store.page().total == 1)
    }

    /// As of a large file of an earlier version: the process is made ready without it.
    @Test func nobodyWaitsForItsFile() throws {
        let gate = EventFD()
        let began = Clock.monotonic()
        let store = LogStore(directory: directory.path, opening: { gate.wait(milliseconds: 60_000) })
        defer { store.stop() }
        #expect(Clock.monotonic() - began < 4_000_000_000, "it was waited for")
        #expect(store.generation == 0)
        #expect(throws: LogStoreError.unavailable) { try store.page() }
        let row = sampleRow(1, at: Timestamp(milliseconds: Clock.wallMilliseconds()))
        #expect(store.append([row], offsets: [(partition: 0, next: 2)]))
        gate.signal()
        #expect(eventually { (try? store.page())?.rows == [row] })
        #expect(store.generation == 1)
    }

    @Test func goesOnWithoutADirectory() {
        let store = LogStore(directory: directory.path + "/missing")
        defer { store.stop() }
        #expect(store.generation == 0)
        #expect(throws: LogStoreError.unavailable) { try store.page() }
        #expect(store.append([sampleRow(1)], offsets: [(partition: 0, next: 2)]))
    }
}

@Suite struct AttemptRowTests {
    private let record = """
        {"eventId":"evt_000000000000000000000001","eventType":"reward.issued","attempt":2,"status":"failed",\
        "responseCode":500,"responseTime":12,"error":"HTTP 500","timestamp":"2024-01-15T10:31:00.250Z",\
        "webhookId":"wh_000000000000000000000002","accountId":"acct_000000000000000000000003",\
        "deliveryId":"dlv_000000000000000000000004","origin":"learnault.rewards/1/9",\
        "nextAttemptAt":"2024-01-15T10:31:30.262Z","backoffTier":"30s","lane":{"anything":[1]}}
        """

    private func read(_ text: String) throws -> AttemptRow? {
        try JSONParser().parse(Array(text.utf8)) { AttemptRow(json: $0, partition: 3, offset: 4) }
    }

    @Test func readsARecord() throws {
        let at = Timestamp(rfc3339: "2024-01-15T10:31:00.250Z")!
        #expect(
            try read(record)
                == AttemptRow(
                    partition: 3, offset: 4, webhook: sampleID(2), account: sampleID(3), delivery: sampleID(4),
                    event: sampleID(1), eventType: "reward.issued", attempt: 2, isDelivered: false, responseCode: 500,
                    responseTime: 12, error: "HTTP 500", at: at, origin: "learnault.rewards/1/9",
                    nextAttemptAt: at.adding(milliseconds: 30_012), backoffTier: "30s"))
    }

    /// A record from somebody else's hand stands on its topic for weeks, and is read at each start.
    @Test(arguments: [(Int.max, 86_400_000), (Int.min, 0)]) func aTimeThatNoAttemptTakesIsBounded(
        _ time: Int, read bounded: Int
    ) throws {
        let row = try read(record.replacing(#""responseTime":12"#, with: "\"responseTime\":\(time)"))
        #expect(row?.responseTime == bounded)
    }

    @Test(arguments: ["eventId", "eventType", "attempt", "status", "timestamp", "webhookId", "accountId", "deliveryId"])
    func refusesARecordWithout(_ field: String) throws {
        #expect(try read(record.replacingOccurrences(of: "\"\(field)\"", with: "\"x\"")) == nil)
    }

    @Test func readsWhatTheEndpointAnswered() throws {
        let text = record.replacingOccurrences(
            of: "\"lane\"", with: #""responseHeaders":{"x-a":"1","x-b":"\"2\""},"responseBody":"no\u0000room","lane""#)
        let row = try #require(try read(text))
        #expect(
            row.response
                == ResponseExcerpt(
                    headers: [.init(name: "x-a", value: "1"), .init(name: "x-b", value: "\"2\"")], body: "no\0room"))
        #expect(try read(record)?.response == nil)
    }

    @Test func takesNullForWhatThereWasNot() throws {
        let text = record.replacingOccurrences(of: "500,", with: "null,")
            .replacingOccurrences(of: "\"30s\"", with: "null")
        let row = try #require(try read(text))
        #expect(row.responseCode == nil)
        #expect(row.backoffTier == nil)
    }
}
