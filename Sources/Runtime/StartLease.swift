// Until when something may be begun that the world outside sees. The thread that knows renews it, the thread that acts asks
// right before it acts: what was handed over before the process stood still (SIGSTOP, a frozen machine) is not begun by it
// after others may have taken the work over.
internal import Synchronization

/// Any thread.
package final class StartLease: Sendable {
    private let end: Atomic<UInt64>

    /// - Parameter end: monotonic nanoseconds; 0 grants nothing yet.
    package init(until end: UInt64 = 0) { self.end = Atomic(end) }

    /// - Parameter end: monotonic nanoseconds, which go on while a process is stopped.
    package func renew(until end: UInt64) { self.end.store(end, ordering: .releasing) }

    /// Nothing more is begun on it.
    package func revoke() { end.store(0, ordering: .releasing) }

    package func isOver(at now: UInt64) -> Bool { now > end.load(ordering: .acquiring) }
}
