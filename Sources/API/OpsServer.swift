// The ops listener: is it alive, is it ready, what has it counted. No authentication: it belongs on an inner address.
internal import Core
package import HTTPServer
internal import JSON

package final class OpsServer: Sendable {
    private let server: HTTPServer

    package var port: Int { server.port }

    /// - Parameters:
    ///   - listen: `ops.listen`.
    ///   - complaints: what is wrong with a process that lives; empty when all is well.
    ///   - readiness: whether this process can do its work, and if not, why; asked for each request, must not block.
    ///   - metrics: the metrics in Prometheus' text format; asked for each request, must not block.
    /// - Throws: ``HTTPServerError`` with address, cause and mend.
    package init(
        listen: String, limits: HTTPServerLimits = HTTPServerLimits(),
        complaints: @escaping @Sendable () -> [String] = { [] },
        readiness: @escaping @Sendable () -> (isReady: Bool, reasons: [String]),
        metrics: @escaping @Sendable () -> String
    ) throws(HTTPServerError) {
        let paths = ["/healthz", "/readyz", "/metrics"]
        server = try HTTPServer(listen: listen, limits: limits, refusal: { .refusal($0) }) { request, responder in
            guard paths.contains(request.path) else { return responder.respond(APIError.notFound().response) }
            guard request.method == "GET" || request.method == "HEAD" else {
                return responder.respond(APIError.methodNotAllowed(["GET"]).response)
            }
            switch request.path {
            case "/healthz":
                let reasons = complaints()
                responder.respond(
                    .json(
                        reasons.isEmpty ? 200 : 503,
                        JSONWriter.document { json in
                            json.field("status", reasons.isEmpty ? "ok" : "stalled")
                            if !reasons.isEmpty { json.field("reasons", reasons) }
                        }))
            case "/readyz":
                let (isReady, reasons) = readiness()
                responder.respond(
                    .json(
                        isReady ? 200 : 503,
                        JSONWriter.document { json in
                            json.field("ready", isReady)
                            json.field("reasons", reasons)
                        }))
            default:
                responder.respond(
                    HTTPServerResponse(
                        status: 200, headers: ["Content-Type": "text/plain; version=0.0.4; charset=utf-8"],
                        body: Array(metrics().utf8)))
            }
        }
    }

    package func stop(seconds: Double = 1) { server.stop(seconds: seconds) }
}
