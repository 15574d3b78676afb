// Which route a request means. What answers 404 and what 405, with which Allow, follows from the table of routes.
internal import HTTPServer

/// An operation and what answers it.
struct Route: Sendable {
    enum Handler: Sendable {
        /// Whoever asks.
        case open(@Sendable () -> HTTPServerResponse)
        /// Who has a valid key.
        case account(@Sendable (APICall) -> Void)
    }

    let operation: Operation
    let handler: Handler
    private let segments: [Segment]

    private enum Segment { case literal(String), parameter(String) }

    init(_ operation: Operation, _ handler: Handler) {
        self.operation = operation
        self.handler = handler
        segments = operation.path.split(separator: "/").map {
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
            if route.operation.method.rawValue == method || (method == "HEAD" && route.operation.method == .get) {
                return .found(route, parameters: parameters)
            }
            allowed.append(route.operation.method.rawValue)
        }
        return allowed.isEmpty ? .none : .wrongMethod(allowed: allowed)
    }
}
