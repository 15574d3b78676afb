// The one table of routes. What answers 404 and what 405, with which Allow, follows from it.
internal import Core
internal import HTTPServer

/// A method and a path pattern such as `/v1/webhooks/:webhookId/logs`, and what answers them.
struct Route: Sendable {
    enum Method: String, Sendable { case get = "GET", post = "POST", patch = "PATCH", delete = "DELETE" }

    let method: Method
    let pattern: String
    let handler: @Sendable (APICall) -> Void

    fileprivate let segments: [Segment]
    fileprivate enum Segment: Equatable { case literal(String), parameter(String) }

    init(_ method: Method, _ pattern: String, _ handler: @escaping @Sendable (APICall) -> Void) {
        self.method = method
        self.pattern = pattern
        self.handler = handler
        segments = pattern.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map {
            $0.hasPrefix(":") ? .parameter(String($0.dropFirst())) : .literal(String($0))
        }
    }

    fileprivate func match(_ parts: [String]) -> [String: String]? {
        guard parts.count == segments.count else { return nil }
        var parameters: [String: String] = [:]
        for (segment, part) in zip(segments, parts) {
            switch segment {
            case .literal(let text): guard text == part else { return nil }
            case .parameter(let name): parameters[name] = part
            }
        }
        return parameters
    }
}

struct RouteTable: Sendable {
    let routes: [Route]

    enum Match {
        case found(Route, parameters: [String: String])
        case wrongMethod(allowed: [String])
        case none
    }

    /// - Parameter path: percent-encoded. HEAD is answered as GET; the server leaves the body out.
    func match(method: String, path: String) -> Match {
        var parts: [String] = []
        for part in path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst() {
            guard let decoded = RequestTarget.decode(part) else { return .none }
            parts.append(decoded)
        }
        var allowed: [String] = []
        for route in routes {
            guard let parameters = route.match(parts) else { continue }
            if route.method.rawValue == method || (method == "HEAD" && route.method == .get) {
                return .found(route, parameters: parameters)
            }
            allowed.append(route.method.rawValue)
        }
        return allowed.isEmpty ? .none : .wrongMethod(allowed: allowed)
    }
}

/// A request that found its route and whose key is valid.
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
