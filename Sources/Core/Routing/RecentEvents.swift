// What was translated in the last moments, with its bodies, so that a webhook that this process hears of late, since it was
// registered with another, misses nothing of what came meanwhile. Two generations of entries that are only added to: the older
// one goes as a whole.

package struct RecentEvents: Sendable {
    package struct Entry: Sendable {
        package let event: EventID
        package let type: String
        /// nil: everybody's.
        package let account: AccountID?
        /// The webhook it is about, which does not hear of it.
        package let subject: WebhookID?
        package let topic: String
        package let partition: Int32
        package let offset: Int64
        /// The record's; negative where it has none.
        package let timestamp: Int64
        package let traceparent: String?
        /// Milliseconds since 1970.
        package let routedAt: Int64
        /// How many webhooks the view had heard of when it was routed (`RegistryView.State.newsCount`).
        package let known: Int

        package init(
            event: EventID, type: String, account: AccountID?, subject: WebhookID?, topic: String, partition: Int32,
            offset: Int64, timestamp: Int64, traceparent: String?, routedAt: Int64, known: Int
        ) {
            self.event = event
            self.type = type
            self.account = account
            self.subject = subject
            self.topic = topic
            self.partition = partition
            self.offset = offset
            self.timestamp = timestamp
            self.traceparent = traceparent
            self.routedAt = routedAt
            self.known = known
        }
    }

    private struct Generation {
        var entries: [Entry] = []
        /// Where each entry's body ends.
        var ends: [Int] = []
        var bodies: [UInt8] = []
        var began: Int64 = 0

        mutating func removeAll() {
            entries.removeAll(keepingCapacity: true)
            ends.removeAll(keepingCapacity: true)
            bodies.removeAll(keepingCapacity: true)
        }
    }

    /// A write is visible everywhere within a second (contract §1). Where room allows; at most twice as long.
    package static let keptMilliseconds: Int64 = 2000
    /// Of each of the two generations.
    package static let bodyBytes = 2 << 20
    package static let maximumEntries = 4096

    private var current = Generation()
    private var previous = Generation()

    package init() {}

    package mutating func add(_ entry: Entry, body: UnsafeRawBufferPointer) {
        if current.entries.count >= Self.maximumEntries || current.bodies.count + body.count > Self.bodyBytes
            || entry.routedAt - current.began > Self.keptMilliseconds || entry.routedAt < current.began
        {
            swap(&current, &previous)
            current.removeAll()
            current.began = entry.routedAt
        }
        current.entries.append(entry)
        current.bodies.append(contentsOf: body)
        current.ends.append(current.bodies.count)
    }

    /// The oldest first.
    package func forEach(_ body: (Entry, UnsafeRawBufferPointer) -> Void) {
        for generation in [previous, current] {
            generation.bodies.withUnsafeBytes { bodies in
                var start = 0
                for (entry, end) in zip(generation.entries, generation.ends) {
                    body(entry, UnsafeRawBufferPointer(rebasing: bodies[start..<end]))
                    start = end
                }
            }
        }
    }
}
