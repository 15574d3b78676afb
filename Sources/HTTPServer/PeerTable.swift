// Who is connected and since when he is expected to do what. libmicrohttpd only knows an idle time-out, which a byte a
// second defeats; here each phase of a connection has a deadline of its own, and a thread that ends those that miss it.
internal import CLinux
internal import Glibc
internal import Runtime
internal import Synchronization

/// One connection.
final class Peer: Sendable {
    enum Phase {
        /// No request line yet.
        case idle
        case head
        case body
        /// With the handler; its time is its own affair.
        case handling
        case response
    }

    let descriptor: Int32
    let address: String
    private let state: Guarded<(phase: Phase, since: UInt64)>

    init(descriptor: Int32, address: String) {
        self.descriptor = descriptor
        self.address = address
        // A new connection owes a whole head, an old one may rest.
        state = Guarded((.head, Clock.monotonic()))
    }

    func enter(_ phase: Phase) { state.withLock { $0 = (phase, Clock.monotonic()) } }

    func isLate(now: UInt64, limits: HTTPServerLimits) -> Bool {
        let (phase, since) = state.withLock { $0 }
        let seconds: Double
        switch phase {
        case .idle: seconds = limits.idleSeconds
        case .head: seconds = limits.headSeconds
        case .body: seconds = limits.bodySeconds
        case .response: seconds = limits.responseSeconds
        case .handling: return false
        }
        return now > since && Double(now - since) > seconds * 1e9
    }
}

/// All connections of a server.
final class PeerTable: Sendable {
    private let peers = Guarded<[Int32: Peer]>([:])
    private let limits: HTTPServerLimits
    private let stop = EventFD()
    private let stopping = Atomic(false)

    init(limits: HTTPServerLimits) { self.limits = limits }

    var count: Int { peers.withLock { $0.count } }

    func add(_ peer: Peer) { peers.withLock { $0[peer.descriptor] = peer } }

    /// Before the descriptor is closed, so that ``endLate()`` never meets a descriptor that means something else.
    func remove(_ peer: Peer) {
        peers.withLock { peers in
            if peers[peer.descriptor] === peer { peers[peer.descriptor] = nil }
        }
    }

    /// Looks four times a second until ``stopWatching()``; the body of a thread.
    func watch() {
        while !stopping.load(ordering: .acquiring) {
            stop.wait(milliseconds: 250)
            endLate()
        }
    }

    func stopWatching() {
        stopping.store(true, ordering: .releasing)
        stop.signal()
    }

    private func endLate() {
        let now = Clock.monotonic()
        peers.withLock { peers in
            for peer in peers.values where peer.isLate(now: now, limits: limits) {
                // The library sees the end of the stream and closes; closing here would pull the descriptor from under it.
                shutdown(peer.descriptor, Int32(SHUT_RDWR))
            }
        }
    }
}
