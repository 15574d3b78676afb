// A subscriber of the demo: verifies what it gets and answers always the same.
internal import HTTPServer
internal import Runtime

final class DemoReceiver: Sendable {
    private let server: HTTPServer
    private let state: SharedState

    private final class SharedState: Sendable {
        let fields = Guarded((secret: "", verified: 0, faults: 0))
    }

    init(status: Int) throws(Exit) {
        let state = SharedState()
        self.state = state
        do throws(HTTPServerError) {
            server = try HTTPServer(listen: "127.0.0.1:0") { request, responder in
                state.fields.withLock { fields in
                    if WebhookVerifier.fault(in: request, secret: fields.secret) == nil {
                        fields.verified += 1
                    } else {
                        fields.faults += 1
                    }
                }
                responder.respond(.text(status, status == 200 ? "OK" : "Try again"))
            }
        } catch { throw .failure(error.description) }
    }

    var port: Int { server.port }
    var secret: String {
        get { state.fields.withLock { $0.secret } }
        set { state.fields.withLock { $0.secret = newValue } }
    }
    var verified: Int { state.fields.withLock { $0.verified } }
    var faults: Int { state.fields.withLock { $0.faults } }

    func stop() { server.stop(seconds: 1) }
}
