// What one transaction of the log store writes, without the threads around it.
import Core
import Testing

@testable import API

@Suite struct LogWriterTests {
    private let directory = TemporaryDirectory()

    @Test func whatWouldBeDeletedAtOnceIsNotWritten() throws {
        var limits = LogLimits()
        limits.rowsPerWebhook = 10
        let writer = try LogWriter(path: directory.file, limits: limits)
        func batch(_ numbers: Range<Int>, of webhook: Int) -> AttemptBatch {
            AttemptBatch(
                rows: numbers.map { sampleRow($0, webhook: webhook, partition: Int32(webhook)) }, weight: numbers.count,
                offsets: [(Int32(webhook), Int64(numbers.upperBound))], generation: nil)
        }
        try writer.write([batch(0..<25, of: 1), batch(0..<3, of: 2), batch(25..<40, of: 1)])
        let reader = try LogReader(path: directory.file)
        func offsets(_ webhook: Int) throws -> [Int64] {
            let page = try reader.page(
                webhook: sampleID(webhook), account: sampleID(7), filter: LogFilter(), page: 1, limit: 100)
            #expect(page.total == page.rows.count)
            return page.rows.map(\.offset)
        }
        #expect(try offsets(1) == Array((30..<40).reversed()), "before anything was pruned")
        #expect(try offsets(2) == [2, 1, 0], "each webhook has its own bound")
        #expect(writer.offsets == [1: 40, 2: 3], "and all of them were read")

        // Rows that are there already count for nothing new.
        try writer.write([batch(30..<45, of: 1)])
        #expect(try offsets(1).first == 44 && offsets(1).count == 15, "over the bound by what one transaction adds")
        _ = try writer.prune(now: sampleTime, rows: 2000)
        #expect(try offsets(1) == Array((35..<45).reversed()))
    }
}
