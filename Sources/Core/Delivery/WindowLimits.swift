// How much of a partition the delivery stage takes on before it stops reading it (design §2).

package enum WindowLimits {
    /// Records read and not finished, a partition.
    package static let partitionRecords = 1000
    /// Bodies in hand, a partition.
    package static let partitionBytes = 16 << 20
    /// Bodies in hand, all partitions of the process together.
    package static let processBytes = 64 << 20

    /// How many more records of a partition may be read. The span of the ledger is a bound of its own.
    package static func room(unfinished: Int, bytes: Int, processBytes: Int) -> Int {
        bytes >= partitionBytes || processBytes >= Self.processBytes ? 0 : max(0, partitionRecords - unfinished)
    }
}
