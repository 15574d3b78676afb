// The ops listener.
import API
import HTTPProbe
import Runtime
import Testing

@Suite struct OpsServerTests {
    @Test func answersItsThreePaths() throws {
        let ready = Guarded<[String]>(["broker not reached"])
        let server = try OpsServer(
            listen: "127.0.0.1:0",
            readiness: {
                let reasons = ready.withLock { $0 }
                return (reasons.isEmpty, reasons)
            }, metrics: { "bridge_attempts_total 1\n" })
        defer { server.stop() }
        #expect(try probe(port: server.port, "GET", "/healthz").status == 200)
        let waiting = try probe(port: server.port, "GET", "/readyz")
        #expect(waiting.status == 503)
        #expect(waiting.text == #"{"ready":false,"reasons":["broker not reached"]}"#)
        ready.withLock { $0 = [] }
        #expect(try probe(port: server.port, "GET", "/readyz").text == #"{"ready":true,"reasons":[]}"#)
        let metrics = try probe(port: server.port, "GET", "/metrics")
        #expect(metrics.text == "bridge_attempts_total 1\n")
        #expect(metrics.header("Content-Type")?.hasPrefix("text/plain; version=0.0.4") == true)
        #expect(try probe(port: server.port, "GET", "/").status == 404)
        #expect(try probe(port: server.port, "POST", "/metrics", body: "").header("Allow") == "GET")
    }
}
