// A request as handlers see it: it found its route, and its key is valid.
internal import Core
internal import HTTPServer

struct APICall: Sendable {
    let request: HTTPServerRequest
    let parameters: [String: String]
    let account: AccountID
    let keyID: String
    private let responder: HTTPResponder

    init(
        request: HTTPServerRequest, parameters: [String: String], account: AccountID, keyID: String,
        responder: HTTPResponder
    ) {
        self.request = request
        self.parameters = parameters
        self.account = account
        self.keyID = keyID
        self.responder = responder
    }

    func respond(_ response: HTTPServerResponse) { responder.respond(response) }
    func respond(_ error: APIError) { responder.respond(error.response) }
}
