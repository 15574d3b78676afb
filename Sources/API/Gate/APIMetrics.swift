// What the API counts: requests by route, how long they took, and whom it turned away. No label names an account or a key.
internal import HTTPServer
internal import Runtime

struct APIMetrics: Sendable {
    private let requests: [Operation.Name: [Counter]]
    private let unmatched: [Counter]
    private let durations: [Operation.Method: Histogram]
    private let authenticationFailures = Metrics.counter(
        "api_authentication_failures_total", "API requests without a valid key.")
    private let limitedRequests = Self.limited("requests")
    private let limitedFailures = Self.limited("authentication")

    init() {
        requests = Dictionary(
            uniqueKeysWithValues: Operations.all.map {
                ($0.name, Self.counters(route: $0.template, method: $0.method.rawValue))
            })
        unmatched = Self.counters(route: "none", method: "any")
        durations = Dictionary(
            uniqueKeysWithValues: Operation.Method.allCases.map { method in
                let histogram = Metrics.histogram(
                    "api_request_duration_seconds",
                    "Time from a complete API request to its answer, by method.",
                    microseconds: [
                        100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
                    ], ["method": method.rawValue])
                return (method, histogram)
            })
    }

    private static let classes = ["2xx", "4xx", "5xx"]

    private static func counters(route: String, method: String) -> [Counter] {
        classes.map {
            Metrics.counter(
                "api_requests_total", "API requests answered, by route, method and class of status.",
                ["route": route, "method": method, "status": $0])
        }
    }

    private static func limited(_ limit: String) -> Counter {
        Metrics.counter("api_limited_total", "API requests answered 429 by a limit of the API.", ["limit": limit])
    }

    private static func index(_ status: Int) -> Int { status < 400 ? 0 : status < 500 ? 1 : 2 }

    func answered(_ operation: Operation, status: Int, nanoseconds: UInt64) {
        requests[operation.name]?[Self.index(status)].add()
        durations[operation.method]?.observe(microseconds: Int(nanoseconds / 1000))
    }

    /// No route, a method it does not have, or a request the server refused before it had a route.
    func answeredWithoutRoute(status: Int) { unmatched[Self.index(status)].add() }

    func failedToAuthenticate(isLimited: Bool) {
        authenticationFailures.add()
        if isLimited { limitedFailures.add() }
    }

    func exceededLimit() { limitedRequests.add() }

    /// - Parameter connections: how many are open now.
    func collect(connections: @escaping @Sendable () -> Int) -> MetricsCollection {
        Metrics.collect { $0.gauge("api_connections", "Connections to the API that are open.", connections()) }
    }
}
