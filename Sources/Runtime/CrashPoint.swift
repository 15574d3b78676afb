// Where a test kills the process, as SIGKILL would: `BRIDGE_CRASH_AT=name:n` at the n-th time the point is reached. Only in
// debug builds; in a release build the calls are nothing.
#if DEBUG
    internal import Glibc
    internal import Synchronization
#endif

package enum CrashPoint: String, CaseIterable, Sendable {
    /// A receiver has answered 2xx; nothing of it is written.
    case afterResponse = "after-response"
    /// The broker has everything a delivery caused, its retry among it; the offset is not stored.
    case afterRetry = "after-retry"
    /// A webhook's disabling: the broker has notice and email; the state is not written.
    case disableAnnounced = "disable-announced"
    /// The broker has the state of commands; they are not answered.
    case stateWritten = "state-written"
    /// A deferred record was moved to the tail of its partition; its offset is not stored.
    case whileRotating = "while-rotating"

    #if DEBUG
        private static let armed: (name: String, count: Int)? = {
            guard let value = getenv("BRIDGE_CRASH_AT").map({ String(cString: $0) }),
                let colon = value.lastIndex(of: ":"), let count = Int(value[value.index(after: colon)...]), count > 0
            else { return nil }
            return (String(value[..<colon]), count)
        }()
        private static let reached = Atomic<Int>(0)
    #endif

    /// Dies here, if this is the point and the time.
    @inlinable package func pass() {
        #if DEBUG
            die()
        #endif
    }

    #if DEBUG
        @usableFromInline func die() {
            guard let armed = Self.armed, armed.name == rawValue else { return }
            if Self.reached.wrappingAdd(1, ordering: .relaxed).newValue == armed.count { kill(getpid(), SIGKILL) }
        }
    #endif
}
