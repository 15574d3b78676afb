// Watches that every stage's loop turns. A wedged loop keeps its membership, since librdkafka heartbeats for it: nobody
// else would notice that its partitions stand still.
internal import Core
internal import Pipeline
internal import Runtime
internal import Synchronization

final class StageWatch: Sendable {
    private let rule: StallRule
    private let stages: @Sendable () -> [StageRunner]
    private let current = Guarded(State())
    private let isStopping = Atomic<Bool>(false)
    private let pause = EventFD()
    private let thread = Guarded<OwnedThread?>(nil)

    private struct State {
        /// Seconds by role.
        var stalled: [String: Int] = [:]
        var isHopeless = false
    }

    /// - Parameters:
    ///   - rule: of a stage that was never looked at.
    ///   - stages: those that run now.
    init(rule: StallRule, stages: @escaping @Sendable () -> [StageRunner]) {
        self.rule = rule
        self.stages = stages
        let started = OwnedThread(name: "stage-watch") { [self] in
            var rules: [String: StallRule] = [:]
            while !isStopping.load(ordering: .acquiring) {
                pause.wait(milliseconds: 1000)
                pause.clear()
                look(&rules)
            }
        }
        thread.withLock { $0 = started }
    }

    /// What is to be told of stages that stand still; empty when all turn.
    var complaints: [String] {
        current.withLock { $0.stalled }.sorted { $0.key < $1.key }.map { "\($0.key) has stood still for \($0.value) s" }
    }

    /// Whether a stage stood still for so long that its partitions are better off with others.
    var isHopeless: Bool { current.withLock { $0.isHopeless } }

    private func look(_ rules: inout [String: StallRule]) {
        let now = Clock.monotonic()
        var stalled: [String: Int] = [:]
        var isHopeless = false
        for stage in stages() {
            let role = stage.status.role
            switch rules[role, default: rule].look(turn: stage.status.lastTurn, now: now) {
            case .turning: break
            case .stalled(let seconds): stalled[role] = seconds
            case .hopeless(let seconds):
                stalled[role] = seconds
                isHopeless = true
            }
        }
        let before = current.withLock { state in
            defer {
                state.stalled = stalled
                state.isHopeless = isHopeless
            }
            return state.stalled
        }
        for (role, seconds) in stalled where before[role] == nil {
            Log.error("stage stands still", .role(role), .milliseconds(seconds * 1000))
        }
        for role in before.keys where stalled[role] == nil { Log.info("stage turns again", .role(role)) }
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        pause.signal()
        thread.withLock { $0.take() }?.join()
    }
}
