// Whether a stage's loop pauses between two rounds.

/// When a stage has much to do it pauses a little between two rounds, so that records, acknowledgements and results come
/// in handfuls: a fetch, a produce request or a wake-up for each record costs more than the record (measured: the share
/// of librdkafka's own threads fell by half). A stage with little to do never waits.
struct Pace {
    private static let windowNanoseconds: UInt64 = 20_000_000
    /// 4,000 records a second.
    private static let busyRecords = 80

    private var windowStart: UInt64 = 0
    private var count = 0
    private(set) var isBusy = false

    mutating func shouldPause(records: Int, now: UInt64) -> Bool {
        if now >= windowStart + Self.windowNanoseconds {
            isBusy = count >= Self.busyRecords && now < windowStart + 2 * Self.windowNanoseconds
            windowStart = now
            count = 0
        }
        count += records
        return isBusy
    }
}
