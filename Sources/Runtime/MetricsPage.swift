// Prometheus' text format, version 0.0.4: what is known at one moment, by family and series, and its text.

package struct MetricsPage {
    enum Kind: String { case counter, gauge, histogram }

    private struct Family {
        let help: String
        let kind: Kind
        /// By the labels' text.
        var values: [String: Double] = [:]
        var histograms: [String: Histogram] = [:]
    }
    private var families: [String: Family] = [:]

    init() {}

    // MARK: Filling in

    /// Values of one series that come from several owners are added up.
    package mutating func counter(_ name: String, _ help: String, _ value: Int, _ labels: MetricLabels = [:]) {
        add(name, help, .counter, labels: Self.text(of: labels), Double(value))
    }

    package mutating func counter(_ name: String, _ help: String, _ value: Double, _ labels: MetricLabels = [:]) {
        add(name, help, .counter, labels: Self.text(of: labels), value)
    }

    package mutating func gauge(_ name: String, _ help: String, _ value: Int, _ labels: MetricLabels = [:]) {
        add(name, help, .gauge, labels: Self.text(of: labels), Double(value))
    }

    package mutating func gauge(_ name: String, _ help: String, _ value: Double, _ labels: MetricLabels = [:]) {
        add(name, help, .gauge, labels: Self.text(of: labels), value)
    }

    /// A family of which there may be no series now: it is named all the same, so that nobody takes it for a mistake.
    package mutating func gauges(_ name: String, _ help: String) {
        if families[name] == nil { families[name] = Family(help: help, kind: .gauge) }
    }

    mutating func add(_ name: String, _ help: String, _ kind: Kind, labels: String, _ value: Double) {
        families[name, default: Family(help: help, kind: kind)].values[labels, default: 0] += value
    }

    mutating func add(_ name: String, _ help: String, labels: String, _ histogram: Histogram) {
        families[name, default: Family(help: help, kind: .histogram)].histograms[labels] = histogram
    }

    // MARK: Writing down

    /// What every monitoring system expects of a process has no prefix.
    private static func fullName(_ name: String) -> String {
        name.hasPrefix("process_") ? name : "webhook_bridge_" + name
    }

    var text: String {
        var text = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            let name = Self.fullName(name)
            text += "# HELP \(name) \(Self.escaped(family.help, quotes: false))\n"
            text += "# TYPE \(name) \(family.kind.rawValue)\n"
            for (labels, value) in family.values.sorted(by: { $0.key < $1.key }) {
                Self.line(name, labels, Self.number(value), to: &text)
            }
            for (labels, histogram) in family.histograms.sorted(by: { $0.key < $1.key }) {
                Self.lines(of: histogram, name, labels, to: &text)
            }
        }
        return text
    }

    private static func lines(of histogram: Histogram, _ name: String, _ labels: String, to text: inout String) {
        // The count is the last bucket's, not one of its own: the two could not be read at one moment.
        var count = 0
        let counts = histogram.counts
        for (bound, inside) in zip(histogram.bounds, counts) {
            count += inside
            line("\(name)_bucket", joined(labels, "le=\"\(number(Double(bound) / 1e6))\""), "\(count)", to: &text)
        }
        count += counts[histogram.bounds.count]
        line("\(name)_bucket", joined(labels, "le=\"+Inf\""), "\(count)", to: &text)
        line("\(name)_sum", labels, number(Double(histogram.sumMicroseconds) / 1e6), to: &text)
        line("\(name)_count", labels, "\(count)", to: &text)
    }

    private static func line(_ name: String, _ labels: String, _ value: String, to text: inout String) {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    private static func joined(_ labels: String, _ more: String) -> String {
        labels.isEmpty ? more : labels + "," + more
    }

    /// Whole numbers without a fraction; as many digits as it takes otherwise.
    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : "\(value)"
    }

    static func text(of labels: MetricLabels) -> String {
        labels.map { "\($0.key)=\"\(escaped($0.value, quotes: true))\"" }.joined(separator: ",")
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result.append(contentsOf: "\\\\".unicodeScalars)
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\"" where quotes: result.append(contentsOf: "\\\"".unicodeScalars)
            default: result.append(scalar)
            }
        }
        return String(result)
    }
}
