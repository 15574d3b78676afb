// Which offsets a time range means: from what a broker says of each partition's log.

/// What a broker says of one partition.
package struct ReplayLog: Sendable {
    package var topic: String
    package var partition: Int32
    /// The first offset that is kept.
    package var low: Int64
    /// The offset the next record will get.
    package var high: Int64
    /// The first offset whose record is not older than the range's begin; nil where there is none, or where the broker
    /// knows no times.
    package var begin: Int64?
    /// The same for the range's end.
    package var end: Int64?
    /// Whether the broker looks times up at all.
    package var knowsTimes: Bool

    package init(
        topic: String, partition: Int32, low: Int64, high: Int64, begin: Int64?, end: Int64?, knowsTimes: Bool
    ) {
        self.topic = topic
        self.partition = partition
        self.low = low
        self.high = high
        self.begin = begin
        self.end = end
        self.knowsTimes = knowsTimes
    }

    /// How much later than the range's end records are still looked at: their timestamps are their producers', and those
    /// of several on one partition are not in order. At the begin no such slack is needed, since what stands before the
    /// first record that is not too old is older by definition.
    package static let slackMilliseconds: Int64 = 300_000

    /// The offsets to read; nil where there are none.
    package var part: ReplayPart? {
        let first = knowsTimes ? begin ?? high : low
        let last = min(knowsTimes ? end ?? high : high, high)
        guard first < last else { return nil }
        return ReplayPart(topic: topic, partition: partition, first: max(first, low), next: max(first, low), end: last)
    }

    /// Whether records of the range may be gone: the log has lost its beginning, and what it begins with now is in the
    /// range. The time of its first record then says from when on nothing is missing. A log that has lost everything says
    /// nothing of when that was, so nothing is told of it.
    package var mayMissRecords: Bool { low > 0 && low < high && (!knowsTimes || begin == low) }
}

/// Why what is asked for cannot be found.
package enum ReplayFault: Error, Equatable, Sendable {
    /// Too much is being looked up.
    case busy
    /// The brokers did not answer in time.
    case late
    /// It lies in more partitions than one replay can keep account of.
    case tooWide
    /// It was there, and its record is gone.
    case expired
    /// It was never there.
    case unknown
}
