// A replay: a time range of the domain topics, translated again for one webhook. It lives in the webhook's record on
// `subscriptions`, so that it survives every process and moves with the webhook.

package struct Replay: Equatable, Sendable {
    /// The raw value is what the API and the records say.
    package enum Status: String, Sendable, CaseIterable {
        case running, finished, cancelled, failed
    }

    package var id: ReplayID
    /// Records from this time on, by their Kafka timestamp.
    package var since: Timestamp
    /// Records before this time.
    package var until: Timestamp
    /// From here on nothing is missing: later than ``since`` where a topic's log begins later.
    package var from: Timestamp
    /// Counts and sends nothing.
    package var isDryRun: Bool
    /// The webhook's generation at the start; another one ends it.
    package var generation: Int
    package var createdAt: Timestamp
    package var status: Status
    /// Why it was cancelled or has failed, for people.
    package var reason: String?
    package var endedAt: Timestamp?
    /// Where to read; empty once it has ended, and where there is nothing to read.
    package var parts: [ReplayPart]
    /// What its parts came to, once it has ended.
    package var total: ReplayCounts

    package init(
        id: ReplayID, since: Timestamp, until: Timestamp, from: Timestamp, isDryRun: Bool, generation: Int,
        createdAt: Timestamp, status: Status = .running, reason: String? = nil, endedAt: Timestamp? = nil,
        parts: [ReplayPart], total: ReplayCounts = ReplayCounts()
    ) {
        self.id = id
        self.since = since
        self.until = until
        self.from = from
        self.isDryRun = isDryRun
        self.generation = generation
        self.createdAt = createdAt
        self.status = status
        self.reason = reason
        self.endedAt = endedAt
        self.parts = parts
        self.total = total
    }

    package var isRunning: Bool { status == .running }

    package var counts: ReplayCounts { parts.isEmpty ? total : parts.reduce(into: ReplayCounts()) { $0.add($1) } }

    /// The same without where to read: what is told of it.
    package var summary: Replay {
        var summary = self
        summary.total = counts
        summary.parts = []
        return summary
    }

    /// Takes in how far it came. A process that lost the webhook may report after the one that has it now: of each
    /// partition the report that came further counts.
    package mutating func take(_ report: ReplayReport) {
        if let later = report.from { from = max(from, later) }
        for reported in report.parts {
            guard
                let index = parts.firstIndex(where: {
                    $0.topic == reported.topic && $0.partition == reported.partition
                }), reported.next > parts[index].next, reported.next <= parts[index].end
            else { continue }
            parts[index] = reported
        }
    }

    package mutating func end(_ status: Status, reason: String?, at: Timestamp) {
        total = counts
        parts = []
        self.status = status
        self.reason = reason
        endedAt = at
    }
}

/// One partition of a replay. The counts belong to the offsets before ``next``, whoever read them.
package struct ReplayPart: Equatable, Sendable {
    package var topic: String
    package var partition: Int32
    /// Where it begins.
    package var first: Int64
    /// The next offset to read; everything before it is written.
    package var next: Int64
    /// Behind the last offset, as the log stood at the start.
    package var end: Int64
    /// Events for the webhook, each a delivery.
    package var events: Int
    /// Records that no webhook can be made of.
    package var unmappable: Int

    package init(
        topic: String, partition: Int32, first: Int64, next: Int64, end: Int64, events: Int = 0, unmappable: Int = 0
    ) {
        self.topic = topic
        self.partition = partition
        self.first = first
        self.next = next
        self.end = end
        self.events = events
        self.unmappable = unmappable
    }

    package var isDone: Bool { next >= end }
}

/// What a replay comes to so far.
package struct ReplayCounts: Equatable, Sendable {
    /// Records to read, of all accounts.
    package var records = 0
    /// Of them, those that have been read.
    package var read = 0
    /// Events of those for the webhook: sent, or in a dry run what would be.
    package var events = 0
    package var unmappable = 0

    package init(records: Int = 0, read: Int = 0, events: Int = 0, unmappable: Int = 0) {
        self.records = records
        self.read = read
        self.events = events
        self.unmappable = unmappable
    }

    package mutating func add(_ part: ReplayPart) {
        records += Int(part.end - part.first)
        read += Int(part.next - part.first)
        events += part.events
        unmappable += part.unmappable
    }
}

/// Where a replay has to read, found before it is asked for.
package struct ReplayPlan: Equatable, Sendable {
    package var parts: [ReplayPart]
    /// As ``Replay/from``.
    package var from: Timestamp

    /// Partitions with something to read; with more, the webhook's record would outgrow its topic.
    package static let mostParts = 4000

    /// What its parts take in a command and in the webhook's record, whose topics take a million bytes: a part's numbers, names
    /// of fields and the topic's own.
    private static let mostBytes = 800_000
    private static let bytesOfNumbers = 140

    package init(parts: [ReplayPart], from: Timestamp) {
        self.parts = parts
        self.from = from
    }

    package var fitsCommand: Bool {
        parts.count <= Self.mostParts
            && parts.reduce(0) { $0 + $1.topic.utf8.count + Self.bytesOfNumbers } <= Self.mostBytes
    }
}

extension Webhook {
    /// Ended replays that are remembered, the newest.
    package static let rememberedReplays = 5

    package var runningReplay: Replay? { replays.last { $0.isRunning } }

    package func replay(_ id: ReplayID) -> Replay? { replays.first { $0.id == id } }

    package mutating func endRunningReplay(_ status: Replay.Status, reason: String?, at: Timestamp) {
        guard let index = replays.lastIndex(where: \.isRunning) else { return }
        replays[index].end(status, reason: reason, at: at)
    }
}
