// How much of a partition the delivery stage takes on before it stops reading it (design §2).

package struct WindowLimits: Sendable {
    /// Records read and not finished, a partition.
    package var partitionRecords = 1000
    /// Bodies in hand, a partition.
    package var partitionBytes = 16 << 20
    /// Bodies in hand, all partitions of the process together.
    package var processBytes = 64 << 20

    package init() {}

    /// How many more records of a partition may be read. The span of the ledger is a bound of its own.
    /// A partition that holds nothing may hold one record, whatever the others hold: else a few could shut it out.
    package func room(unfinished: Int, bytes: Int, processBytes: Int) -> Int {
        let records = max(0, partitionRecords - unfinished)
        if bytes >= partitionBytes { return 0 }
        return processBytes >= self.processBytes ? min(records, bytes == 0 ? 1 : 0) : records
    }
}
