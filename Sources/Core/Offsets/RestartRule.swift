// Whether a record under an offset that was read before is another record. The client goes back to the log's start when its
// position is beyond the log's end: after a topic was deleted and made again, where all are new, and after an election that lost
// the last records, where most are known and only the end is new.

package struct RestartRule: Sendable {
    /// The newest record's time, milliseconds since 1970.
    private var newest: Int64 = -1

    package init() {}

    /// A record was read for the first time.
    /// - Parameter timestamp: milliseconds since 1970; negative where it has none.
    package mutating func read(_ timestamp: Int64) { newest = max(newest, timestamp) }

    /// - Returns: whether a record whose offset was read before came after all that were read. One that did not was read, as far
    ///   as anybody can say: to take it for new would send a topic's whole retention again.
    package func isNew(_ timestamp: Int64) -> Bool { timestamp > newest }
}
