// Metrics of what only the wiring sees: the engine's counters, and the mappings in force.
internal import HTTPEngine
internal import Runtime

extension HTTPEngineCounters {
    func write(to page: inout MetricsPage) {
        page.gauge("attempts_in_flight", "Attempts under way.", inFlight)
        let connectionsHelp = "Connections to endpoints, by what they do."
        let busy = max(0, connectionsOpen - connectionsIdle - connectionsOpening)
        page.gauge("connections", connectionsHelp, connectionsOpening, ["state": "opening"])
        page.gauge("connections", connectionsHelp, busy, ["state": "busy"])
        page.gauge("connections", connectionsHelp, connectionsIdle, ["state": "idle"])
        page.counter("connects_total", "Connections begun.", connects)
        page.counter("connection_reuses_total", "Attempts on a connection that was there.", reuses)
        let handshakesHelp = "TLS handshakes completed, by whether a session was resumed."
        page.counter("tls_handshakes_total", handshakesHelp, tlsResumptions, ["resumed": "yes"])
        page.counter("tls_handshakes_total", handshakesHelp, tlsHandshakes - tlsResumptions, ["resumed": "no"])
        let lookupsHelp = "DNS look-ups, by what came of them."
        page.counter("dns_lookups_total", lookupsHelp, dnsFound, ["result": "found"])
        page.counter("dns_lookups_total", lookupsHelp, dnsNotFound, ["result": "not_found"])
        page.counter("dns_lookups_total", lookupsHelp, dnsFailed, ["result": "failed"])
        page.counter("dns_lookups_total", lookupsHelp, dnsTimeouts, ["result": "timeout"])
        page.counter("dns_cache_hits_total", "Attempts whose name was in the cache.", dnsCacheHits)
        page.counter("addresses_denied_total", "Addresses the egress policy denied.", addressesDenied)
        page.counter(
            "starts_too_late_total", "Requests not sent because the process may have lost its partitions.",
            startsTooLate)
    }
}

struct MappingMetrics: Sendable {
    let files = Metrics.gauge("mapping_files", "Mapping files in force.")
    let taken = Self.reloads("taken_up")
    let refused = Self.reloads("refused")

    private static func reloads(_ result: String) -> Counter {
        Metrics.counter("mapping_reloads_total", "Reloads of the mapping files.", ["result": result])
    }
}
