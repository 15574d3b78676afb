// The lane of one webhook: what waits for it, how fast and how many at once it may be sent, and whether it is taken for
// dead. A value without clock and I/O; the delivery stage performs what it decides, one step at a time.

package struct Lane: Sendable {
    /// A record in the stage's hands.
    package struct Item: Sendable, Equatable {
        package enum Kind: UInt8, Sendable {
            /// Skips the circuit and the rate, and counts nowhere.
            case test
            /// It was attempted or parked before, and goes ahead of new events.
            case retry
            case fresh
            /// It came from `deferred`, and does not go there again for waiting.
            case deferred
        }
        package let slot: Int32
        package let kind: Kind
        /// Attempts already made.
        package let attempts: Int32
        /// Of the body.
        package let bytes: Int32
        /// When it came, monotonic nanoseconds.
        package let since: UInt64

        package init(slot: Int, kind: Kind, attempts: Int, bytes: Int, since: UInt64) {
            self.slot = Int32(slot)
            self.kind = kind
            self.attempts = Int32(clamping: attempts)
            self.bytes = Int32(clamping: bytes)
            self.since = since
        }
    }

    package enum Step: Equatable, Sendable {
        case start(Item)
        /// The circuit is open and another record is the probe: it goes to `retries`, its attempts unchanged.
        case park(Item)
        /// It could not start in time: it goes to `deferred`.
        case `defer`(Item)
        /// Nothing is to be done before this moment, monotonic nanoseconds.
        case wait(until: UInt64)
        /// Nothing waits, or as much as may be is under way: a result or a record will change that.
        case nothing
    }

    /// How an attempt ended, as far as the lane is concerned.
    package enum Ending: Sendable, Equatable {
        case success
        /// Time-out, 429 or 5xx: the receiver has too much to do.
        case overload
        /// Any other failure of the receiver.
        case failure
        /// It says nothing of the receiver: we refused or ended it ourselves.
        case void
    }

    /// A lane's share of its partition's window (design §2): what may wait here and not on `deferred`.
    package static let maxWaiting = 64
    package static let maxWaitingBytes = WindowLimits().partitionBytes / 4
    package static let maxConcurrency = 16
    package static let initialConcurrency = 2
    package static let maxTestsInFlight = 4
    /// What has not started after this goes to `deferred`.
    package static let patienceNanoseconds: UInt64 = 1_000_000_000
    /// A lane that moves has had a quick success this recently. Long enough for a moment in which we ourselves get no
    /// processor, short enough for a neighbour of an endpoint that begins to hang.
    private static let flowNanoseconds: UInt64 = 100_000_000
    /// An endpoint that answers within this frees its lane's room in no time.
    private static let quickNanoseconds: UInt64 = 20_000_000
    /// How long a lane rests after a start that we could not carry out.
    package static let holdNanoseconds: UInt64 = 100_000_000

    private var bucket: TokenBucket
    package private(set) var circuit = Circuit()
    private var tests = LaneQueue()
    private var retries = LaneQueue()
    private var fresh = LaneQueue()
    private var deferred = LaneQueue()
    /// While the circuit is open: the record that becomes the next probe.
    private var candidate: Item?
    /// The slot of the probe under way.
    private var probe: Int32?
    private var deferredIsNext = false
    private var shareBytes = 0
    /// The last quick success, or when the first record came to an idle lane; 0 since an answer that was neither.
    private var movedAt: UInt64 = 0
    private var heldUntil: UInt64 = 0
    private var testsInFlight = 0
    /// Attempts under way, tests not counted.
    package private(set) var inFlight = 0
    package private(set) var concurrency = Lane.initialConcurrency

    package init(bucket: TokenBucket) { self.bucket = bucket }

    // MARK: What is the case

    package var waiting: Int { share + deferred.count }
    /// Waiting records that came from `deferred`.
    package var waitingDeferred: Int { deferred.count }
    package var isIdle: Bool { waiting == 0 && inFlight == 0 && testsInFlight == 0 }

    private var share: Int { tests.count + retries.count + fresh.count + (candidate == nil ? 0 : 1) }

    /// Whether the rate is what holds the lane back now.
    package func isLimited(now: UInt64) -> Bool { bucket.nextToken(now: now) > now }
    package var isSaturated: Bool { inFlight >= concurrency }

    /// Whether the lane is full and yet moves, so that room is a matter of milliseconds: whoever reads for it does better
    /// to wait than to send records round through `deferred`.
    package func isFullButFlowing(now: UInt64) -> Bool {
        share >= Self.maxWaiting && !circuit.isOpen && now < movedAt + Self.flowNanoseconds
            && !isLimited(now: now)
    }

    // MARK: Events

    /// A record came.
    /// - Returns: false when the lane has its share and the record goes to `deferred`; never for one that came from there.
    package mutating func add(_ item: Item, wasDeferred: Bool) -> Bool {
        if isIdle { movedAt = item.since }
        if !wasDeferred {
            guard share < Self.maxWaiting, shareBytes == 0 || shareBytes + Int(item.bytes) <= Self.maxWaitingBytes
            else { return false }
        }
        put(item)
        return true
    }

    private mutating func put(_ item: Item) {
        if item.kind != .deferred { shareBytes += Int(item.bytes) }
        switch item.kind {
        case .test: tests.append(item)
        case .retry: retries.append(item)
        case .fresh: fresh.append(item)
        case .deferred: deferred.append(item)
        }
    }

    /// What is to be done next. The caller does it and asks again until it is told to wait.
    package mutating func next(now: UInt64) -> Step {
        if now < heldUntil { return waiting > 0 ? .wait(until: heldUntil) : .nothing }
        if testsInFlight < Self.maxTestsInFlight, let item = tests.popFirst() {
            testsInFlight += 1
            return .start(left(item))
        }
        if circuit.isOpen { return nextWhileOpen(now) }
        guard waiting > tests.count else { return .nothing }
        if inFlight < concurrency {
            let token = bucket.nextToken(now: now)
            if token <= now, let item = popNext() {
                bucket.take(now: now)
                inFlight += 1
                return .start(item)
            }
            if let stale = popStale(now) { return .defer(stale) }
            return .wait(until: min(token, staleAt ?? token))
        }
        return nextStale(now: now)
    }

    /// As ``next(now:)`` while nothing can be started: only what has waited too long leaves.
    package mutating func nextStale(now: UInt64) -> Step {
        if let stale = popStale(now) { return .defer(stale) }
        return staleAt.map { .wait(until: $0) } ?? .nothing
    }

    /// One probe, the record with the most attempts; among equals the one that came first. The rest is parked.
    private mutating func nextWhileOpen(_ now: UInt64) -> Step {
        while let item = retries.popFirst() ?? fresh.popFirst() ?? deferred.popFirst() {
            guard let best = candidate else {
                candidate = item
                continue
            }
            guard item.attempts > best.attempts else { return .park(left(item)) }
            candidate = item
            return .park(left(best))
        }
        guard let item = candidate, probe == nil else { return .nothing }
        let at = max(circuit.nextProbeAt, bucket.nextToken(now: now))
        guard at <= now else { return .wait(until: at) }
        candidate = nil
        probe = item.slot
        inFlight += 1
        bucket.take(now: now)
        circuit.probeStarted(now: now)
        return .start(left(item))
    }

    /// Retries first; then new events and deferred ones in turn, so that neither starves the other.
    private mutating func popNext() -> Item? {
        if let item = candidate {
            candidate = nil
            return left(item)
        }
        if let item = retries.popFirst() { return left(item) }
        deferredIsNext.toggle()
        return (deferredIsNext ? deferred.popFirst() ?? fresh.popFirst() : fresh.popFirst() ?? deferred.popFirst())
            .map { left($0) }
    }

    /// Of the two queues whose records may be deferred, each in order of arrival.
    private var staleAt: UInt64? {
        let oldest = min(retries.first?.since ?? .max, fresh.first?.since ?? .max)
        return oldest == .max ? nil : oldest + Self.patienceNanoseconds
    }

    private mutating func popStale(_ now: UInt64) -> Item? {
        if let first = retries.first, first.since + Self.patienceNanoseconds <= now {
            return retries.popFirst().map { left($0) }
        }
        if let first = fresh.first, first.since + Self.patienceNanoseconds <= now {
            return fresh.popFirst().map { left($0) }
        }
        return nil
    }

    /// Keeps the share's bytes right for an item that leaves its queue.
    private mutating func left(_ item: Item) -> Item {
        if item.kind != .deferred { shareBytes -= Int(item.bytes) }
        return item
    }

    /// A start became no attempt, because we had no means to make it: the record waits again, and the lane a moment with
    /// it. The token stays spent.
    package mutating func cancelled(_ item: Item, now: UInt64) {
        countDown(item.slot, item.kind)
        put(item)
        heldUntil = now + Self.holdNanoseconds
    }

    /// An attempt that ``next(now:)`` started has ended.
    /// - Parameter took: nanoseconds from its start to its end.
    package mutating func finished(slot: Int32, kind: Item.Kind, _ ending: Ending, took: UInt64 = 0, now: UInt64) {
        countDown(slot, kind)
        guard kind != .test else { return }
        movedAt = ending == .success && took <= Self.quickNanoseconds ? now : 0
        switch ending {
        case .success:
            concurrency = min(concurrency + 1, Self.maxConcurrency)
            circuit.succeeded()
        case .overload:
            concurrency = max(concurrency / 2, 1)
            circuit.failed(now: now)
        case .failure: circuit.failed(now: now)
        case .void: break
        }
    }

    private mutating func countDown(_ slot: Int32, _ kind: Item.Kind) {
        if kind == .test {
            testsInFlight -= 1
            return
        }
        inFlight -= 1
        if probe == slot { probe = nil }
    }

    /// The webhook was switched on again: what was known of its endpoint is void, and the first delivery goes alone.
    package mutating func activated() {
        circuit = Circuit()
        concurrency = 1
    }

    // MARK: Taking out

    /// Takes the next waiting record out without starting it; nil when nothing waits.
    package mutating func takeOut() -> Item? {
        if let item = candidate {
            candidate = nil
            return left(item)
        }
        return (tests.popFirst() ?? retries.popFirst() ?? fresh.popFirst() ?? deferred.popFirst()).map { left($0) }
    }

    /// Takes out one record that came from `deferred`, for the tail of that topic.
    /// - Parameter oldest: rather the oldest, so that the partition's watermark can move, than the newest.
    package mutating func takeDeferred(oldest: Bool) -> Item? { oldest ? deferred.popFirst() : deferred.popLast() }
}

extension Lane.Ending {
    package init(_ outcome: Outcome) {
        switch outcome.ending {
        case .success: self = .success
        // Our own refusals: nothing was asked of the receiver.
        case _ where !outcome.countsForCircuit: self = .void
        case .overload: self = .overload
        case .failure: self = .failure
        }
    }
}
