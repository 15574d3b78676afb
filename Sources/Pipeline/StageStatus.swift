// What a stage's loop says of itself to other threads: readiness, metrics, the watchdog.
internal import Runtime

/// How a stage's loop is doing, for readiness and metrics. Any thread.
package final class StageStatus: Sendable {
    package let role: String
    private let flags = Guarded((assigned: false, lastTurn: UInt64(0), partitions: 0, records: 0, hasEnded: false))
    private let figures = Guarded(StageFigures())
    private let said = Guarded<[String]>([])
    private let metrics: MetricsCollection
    private let lost: Counter

    package init(role: String) {
        self.role = role
        lost = Metrics.counter(
            "records_lost_total", "Records deleted from a topic before this role had read them.", ["role": role])
        metrics = StageFigures.collect(figures, role: role)
    }

    /// Whether the group has answered at least once; an empty assignment counts.
    package var hasAssignment: Bool { flags.withLock { $0.assigned } }
    /// When the loop last turned, monotonic nanoseconds; nil before its first turn and after its end.
    package var lastTurn: UInt64? {
        flags.withLock { $0.lastTurn == 0 || $0.hasEnded ? nil : $0.lastTurn }
    }
    package var partitions: Int { flags.withLock { $0.partitions } }
    package var records: Int { flags.withLock { $0.records } }

    /// What keeps the stage from a part of its work; empty when nothing does.
    package var complaints: [String] { said.withLock { $0 } }

    func complain(_ complaints: [String]) { said.withLock { $0 = complaints } }

    func assigned(_ partitions: Int) {
        flags.withLock {
            $0.assigned = true
            $0.partitions = partitions
        }
    }

    func lost(_ records: Int64) { lost.add(Int(records)) }

    func turned(at now: UInt64, records: Int) {
        flags.withLock {
            $0.lastTurn = now
            $0.records += records
        }
    }

    func publish(_ current: StageFigures) { figures.withLock { $0 = current } }

    func ended() {
        flags.withLock { $0.hasEnded = true }
        metrics.cancel()
    }
}
