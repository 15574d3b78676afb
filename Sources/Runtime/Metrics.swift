// Counters for the ops listener, in Prometheus' text format. A series is made once, where it is counted, and adding to it
// costs one atomic.
internal import Synchronization

package final class Counter: Sendable {
    private let value = Atomic<Int>(0)
    fileprivate init() {}

    package func add(_ amount: Int = 1) { value.add(amount, ordering: .relaxed) }
    fileprivate var current: Int { value.load(ordering: .relaxed) }
}

package enum Metrics {
    private struct Family: Sendable {
        let help: String
        var series: [String: Counter] = [:]
    }
    private static let families = Mutex<[String: Family]>([:])

    /// The counter of a name and its labels; the same one for the same words.
    /// - Parameters:
    ///   - name: without the prefix `webhook_bridge_`; counters end in `_total`.
    ///   - labels: label names and values; values are few and never from records.
    package static func counter(
        _ name: String, _ help: String, _ labels: KeyValuePairs<String, String> = [:]
    ) -> Counter {
        let text = labels.map { "\($0.key)=\"\($0.value)\"" }.joined(separator: ",")
        return families.withLock { families in
            if let counter = families[name]?.series[text] { return counter }
            let counter = Counter()
            families[name, default: Family(help: help)].series[text] = counter
            return counter
        }
    }

    package static var text: String {
        let families = families.withLock { $0 }
        var lines: [String] = []
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            lines.append("# HELP webhook_bridge_\(name) \(family.help)")
            lines.append("# TYPE webhook_bridge_\(name) counter")
            for (labels, counter) in family.series.sorted(by: { $0.key < $1.key }) {
                lines.append("webhook_bridge_\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(counter.current)")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
