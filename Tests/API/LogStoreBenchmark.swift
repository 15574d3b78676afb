// What a row and a page of the log store cost. Runs only when asked for:
//   LOG_STORE_ROWS=1000000 swift test -c release --filter LogStoreBenchmark
import API
import Core
import Foundation
import Runtime
import Testing

private let rowsAsked = ProcessInfo.processInfo.environment["LOG_STORE_ROWS"].flatMap { Int($0) }

private func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

@Suite(.enabled(if: rowsAsked != nil), .serialized) struct LogStoreBenchmark {
    /// 20,000 rows a second for ten seconds, a hundred at a time.
    @Test(arguments: [10, 1000, 10_000]) func keepsUp(webhooks: Int) throws {
        let directory = TemporaryDirectory()
        let store = directory.store()
        defer { store.stop() }
        let batches = (0..<2000).map { batch in
            (batch * 100..<batch * 100 + 100).map {
                sampleRow($0, webhook: $0 &* 7919 % webhooks, partition: Int32(batch % 16), delivered: $0 % 20 != 0)
            }
        }
        let spent = processorSeconds()
        let begun = Clock.monotonic()
        for (number, rows) in batches.enumerated() {
            let due = begun + UInt64(number) * 5_000_000
            let now = Clock.monotonic()
            if now < due { usleep(UInt32((due - now) / 1000)) }
            #expect(store.append(rows, offsets: [(partition: Int32(number % 16), next: Int64(number * 100 + 100))]))
        }
        #expect(eventually(60) { store.resumeOffsets()[15] == 200_000 })
        print(
            "log store at 20,000 rows/s, \(webhooks) webhooks:",
            "\((processorSeconds() - spent) / 200_000 * 1e6) µs of processor time a row")
    }

    /// Batches of 500 rows over 16 partitions, as the reader of the topic hands them over.
    @Test(arguments: [1, 100, 10_000]) func writes(webhooks: Int) throws {
        let directory = TemporaryDirectory()
        let store = directory.store()
        defer { store.stop() }
        let total = rowsAsked ?? 0
        var rowsByBatch: [[AttemptRow]] = []
        for start in stride(from: 0, to: total, by: 500) {
            let partition = Int32(start / 500 % 16)
            rowsByBatch.append(
                (start..<start + 500).map {
                    sampleRow($0, webhook: $0 &* 7919 % webhooks, partition: partition, delivered: $0 % 20 != 0)
                })
        }
        let begun = Clock.monotonic()
        let spent = processorSeconds()
        for (number, rows) in rowsByBatch.enumerated() {
            let next = Int64((number + 1) * 500)
            while !store.append(rows, offsets: [(partition: Int32(number % 16), next: next)]) { usleep(1000) }
        }
        let last = Int32((rowsByBatch.count - 1) % 16)
        #expect(eventually(60) { store.resumeOffsets()[last] == Int64(total) })
        let seconds = Double(Clock.monotonic() - begun) / 1e9
        let processor = processorSeconds() - spent
        print(
            "log store, \(webhooks) webhooks: \(Int(Double(total) / seconds)) rows/s,",
            "\(processor / Double(total) * 1e6) µs of processor time a row, pruning included")

        for (name, filter, page) in [
            ("first page", LogFilter(), 1), ("page 100", LogFilter(), 100),
            ("failed only", LogFilter(isDelivered: false), 1),
            ("one type", LogFilter(eventType: "module.completed"), 1),
            ("failed, one type", LogFilter(isDelivered: false, eventType: "module.completed"), 1),
            ("the last half", LogFilter(since: sampleTime.adding(milliseconds: Int64(total) * 500)), 1),
            ("the first half", LogFilter(until: sampleTime.adding(milliseconds: Int64(total) * 500)), 1),
        ] {
            let begun = Clock.monotonic()
            var rows = 0
            for webhook in 0..<min(webhooks, 50) {
                rows += try store.page(webhook, filter: filter, page: page, limit: 50).total
            }
            let each = Double(Clock.monotonic() - begun) / 1e6 / Double(min(webhooks, 50))
            print("log store, \(webhooks) webhooks: \(name) of \(rows / min(webhooks, 50)) rows in \(each) ms")
        }
    }
}
