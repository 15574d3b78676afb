// What the delivery stage counts, and the census of its lanes that it publishes now and then. No label names a webhook:
// which one waits, and why, its attempts say.
internal import Core
internal import Pipeline
internal import Runtime

struct DeliverCounters {
    let attempts = AttemptCounters()
    let deferred = Metrics.counter("deferred_total", "Deliveries moved to the deferred topic.")
    let rotated = Metrics.counter(
        "deferred_rotated_total", "Deferred deliveries moved to the tail again for a waiting neighbour.")
    let parked = Metrics.counter("parked_total", "Deliveries sent round through retries without an attempt.")
    let repeated = Metrics.counter(
        "repeats_dropped_total", "Deliveries that came twice after a crash and were settled before, dropped.")
    let dropped = Metrics.counter("dropped_total", "Deliveries of deleted webhooks and cancelled replays, dropped.")
}

/// Attempts by outcome, and how long they took.
struct AttemptCounters {
    /// 2xx to 5xx.
    private let answered = (2...5).map { Self.counter(.answered(status: $0 * 100)) }
    private let failed = Dictionary(
        uniqueKeysWithValues: AttemptFailure.allCases.map { ($0, Self.counter(.failed($0))) })
    private let duration = Metrics.histogram(
        "attempt_duration_seconds",
        "Time from the start of an attempt to the end of the response's headers or to the failure.",
        microseconds: [
            1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
        ])

    private static func counter(_ outcome: Outcome) -> Counter {
        Metrics.counter("attempts_total", "Attempts made.", ["outcome": outcome.metricLabel])
    }

    func count(_ outcome: Outcome, microseconds: Int) {
        switch outcome {
        case .answered(let status): answered[min(max(status / 100 - 2, 0), 3)].add()
        case .failed(let failure): failed[failure]?.add()
        }
        duration.observe(microseconds: microseconds)
    }
}

/// How all lanes stand at one moment.
struct LaneFigures: Sendable {
    /// Lanes by state, in the order of ``LaneState/allCases``.
    var lanes = [Int](repeating: 0, count: LaneState.allCases.count)
    var records = 0
    var mostRecords = 0
    var openCircuits = 0
    var withoutSecret = 0
    var deferred = 0
    var bytes = 0
    var mostBytes = 0

    func write(to page: inout MetricsPage) {
        for (state, count) in zip(LaneState.allCases, lanes) {
            page.gauge("lanes", "Webhooks in hand, by how they are.", count, ["state": state.rawValue])
        }
        page.gauge("lane_records", "Deliveries that wait in lanes.", records)
        page.gauge("lane_records_max", "Deliveries that wait in the fullest lane.", mostRecords)
        page.gauge("open_circuits", "Webhooks whose circuit is open.", openCircuits)
        page.gauge(
            "lanes_without_secret", "Webhooks in hand whose signing secret cannot be opened.", withoutSecret)
        page.gauge("deferred_records", "Deliveries known to be on the deferred topic or in hand from there.", deferred)
        page.gauge("window_bytes", "Bodies in hand.", bytes)
        page.gauge("window_bytes_max", "Bodies in hand, of the partition with the most.", mostBytes)
    }
}

/// Belongs to the stage's thread, but for the figures it publishes.
final class LaneCensus {
    private let published: Guarded<LaneFigures>
    private let metrics: MetricsCollection
    /// When the next one is due, monotonic nanoseconds.
    private(set) var due: UInt64 = 0

    /// A census of many lanes is taken the less often: it never takes more than some thousandths of the thread's time.
    private static let intervalNanoseconds: UInt64 = 200_000_000
    private static let nanosecondsALane: UInt64 = 50_000

    init() {
        let published = Guarded(LaneFigures())
        self.published = published
        metrics = Metrics.collect { page in published.withLock { $0 }.write(to: &page) }
    }

    deinit { metrics.cancel() }

    func publish(_ figures: LaneFigures, lanes: Int, now: UInt64) {
        due = now + max(Self.intervalNanoseconds, UInt64(lanes) * Self.nanosecondsALane)
        published.withLock { $0 = figures }
    }
}

extension DeliverStage {
    func takeCensus(_ now: UInt64, _ loop: StageLoop) {
        var figures = LaneFigures()
        for lane in lanes.values {
            figures.lanes[LaneState.allCases.firstIndex(of: lane.health(now: now))!] += 1
            figures.records += lane.lane.waiting
            figures.mostRecords = max(figures.mostRecords, lane.lane.waiting)
            if lane.lane.circuit.isOpen { figures.openCircuits += 1 }
            figures.deferred += lane.deferredCount
            if lane.lacksSecret {
                refresh(lane, now, loop)
                if lane.lacksSecret { figures.withoutSecret += 1 }
            }
        }
        figures.bytes = slots.bytes
        figures.mostBytes = intakes.map(\.bytes).max() ?? 0
        census.publish(figures, lanes: lanes.count, now: now)
        // A key file that is the wrong one shows in most webhooks. One webhook's trouble makes nobody else's process unready.
        loop.complain(
            figures.withoutSecret * 2 < max(1, lanes.count)
                ? []
                : [
                    "the signing secrets of \(figures.withoutSecret) webhooks cannot be opened: "
                        + "secrets.keyFile lacks the key that sealed them"
                ])
    }
}
