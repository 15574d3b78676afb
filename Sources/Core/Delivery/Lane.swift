// The lane of one webhook: what waits for it, how fast and how many at once it may be sent. A value without clock and
// I/O; the delivery stage performs what it decides.

package struct Lane: Sendable {
    /// A record in the stage's hands.
    package struct Item: Sendable, Equatable {
        package let slot: Int
        package let isRetry: Bool
        /// It came from `deferred`, and never goes there again.
        package let wasDeferred: Bool
        /// Monotonic nanoseconds.
        package let since: UInt64

        package init(slot: Int, isRetry: Bool, wasDeferred: Bool, since: UInt64) {
            self.slot = slot
            self.isRetry = isRetry
            self.wasDeferred = wasDeferred
            self.since = since
        }
    }

    package enum Next: Equatable, Sendable {
        case start(Item)
        /// Nothing may start before this moment, monotonic nanoseconds.
        case wait(until: UInt64)
        /// Nothing waits, or as much as may be is under way: a result or a record will change that.
        case nothing
    }

    /// How an attempt ended, as far as the lane's pace is concerned.
    package enum Ending: Sendable {
        case success
        /// Time-out, 429 or 5xx: the receiver has too much to do.
        case overload
        /// Any other failure.
        case failure
    }

    package static let maxWaiting = 64
    package static let maxConcurrency = 16
    private static let initialConcurrency = 2

    private var bucket: TokenBucket
    private var retries = FIFO()
    private var fresh = FIFO()
    package private(set) var inFlight = 0
    package private(set) var concurrency = Lane.initialConcurrency

    package init(bucket: TokenBucket) { self.bucket = bucket }

    package var waiting: Int { retries.count + fresh.count }
    package var isIdle: Bool { waiting == 0 && inFlight == 0 }

    /// Whether a record that may still be deferred has to be: the lane has its share.
    package var isFull: Bool { waiting >= Self.maxWaiting }

    /// Retries go ahead of new events.
    package mutating func add(_ item: Item) {
        if item.isRetry { retries.append(item) } else { fresh.append(item) }
    }

    package mutating func next(now: UInt64) -> Next {
        guard waiting > 0, inFlight < concurrency else { return .nothing }
        let token = bucket.nextToken(now: now)
        guard token <= now else { return .wait(until: token) }
        bucket.take(now: now)
        inFlight += 1
        return .start(retries.popFirst() ?? fresh.popFirst()!)
    }

    /// Undoes a start that became no attempt; the token stays spent.
    package mutating func cancelled() { inFlight -= 1 }

    package mutating func finished(_ ending: Ending) {
        inFlight -= 1
        switch ending {
        case .success: concurrency = min(concurrency + 1, Self.maxConcurrency)
        case .overload: concurrency = max(concurrency / 2, 1)
        case .failure: break
        }
    }

    /// Takes out what has waited since before `limit` and was never deferred, oldest first.
    package mutating func takeStale(before limit: UInt64) -> [Item] {
        retries.takeStale(before: limit) + fresh.takeStale(before: limit)
    }

    /// The oldest item that may be deferred.
    package var oldestDeferrable: UInt64? {
        [retries.firstDeferrable, fresh.firstDeferrable].compactMap { $0 }.min()
    }

    /// The next item without starting it.
    package var head: Item? { retries.first ?? fresh.first }

    /// Takes the head out without starting it: it is settled in another way.
    package mutating func dropHead() {
        if retries.popFirst() == nil { _ = fresh.popFirst() }
    }

    /// Takes out everything that waits.
    package mutating func takeAll() -> [Item] {
        var items: [Item] = []
        while let item = retries.popFirst() ?? fresh.popFirst() { items.append(item) }
        return items
    }
}

/// A queue whose front moves without moving the rest.
private struct FIFO: Sendable {
    private var items: [Lane.Item] = []
    private var head = 0

    var count: Int { items.count - head }
    var first: Lane.Item? { head < items.count ? items[head] : nil }
    var firstDeferrable: UInt64? { items[head...].first { !$0.wasDeferred }?.since }

    mutating func append(_ item: Lane.Item) { items.append(item) }

    mutating func popFirst() -> Lane.Item? {
        guard head < items.count else { return nil }
        let item = items[head]
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 256 {
            items.removeFirst(head)
            head = 0
        }
        return item
    }

    mutating func takeStale(before limit: UInt64) -> [Lane.Item] {
        var stale: [Lane.Item] = []
        var kept: [Lane.Item] = []
        for item in items[head...] {
            if !item.wasDeferred, item.since < limit { stale.append(item) } else { kept.append(item) }
        }
        items = kept
        head = 0
        return stale
    }
}
