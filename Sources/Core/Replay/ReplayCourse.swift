// How far a replay's reading is, as a value: records in, positions and counts out. What is reported is only what was
// written, so the shell asks for a report when nothing it wrote is unacknowledged.

package struct ReplayCourse: Sendable {
    /// What became of one record.
    package enum Outcome: Equatable, Sendable {
        /// Events for the webhook; 0 is the rule.
        case events(Int)
        case unmappable
        /// Its time is outside of the range, or it has no value.
        case passedOver
    }

    /// Where a partition stands.
    package enum Place: Equatable, Sendable {
        /// The record is to be looked at.
        case wanted
        /// It was read before.
        case behind
        /// The partition is done with: nothing more of it is needed.
        case beyond
    }

    private struct Key: Hashable {
        let topic: String
        let partition: Int32
    }

    package let since: Timestamp
    package let until: Timestamp
    private var parts: [ReplayPart]
    private var index: [Key: Int] = [:]
    private var reported: [Int64]

    package init(_ replay: Replay) {
        since = replay.since
        until = replay.until
        parts = replay.parts
        reported = parts.map(\.next)
        for (place, part) in parts.enumerated() { index[Key(topic: part.topic, partition: part.partition)] = place }
    }

    /// From when on nothing is missing, where a log lost records before they were read.
    package private(set) var from: Timestamp?

    /// What is still to be read.
    package var open: [ReplayPart] { parts.filter { !$0.isDone } }
    package var isDone: Bool { parts.allSatisfy(\.isDone) }

    package func place(of topic: String, _ partition: Int32, _ offset: Int64) -> Place {
        guard let place = index[Key(topic: topic, partition: partition)] else { return .beyond }
        if offset >= parts[place].end || parts[place].isDone { return .beyond }
        return offset < parts[place].next ? .behind : .wanted
    }

    /// The offset that should come next; nil for a partition that is not part of it.
    package func next(of topic: String, _ partition: Int32) -> Int64? {
        index[Key(topic: topic, partition: partition)].map { parts[$0].next }
    }

    /// How many records of a partition are gone unread, going by where its log begins now.
    package func missing(of topic: String, _ partition: Int32, logBegin: Int64) -> Int64 {
        guard let place = index[Key(topic: topic, partition: partition)] else { return 0 }
        return max(0, min(logBegin, parts[place].end) - parts[place].next)
    }

    /// Everything a partition still had to give is gone unread, and nothing says up to which time.
    package mutating func lostAll() { from = until }

    /// The log begins with a record of that time now, and what stood between is gone unread.
    package mutating func lost(before milliseconds: Int64) {
        let time = Timestamp(milliseconds: min(max(milliseconds, since.milliseconds), until.milliseconds))
        from = max(from ?? time, time)
    }

    /// Whether a record of that time belongs to the range. One without a time does: nothing says otherwise.
    package func covers(_ milliseconds: Int64) -> Bool {
        milliseconds < 0 || (milliseconds >= since.milliseconds && milliseconds < until.milliseconds)
    }

    /// A record that was wanted has been dealt with.
    package mutating func took(_ topic: String, _ partition: Int32, _ offset: Int64, _ outcome: Outcome) {
        guard let place = index[Key(topic: topic, partition: partition)], offset >= parts[place].next else { return }
        parts[place].next = min(offset + 1, parts[place].end)
        switch outcome {
        case .events(let count): parts[place].events += count
        case .unmappable: parts[place].unmappable += 1
        case .passedOver: break
        }
    }

    /// Nothing more comes of a partition, whatever its offsets say: transactions and compaction leave holes at the end.
    package mutating func reachedEnd(of topic: String, _ partition: Int32) {
        guard let place = index[Key(topic: topic, partition: partition)] else { return }
        parts[place].next = parts[place].end
    }

    /// The parts that came further since the last report.
    package mutating func report() -> [ReplayPart] {
        var changed: [ReplayPart] = []
        for place in parts.indices where parts[place].next != reported[place] {
            reported[place] = parts[place].next
            changed.append(parts[place])
        }
        return changed
    }
}
