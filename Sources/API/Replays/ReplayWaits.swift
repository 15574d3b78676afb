// Who asked for a preview is answered with its counts where they come soon, and with where to look where they do not.
package import Core
internal import Runtime

/// Calls that wait for a replay's end. Any thread.
package final class ReplayWaits: Sendable {
    private struct Wait: Sendable {
        /// Requests repeated with one idempotency key wait for the same replay.
        let number: Int
        let webhook: WebhookID
        /// As it was at its start.
        let replay: Replay
        let deadline: UInt64
        let answer: @Sendable (Replay) -> Void
    }

    private struct State {
        var waits: [Wait] = []
        var count = 0
        var isReleased = false
    }

    private let state = Guarded(State())
    private let wake: @Sendable () -> Void

    private static let mostWaits = 64
    private static let patienceNanoseconds: UInt64 = 3_000_000_000
    private static let lookNanoseconds: UInt64 = 50_000_000

    /// - Parameter wake: has ``check(now:view:)`` called soon.
    package init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    /// Answers at once where too many wait.
    func add(_ replay: Replay, of webhook: WebhookID, answer: @escaping @Sendable (Replay) -> Void) {
        let isTaken = state.withLock { state in
            guard !state.isReleased, state.waits.count < Self.mostWaits else { return false }
            state.count += 1
            state.waits.append(
                Wait(
                    number: state.count, webhook: webhook, replay: replay,
                    deadline: Clock.monotonic() + Self.patienceNanoseconds,
                    answer: answer))
            return true
        }
        if isTaken { wake() } else { answer(replay) }
    }

    /// Answers those whose replay has ended, and those who have waited long enough.
    /// - Returns: when it wants to be called again, monotonic nanoseconds; nil while nobody waits.
    package func check(now: UInt64, _ find: (WebhookID) -> Webhook?) -> UInt64? {
        let waits = state.withLock { $0.waits }
        guard !waits.isEmpty else { return nil }
        var done: Set<Int> = []
        for wait in waits {
            let replay = find(wait.webhook)?.replay(wait.replay.id)
            guard replay?.isRunning != true || now >= wait.deadline else { continue }
            done.insert(wait.number)
            wait.answer(replay ?? wait.replay)
        }
        return state.withLock { state in
            state.waits.removeAll { done.contains($0.number) }
            return state.waits.isEmpty ? nil : now + Self.lookNanoseconds
        }
    }

    /// Nobody waits from now on, so that the server can come to its end.
    package func release() {
        let waits = state.withLock { state in
            state.isReleased = true
            defer { state.waits = [] }
            return state.waits
        }
        for wait in waits { wait.answer(wait.replay) }
    }
}
