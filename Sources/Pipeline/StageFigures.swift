// What a stage's loop publishes of itself for the metrics. The loop writes it a few times a second; the ops listener reads
// it, so that nobody looks into what the loop's thread owns.
internal import Runtime

/// A loop's figures at one moment.
package struct StageFigures: Sendable {
    package struct Place: Sendable {
        package let topic: String
        package let partition: Int32
        /// Records behind what is stored as done, by the log's end at the last fetch; nil before the first.
        package let lag: Int64?
        package let unfinished: Int
        /// Records that are here and not read yet.
        package let fetched: Int
    }

    package var places: [Place] = []
    package var recordsIn = 0
    package var recordsOut = 0
    package var produceRetries = 0
    package var unacknowledged = 0

    static let interval: UInt64 = 200_000_000

    /// How a reader of the metrics sees them.
    static func collect(_ figures: Guarded<StageFigures>, role: String) -> MetricsCollection {
        Metrics.collect { page in figures.withLock { $0 }.write(to: &page, role) }
    }

    private func write(to page: inout MetricsPage, _ role: String) {
        let lagHelp = "Records of a partition that the role has not stored as done, as of the last fetch."
        page.gauges("consumer_lag_records", lagHelp)
        for place in places {
            guard let lag = place.lag else { continue }
            page.gauge(
                "consumer_lag_records", lagHelp, Int(lag),
                ["role": role, "topic": place.topic, "partition": String(place.partition)])
        }
        page.gauge("assigned_partitions", "Partitions the role reads in this process.", places.count, ["role": role])
        page.gauge(
            "window_records", "Records read and not finished.", places.reduce(0) { $0 + $1.unfinished },
            ["role": role])
        page.gauge(
            "window_records_max", "Records read and not finished, of the partition with the most.",
            places.map(\.unfinished).max() ?? 0, ["role": role])
        page.gauge(
            "fetched_records", "Records fetched and not read yet.", places.reduce(0) { $0 + $1.fetched },
            ["role": role])
        page.counter("records_in_total", "Records read.", recordsIn, ["role": role])
        page.counter("records_out_total", "Records produced.", recordsOut, ["role": role])
        page.counter(
            "produce_retries_total", "Produces that the broker or a full queue refused, each tried again.",
            produceRetries, ["role": role])
        page.gauge(
            "unacknowledged_records", "Records produced that the broker has not acknowledged yet.", unacknowledged,
            ["role": role])
    }
}
