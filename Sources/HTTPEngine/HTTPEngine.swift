// The HTTP engine: POSTs to subscribers' endpoints, many at a time, from one thread or a few. This file is the handle
// that other threads hold; the work is in `EngineThread`.
package import Core
internal import Runtime

/// What other threads tell an engine thread beside requests.
enum EngineOrder: Sendable {
    case policy(AddressPolicy)
    case cancelAll
    case stop
}

/// Everything told since the thread looked last. Its arrays change hands and keep their room: nothing is allocated while
/// the load stays the same.
struct EngineMail: Sendable {
    var requests: [HTTPRequest] = []
    /// Each with the number of requests that came before it.
    var orders: [(order: EngineOrder, after: Int)] = []

    var isEmpty: Bool { requests.isEmpty && orders.isEmpty }

    mutating func removeAll() {
        requests.removeAll(keepingCapacity: true)
        orders.removeAll(keepingCapacity: true)
    }
}

/// The part of one engine thread that others may touch.
final class EngineShard: Sendable {
    let wake = EventFD()
    let onResults: @Sendable ([HTTPResult]) -> Void
    private let pending = Guarded((mail: EngineMail(), isClosed: false))
    private let counters = Guarded(HTTPEngineCounters())

    init(onResults: @escaping @Sendable ([HTTPResult]) -> Void) { self.onResults = onResults }

    func put(_ batch: [HTTPRequest]) {
        if !put({ $0.requests.append(contentsOf: batch) }) { onResults(batch.map(Self.refusal)) }
    }

    func put(_ order: EngineOrder) { _ = put { $0.orders.append((order, $0.requests.count)) } }

    /// False when the thread has looked for the last time.
    private func put(_ add: (inout EngineMail) -> Void) -> Bool {
        let (isTaken, wasEmpty) = pending.withLock { pending in
            let wasEmpty = pending.mail.isEmpty
            if !pending.isClosed { add(&pending.mail) }
            return (!pending.isClosed, wasEmpty)
        }
        if isTaken, wasEmpty { wake.signal() }
        return isTaken
    }

    /// Takes everything; the emptied `spare` takes its place.
    func take(into spare: inout EngineMail) {
        spare.removeAll()
        pending.withLock { swap(&$0.mail, &spare) }
    }

    /// No message comes any more; what came unread.
    func close() -> EngineMail {
        pending.withLock { pending in
            pending.isClosed = true
            defer { pending.mail = EngineMail() }
            return pending.mail
        }
    }

    static func refusal(_ request: HTTPRequest) -> HTTPResult {
        HTTPResult(
            token: request.token, outcome: .failed(.connectionClosed), cancellation: .beforeSending,
            startedAtWall: Clock.wallMilliseconds(), durationMicroseconds: 0, retryAfterSeconds: nil, responseHead: [],
            bodyPrefix: [], reusedConnection: false)
    }

    func publish(_ current: HTTPEngineCounters) { counters.withLock { $0 = current } }
    var snapshot: HTTPEngineCounters { counters.withLock { $0 } }
}

package final class HTTPEngine: Sendable {
    private let shards: [EngineShard]
    private let threads: Guarded<[OwnedThread]>

    /// Starts the engine's threads.
    /// - Parameters:
    ///   - threads: each has its own connections, DNS cache and share of `maximumConnections`.
    ///   - onResults: called on an engine thread with all results of one turn of its loop. It must not block, and must not
    ///     own the engine.
    package init(
        configuration: HTTPEngineConfiguration, threads count: Int = 1,
        onResults: @escaping @Sendable ([HTTPResult]) -> Void
    ) throws(HTTPEngineFault) {
        precondition(count >= 1, "an engine needs a thread")
        try Resolver.check(nameservers: configuration.nameservers)
        for source in configuration.sourceAddresses where !Socket.canBind(source) { throw .sourceAddress(source) }
        var limits = ConnectionPool.Limits()
        limits.total = max(1, configuration.maximumConnections / count)
        limits.perKey = max(1, configuration.maximumConnectionsPerHost)
        limits.idleNanoseconds = UInt64(max(0, configuration.idleSeconds)) * 1_000_000_000
        limits.ageNanoseconds = UInt64(max(0, configuration.connectionAgeSeconds)) * 1_000_000_000
        var contexts: [TLSContext] = []
        for _ in 0..<count { contexts.append(try TLSContext(authoritiesFile: configuration.authoritiesFile)) }

        let shards = contexts.map { _ in EngineShard(onResults: onResults) }
        self.shards = shards
        threads = Guarded(
            zip(shards, contexts).enumerated().map { number, pair in
                OwnedThread(name: "http-engine-\(number)") { [limits] in
                    EngineThread(pair.0, configuration, limits: limits, tls: pair.1).run()
                }
            })
    }

    deinit { stop() }

    /// Hands over requests; any thread. Each gets exactly one result, also when the engine is stopped.
    package func submit(_ batch: [HTTPRequest]) {
        guard !batch.isEmpty else { return }
        guard shards.count > 1 else { return shards[0].put(batch) }
        var parts = [[HTTPRequest]](repeating: [], count: shards.count)
        for request in batch {
            parts[Int(UInt(bitPattern: request.affinity) % UInt(shards.count))].append(request)
        }
        for (shard, part) in zip(shards, parts) where !part.isEmpty { shard.put(part) }
    }

    /// From now on this policy judges; idle connections to what it denies are closed, busy ones not used again.
    package func update(policy: AddressPolicy) {
        for shard in shards { shard.put(.policy(policy)) }
    }

    /// Ends every request submitted so far; those without an answer come back with their `cancellation`.
    package func cancelAll() {
        for shard in shards { shard.put(.cancelAll) }
    }

    /// Ends every request as `cancelAll` does, closes all connections and waits for the threads. Not from `onResults`.
    package func stop() {
        for shard in shards { shard.put(.stop) }
        let running = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for thread in running { thread.join() }
    }

    package var counters: HTTPEngineCounters {
        shards.map(\.snapshot).reduce(into: HTTPEngineCounters()) { $0.add($1) }
    }
}
