// How much is parked in each tier, published now and then by the retry stage's thread and read by the metrics.
internal import Core
internal import Runtime

/// How the tiers stand at one moment, by their index.
struct RetryFigures: Sendable {
    /// Records that are not back on `deliveries` yet.
    var parked = [Int](repeating: 0, count: RetrySchedule.tierCount)
    /// The due time of the head that is due first; nil while nothing waits.
    var oldestDue = [Timestamp?](repeating: nil, count: RetrySchedule.tierCount)

    func write(to page: inout MetricsPage, _ labels: [String]) {
        let dueHelp = "When the first parked delivery of a tier is due, seconds since 1970; no series while none waits."
        page.gauges("retries_oldest_due_timestamp_seconds", dueHelp)
        for (tier, label) in labels.enumerated() {
            page.gauge("retries_parked", "Deliveries that wait for their retry.", parked[tier], ["tier": label])
            guard let due = oldestDue[tier] else { continue }
            page.gauge(
                "retries_oldest_due_timestamp_seconds", dueHelp, Int(due.milliseconds / 1000), ["tier": label])
        }
    }
}

/// Belongs to the stage's thread, but for the figures it publishes.
final class RetryCensus {
    private let published: Guarded<RetryFigures>
    private let metrics: MetricsCollection
    /// When the next one is due, monotonic nanoseconds.
    private(set) var due: UInt64 = 0

    private static let intervalNanoseconds: UInt64 = 200_000_000

    init(_ schedule: RetrySchedule) {
        let published = Guarded(RetryFigures())
        let labels = schedule.tiers.map(\.label)
        self.published = published
        metrics = Metrics.collect { page in published.withLock { $0 }.write(to: &page, labels) }
    }

    deinit { metrics.cancel() }

    func publish(_ figures: RetryFigures, now: UInt64) {
        due = now + Self.intervalNanoseconds
        published.withLock { $0 = figures }
    }
}
