// `listen`: a receiver for developers of subscribers, that verifies and prints.
internal import Configuration
internal import Crypto
internal import HTTPServer

enum ListenCommand {
    static func run(_ options: ListenOptions) throws(Exit) {
        guard (try? WebhookSecret(Array(options.secret.utf8))) != nil else {
            throw .configuration("--secret: is not whsec_ and base64; copy it whole from the registration's answer")
        }
        let signals = StopSignals()
        let secret = options.secret
        let server: HTTPServer
        do throws(HTTPServerError) {
            server = try HTTPServer(listen: "127.0.0.1:\(options.port)") { request, responder in
                let fault = request.method == "POST" ? WebhookVerifier.fault(in: request, secret: secret) : nil
                Terminal.print(describe(request, fault))
                responder.respond(fault == nil ? .text(200, "OK") : .text(401, "Invalid signature"))
            }
        } catch { throw .failure(error.description) }
        Terminal.print("listening on http://127.0.0.1:\(server.port)")
        while !signals.wait(milliseconds: 60_000) {}
        server.stop()
    }

    private static func describe(_ request: HTTPServerRequest, _ fault: String?) -> String {
        guard request.method == "POST" else { return "\(request.method) \(request.path)" }
        let event = request.headers["X-Learnault-Event"] ?? "no event"
        let delivery = request.headers["X-Learnault-Delivery"] ?? "no delivery"
        let headers = request.headers.fields.map { "\($0.name): \($0.value)\n" }.joined()
        return "\(event)  \(delivery)  \(fault ?? "signatures verified")\n\(headers)\n"
            + "\(String(decoding: request.body, as: UTF8.self))\n"
    }
}
