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
    package func room(unfinished: Int, bytes: Int, processBytes: Int) -> Int {
        bytes >= partitionBytes || processBytes >= self.processBytes ? 0 : max(0, partitionRecords - unfinished)
    }
}
