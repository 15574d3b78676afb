// The metrics of a process, for the ops listener. A series is made once, where it is counted; what another thread owns is
// told by a collector, which reads what its owner published. `MetricsPage` writes it all down.
//
// Every family is described in config/metrics.md; a test compares the two.

/// Something that is asked for its values when metrics are read. It goes with this token, or when it is cancelled.
package final class MetricsCollection: Sendable {
    private let registry: MetricsRegistry
    private let number: Int

    fileprivate init(_ registry: MetricsRegistry, _ number: Int) {
        self.registry = registry
        self.number = number
    }

    deinit { cancel() }

    /// From now on it is not asked any more; a page that is being written may still ask once.
    package func cancel() { registry.forget(number) }
}

package final class MetricsRegistry: Sendable {
    private enum Series: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
    }

    private struct Key: Hashable {
        let name: String
        let labels: String
    }

    private struct State {
        var series: [Key: (help: String, series: Series)] = [:]
        var collectors: [Int: @Sendable (inout MetricsPage) -> Void] = [:]
        var collected = 0
    }
    private let state = Guarded(State())

    package init() {}

    /// The counter of a name and its labels; the same one for the same words.
    /// - Parameters:
    ///   - name: without the prefix `webhook_bridge_`; counters end in `_total`.
    ///   - labels: label names and values; values are few and never from records.
    package func counter(_ name: String, _ help: String, _ labels: MetricLabels = [:]) -> Counter {
        let series = find(name, help, labels) { .counter(Counter()) }
        guard case .counter(let counter) = series else { preconditionFailure("\(name) is no counter") }
        return counter
    }

    package func gauge(_ name: String, _ help: String, _ labels: MetricLabels = [:]) -> Gauge {
        let series = find(name, help, labels) { .gauge(Gauge()) }
        guard case .gauge(let gauge) = series else { preconditionFailure("\(name) is no gauge") }
        return gauge
    }

    /// - Parameter bounds: microseconds, ascending; the name says seconds, for seconds is what is exposed.
    package func histogram(
        _ name: String, _ help: String, microseconds bounds: [Int], _ labels: MetricLabels = [:]
    ) -> Histogram {
        let series = find(name, help, labels) { .histogram(Histogram(microseconds: bounds)) }
        guard case .histogram(let histogram) = series else { preconditionFailure("\(name) is no histogram") }
        return histogram
    }

    private func find(
        _ name: String, _ help: String, _ labels: MetricLabels, make: () -> Series
    ) -> Series {
        let key = Key(name: name, labels: MetricsPage.text(of: labels))
        return state.withLock { state in
            if let known = state.series[key] { return known.series }
            let series = make()
            state.series[key] = (help, series)
            return series
        }
    }

    /// Adds what is asked for its values at every page.
    /// - Parameter collect: called on the listener's thread; must not block, and reads nothing that another thread owns.
    package func collect(_ collect: @escaping @Sendable (inout MetricsPage) -> Void) -> MetricsCollection {
        let number = state.withLock { state in
            state.collected += 1
            state.collectors[state.collected] = collect
            return state.collected
        }
        return MetricsCollection(self, number)
    }

    fileprivate func forget(_ number: Int) { state.withLock { $0.collectors[number] = nil } }

    /// All of it in Prometheus' text format, version 0.0.4.
    package var text: String {
        var page = MetricsPage()
        let collectors = state.withLock { state in
            for (key, (help, series)) in state.series {
                switch series {
                case .counter(let counter):
                    page.add(key.name, help, .counter, labels: key.labels, Double(counter.current))
                case .gauge(let gauge): page.add(key.name, help, .gauge, labels: key.labels, Double(gauge.current))
                case .histogram(let histogram): page.add(key.name, help, labels: key.labels, histogram)
                }
            }
            return Array(state.collectors.values)
        }
        for collect in collectors { collect(&page) }
        return page.text
    }
}

/// The metrics of this process.
package enum Metrics {
    private static let registry = MetricsRegistry()

    package static func counter(_ name: String, _ help: String, _ labels: MetricLabels = [:]) -> Counter {
        registry.counter(name, help, labels)
    }

    package static func gauge(_ name: String, _ help: String, _ labels: MetricLabels = [:]) -> Gauge {
        registry.gauge(name, help, labels)
    }

    package static func histogram(
        _ name: String, _ help: String, microseconds bounds: [Int], _ labels: MetricLabels = [:]
    ) -> Histogram {
        registry.histogram(name, help, microseconds: bounds, labels)
    }

    package static func collect(_ collect: @escaping @Sendable (inout MetricsPage) -> Void) -> MetricsCollection {
        registry.collect(collect)
    }

    package static var text: String { registry.text }
}
