// The loop of one engine thread: events of sockets, batches of requests, timers, DNS, and once a turn the results.
// It owns everything it touches; other threads reach it through the shard's inbox only.
internal import CLinux
internal import Core
internal import Glibc
internal import Runtime

final class EngineThread {
    private static let bufferBytes = 64 * 1024

    let configuration: HTTPEngineConfiguration
    private let shard: EngineShard
    private let owner = pthread_self()

    let poller = Poller()
    let tls: TLSContext
    let resolver: Resolver
    /// One read buffer for all connections: nothing stays in it between two reads.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferBytes, alignment: 16)
    /// `Content-Length` and the empty line of the request that is being written.
    var lengthLine: [UInt8] = []
    var lengthOfLine = -1
    static let lengthName = Array("Content-Length: ".utf8)
    static let lineEnds: [UInt8] = [0x0d, 0x0a, 0x0d, 0x0a]

    var policy: AddressPolicy
    var pool: ConnectionPool
    var wheel: TimerWheel
    var cache = DNSCache()
    var connections: [Connection?] = []
    var generation: UInt32 = 0
    var attempts: [Attempt] = []
    var freeAttempts: [Int] = []
    var waitingForName: [String: [Int]] = [:]
    /// Waiting attempts whose turn came; opened by the loop, so that a chain of failures is no recursion.
    var opens: [ConnectionPool.Next] = []
    var results: [HTTPResult] = []
    var counters = HTTPEngineCounters()

    /// Time of this turn; read once, for a turn takes microseconds.
    var now = Clock.monotonic()
    var wall = Clock.wallMilliseconds()
    private var due: [Int] = []
    private var mail = EngineMail()
    private var isStopping = false

    init(_ shard: EngineShard, _ configuration: HTTPEngineConfiguration, limits: ConnectionPool.Limits, tls: TLSContext)
    {
        self.shard = shard
        self.configuration = configuration
        self.tls = tls
        policy = configuration.policy
        pool = ConnectionPool(limits: limits)
        wheel = TimerWheel(now: now)
        // The settings were tried when the engine was made; what is left is want of memory.
        guard let resolver = try? Resolver.make(nameservers: configuration.nameservers) else {
            preconditionFailure("c-ares refused settings it had accepted")
        }
        self.resolver = resolver
        resolver.watch = { [unowned self] descriptor, readable, writable, isNew in
            let tag = PollTag.resolver(descriptor: descriptor)
            if !readable && !writable {
                poller.remove(descriptor)
            } else if isNew {
                poller.add(descriptor, readable: readable, writable: writable, tag)
            } else {
                poller.change(descriptor, readable: readable, writable: writable, tag)
            }
        }
    }

    deinit {
        resolver.watch = nil
        buffer.deallocate()
    }

    func assertOwned() { assert(pthread_equal(owner, pthread_self()) != 0, "engine state touched by another thread") }

    // MARK: The loop

    func run() {
        // OpenSSL writes without MSG_NOSIGNAL; blocking the signal here leaves the rest of the process alone.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        // An edge per signal: the eventfd never has to be read.
        _ = poller.addEdge(shard.wake.descriptor, .wake)

        while !isStopping { turn() }

        cancelAll()
        for connection in connections { if let connection { drop(connection) } }
        opens = []
        resolver.cancel()
        _ = resolver.takeAnswers(now: now)
        for request in shard.close().requests { refuse(request) }
        flush()
    }

    private func turn() {
        let count = poller.wait(milliseconds: waitMilliseconds())
        now = Clock.monotonic()
        wall = Clock.wallMilliseconds()
        var isWoken = false
        for position in 0..<count {
            let (tag, flags) = poller.event(position)
            switch tag {
            case .wake: isWoken = true
            case .connection(let slot, let generation):
                // Closed earlier in this turn, perhaps with a successor in its slot.
                guard let connection = connections[slot], connection.generation == generation else { continue }
                happened(connection, flags)
            case .resolver(let descriptor):
                resolver.process(descriptor, readable: flags.isReadable || flags.hasEnded, writable: flags.isWritable)
            }
        }
        if isWoken { takeMail() }
        wheel.expire(now: now, into: &due)
        for index in due { timedOut(attempts[index]) }
        due.removeAll(keepingCapacity: true)
        if resolver.pending > 0 { resolver.tick() }
        for answer in resolver.takeAnswers(now: now) { resolved(answer) }
        performOpens()
        while let slot = pool.takeExpired(now: now) { closeForgotten(slot) }
        flush()
    }

    private func waitMilliseconds() -> Int32 {
        var next = UInt64.max
        if let look = wheel.nextLook() { next = look }
        if let expiry = pool.nextExpiry { next = min(next, expiry) }
        if let look = resolver.nextLook(now: now) { next = min(next, look) }
        guard next != .max else { return -1 }
        let current = Clock.monotonic()
        return next <= current ? 0 : Int32(clamping: (next - current + 999_999) / 1_000_000)
    }

    private func takeMail() {
        shard.take(into: &mail)
        var started = 0
        for (order, after) in mail.orders {
            for position in started..<after { start(mail.requests[position]) }
            started = after
            switch order {
            case .policy(let policy): adopt(policy)
            case .cancelAll: cancelAll()
            case .stop: isStopping = true
            }
        }
        for position in started..<mail.requests.count { start(mail.requests[position]) }
        // The attempts hold what they need; a second hold on head and body would outlive them.
        mail.removeAll()
    }

    /// Hands out the turn's results as one batch.
    private func flush() {
        counters.connectionsOpen = pool.open
        counters.connectionsIdle = pool.idle
        shard.publish(counters)
        guard !results.isEmpty else { return }
        shard.onResults(results)
        results.removeAll(keepingCapacity: true)
    }

    private func adopt(_ policy: AddressPolicy) {
        guard policy != self.policy else { return }
        self.policy = policy
        for case .some(let connection) in connections {
            guard connections[connection.slot] === connection,
                case .denied = policy.judge(connection.key.address, port: connection.key.port)
            else { continue }
            switch connection.phase {
            case .idle: drop(connection)
            case .connecting, .handshaking:
                counters.addressesDenied += 1
                fail(connection, .addressDenied)
            case .exchanging: connection.mayNotBeReused = true
            }
        }
    }
}
