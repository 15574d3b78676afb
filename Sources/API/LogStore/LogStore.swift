// The store behind the log API: what the attempts topic said, in one SQLite file under `state.directory`. It is a
// cache of the topic: nothing waits for it, and a lost or damaged file is replaced by an empty one and read again.
//
// Two threads: one writes (the only one that opens, prunes or replaces the file), one answers queries.
package import Core
internal import Glibc
internal import Runtime
internal import Synchronization

package struct LogLimits: Sendable {
    package var rowsPerWebhook = 10_000
    /// What endpoints answered is kept of the newest so many failures and tests of a webhook.
    package var responsesPerWebhook = 1000
    package var ageMilliseconds: Int64 = 30 * 86_400_000
    /// Rows that wait to be written, each by its ``AttemptRow/weight``; beyond this ``LogStore/append(_:offsets:)`` takes no
    /// more.
    package var pendingRows = 65_536
    package var pendingQueries = 256
    /// Rows deleted at most between two transactions of new ones, or as many as were new.
    package var rowsPerPrune = 2000

    package init() {}
}

package enum LogStoreError: Error, Equatable {
    /// Too many queries wait.
    case busy
    /// The file cannot be read now.
    case unavailable
}

package final class LogStore: Sendable {
    private let file: LogFile
    private let limits: LogLimits
    private let batches: Inbox<AttemptBatch>
    private let queries: Inbox<Query>
    private let pendingRows = Atomic(0)
    private let pendingQueries = Atomic(0)
    private let stopping = Atomic(false)
    private let damaged = Atomic(false)
    private let files = Atomic(0)
    private let offsets = Guarded<[Int32: Int64]>([:])
    private let threads = Guarded<[OwnedThread]>([])
    private let quietUntil = Guarded<UInt64>(0)

    private struct Query: Sendable {
        /// On the reader's thread.
        let run: @Sendable (LogReader) throws(SQLiteError) -> Void
        let fail: @Sendable (LogStoreError) -> Void
    }

    /// How long the first queries wait for the file, which is open in no time unless it is large, old or on a slow disk.
    private static let openingMilliseconds = 1000

    /// Opens or makes `attempts.sqlite` in the directory, which must exist, on a thread of its own: nobody waits for it here,
    /// and what is asked before it is open fails as unavailable. Never fails: without a usable file it goes on trying, and
    /// says so in the log.
    /// - Parameter opening: called on that thread before the file is opened for the first time.
    package init(
        directory: String, limits: LogLimits = LogLimits(), opening: @escaping @Sendable () -> Void = {}
    ) {
        file = LogFile(path: directory + "/attempts.sqlite")
        self.limits = limits
        batches = Inbox(wake: EventFD())
        queries = Inbox(wake: EventFD())
        let opened = EventFD()
        let writer = OwnedThread(name: "log-writer") { [self] in
            opening()
            write(opened)
        }
        let reader = OwnedThread(name: "log-reader") { [self] in read(opened) }
        threads.withLock { $0 = [writer, reader] }
    }

    /// Writes what is pending, as far as it can be, and ends both threads. Call it once, before letting go.
    package func stop() {
        stopping.store(true, ordering: .releasing)
        batches.wake.signal()
        queries.wake.signal()
        for thread in threads.withLock({ threads in
            defer { threads = [] }; return threads
        }) { thread.join() }
    }

    // MARK: Feeding

    /// Where to go on reading, by partition; a partition that is not there was never read. After ``generation`` has
    /// changed, ask again and read from 24 h back what is missing.
    package func resumeOffsets() -> [Int32: Int64] { offsets.withLock { $0 } }

    /// Counts the files that were opened: 0 until the first one is, one more for each that had to be replaced.
    package var generation: Int { files.load(ordering: .acquiring) }

    /// Takes rows and the offsets behind them, both or neither. Any thread; never blocks.
    /// - Parameters:
    ///   - batch: rows of the attempts topic; one that is there already is ignored.
    ///   - offsets: by partition, the offset to go on at once these rows are written.
    ///   - generation: of the file that the offsets were asked of; once another has taken its place they are nothing to go
    ///     on from, and the batch is dropped. nil: whatever file there is.
    /// - Returns: false when too much is pending: nothing was taken, keep the batch, stop reading and try again.
    package func append(
        _ batch: [AttemptRow], offsets: [(partition: Int32, next: Int64)], generation: Int? = nil
    ) -> Bool {
        guard pendingRows.load(ordering: .relaxed) < limits.pendingRows else { return false }
        let weight = batch.reduce(0) { $0 + $1.weight }
        pendingRows.wrappingAdd(weight, ordering: .relaxed)
        batches.put(AttemptBatch(rows: batch, weight: weight, offsets: offsets, generation: generation))
        return true
    }

    private func write(_ opened: EventFD) {
        var writer = open()
        opened.signal()
        var taken: [AttemptBatch] = []
        var unwritten: [AttemptBatch] = []
        var identity = file.identity
        var nextCheck = Clock.monotonic()
        while true {
            let isLast = stopping.load(ordering: .acquiring)
            batches.wake.clear()
            batches.take(into: &taken)
            unwritten.append(contentsOf: taken)
            dropOutdated(&unwritten)
            var written = 0
            do throws(SQLiteError) {
                if let current = writer, !unwritten.isEmpty {
                    try current.write(unwritten)
                    written = unwritten.reduce(0) { $0 + $1.rows.count }
                    pendingRows.wrappingSubtract(unwritten.reduce(0) { $0 + $1.weight }, ordering: .relaxed)
                    unwritten.removeAll(keepingCapacity: true)
                    offsets.withLock { $0 = current.offsets }
                }
                if isLast { return }
                if let current = writer, current.hasExcess || Clock.monotonic() >= nextCheck {
                    let hasMore = try current.prune(
                        now: Timestamp(milliseconds: Clock.wallMilliseconds()), rows: max(limits.rowsPerPrune, written))
                    nextCheck = Clock.monotonic() + (hasMore ? 0 : 1_000_000_000)
                    if file.identity != identity || damaged.exchange(false, ordering: .relaxed) {
                        throw SQLiteError(code: 11, description: "the file was removed, replaced or is damaged")
                    }
                }
                // A transaction writes whole pages of the tree, so few large ones cost less a row than many small; and what a
                // webhook has too many of in one of them is not written at all.
                if !taken.isEmpty {
                    rest(after: written)
                } else {
                    batches.wake.wait(milliseconds: 1000)
                }
            } catch {
                if error.isDamage {
                    writer = nil  // closed before its file goes
                    setAside(error)
                } else {
                    makeRoom(error)
                    if mayComplain() {
                        Log.warning(
                            "the log store cannot be written; trying again every second", .path(file.path),
                            .error(error.description), .count(pendingRows.load(ordering: .relaxed)),
                            .fix("give state.directory room; deliveries go on without it"))
                    }
                    if !isLast { usleep(1_000_000) }
                }
                if isLast { return }
            }
            if writer == nil {
                writer = open()
                identity = file.identity
                if writer == nil { usleep(1_000_000) }
            }
        }
    }

    /// 20 ms where rows are few, a fifth of a second at thousands a second, a second at more than 20,000; a stop ends it.
    private func rest(after written: Int) {
        var left = written < 500 ? 1 : written < 4000 ? 10 : 50
        while left > 0, !stopping.load(ordering: .acquiring),
            pendingRows.load(ordering: .relaxed) < limits.pendingRows / 2
        {
            usleep(20_000)
            left -= 1
        }
    }

    /// What was read for a file that is gone: its offsets would let the new one begin at the log's end.
    private func dropOutdated(_ batches: inout [AttemptBatch]) {
        let current = generation
        batches.removeAll { batch in
            guard let asked = batch.generation, asked != current else { return false }
            pendingRows.wrappingSubtract(batch.weight, ordering: .relaxed)
            return true
        }
    }

    private func open() -> LogWriter? {
        for isSecond in [false, true] {
            do throws(SQLiteError) {
                let writer = try LogWriter(path: file.path, limits: limits)
                offsets.withLock { $0 = writer.offsets }
                files.wrappingAdd(1, ordering: .releasing)
                return writer
            } catch {
                // SQLITE_CANTOPEN (14) too: something stands at the path that is no file of ours.
                guard !isSecond, error.isDamage || error.code & 0xFF == 14 else {
                    makeRoom(error)
                    if mayComplain() {
                        Log.error(
                            "the log store cannot be opened; the log API is without data", .path(file.path),
                            .error(error.description), .fix("make state.directory writable and give it room"))
                    }
                    return nil
                }
                setAside(error)
            }
        }
        return nil
    }

    /// On a full disk a damaged file that is kept for a person to look at is not worth a log that cannot be written.
    private func makeRoom(_ error: SQLiteError) {
        guard error.isFull, file.removeDamaged() else { return }
        Log.warning("the log store's disk is full; the damaged file that was put aside is deleted", .path(file.path))
    }

    /// What is tried every second is said every half minute.
    private func mayComplain() -> Bool {
        let now = Clock.monotonic()
        return quietUntil.withLock { quiet in
            guard now >= quiet else { return false }
            quiet = now + 30_000_000_000
            return true
        }
    }

    private func setAside(_ error: SQLiteError) {
        Log.warning(
            "the log store's file was damaged; it is put aside as .damaged and rebuilt from the topic",
            .path(file.path), .error(error.description))
        file.moveAside()
    }

    // MARK: Asking

    /// Finds a page. Any thread; never blocks. `completion` is called once, on the reader's thread.
    package func query(
        webhook: WebhookID, account: AccountID, filter: LogFilter = LogFilter(), page: Int = 1, limit: Int = 50,
        completion: @escaping @Sendable (Result<LogPage, LogStoreError>) -> Void
    ) {
        put(completion) { reader throws(SQLiteError) in
            try reader.page(webhook: webhook, account: account, filter: filter, page: page, limit: limit)
        }
    }

    /// Finds how the webhook's lane stood at its last attempt; nil when none was read of. As ``query`` is asked.
    package func lane(
        webhook: WebhookID, account: AccountID,
        completion: @escaping @Sendable (Result<LaneReport?, LogStoreError>) -> Void
    ) {
        put(completion) { reader throws(SQLiteError) in try reader.lane(webhook: webhook, account: account) }
    }

    /// Finds the newest attempt for an event; nil when none was read of. As ``query`` is asked.
    package func newest(
        of event: EventID, webhook: WebhookID, account: AccountID,
        completion: @escaping @Sendable (Result<AttemptRow?, LogStoreError>) -> Void
    ) {
        put(completion) { reader throws(SQLiteError) in
            try reader.newest(of: event, webhook: webhook, account: account)
        }
    }

    private func put<Value>(
        _ completion: @escaping @Sendable (Result<Value, LogStoreError>) -> Void,
        _ find: @escaping @Sendable (LogReader) throws(SQLiteError) -> Value
    ) {
        guard pendingQueries.wrappingAdd(1, ordering: .relaxed).newValue <= limits.pendingQueries else {
            pendingQueries.wrappingSubtract(1, ordering: .relaxed)
            return completion(.failure(.busy))
        }
        queries.put(
            Query(
                run: { reader throws(SQLiteError) in completion(.success(try find(reader))) },
                fail: { completion(.failure($0)) }))
    }

    private func read(_ opened: EventFD) {
        var reader: LogReader?
        var hasWaited = false
        var generation = 0
        var taken: [Query] = []
        while true {
            queries.wake.wait(milliseconds: 10_000)
            queries.wake.clear()
            queries.take(into: &taken)
            if !hasWaited, !taken.isEmpty {
                hasWaited = true
                opened.wait(milliseconds: Self.openingMilliseconds)
            }
            for query in taken {
                pendingQueries.wrappingSubtract(1, ordering: .relaxed)
                if generation != self.generation {
                    generation = self.generation
                    reader = nil
                }
                do throws(SQLiteError) {
                    guard generation > 0 else { throw SQLiteError(code: 14, description: "no file yet") }
                    let current = if let reader { reader } else { try LogReader(path: file.path) }
                    reader = current
                    try query.run(current)
                } catch {
                    reader = nil
                    if error.isDamage {
                        damaged.store(true, ordering: .relaxed)
                        batches.wake.signal()
                    }
                    query.fail(.unavailable)
                }
            }
            if stopping.load(ordering: .acquiring) { return }
        }
    }
}
