// What goes in and out of the HTTP server: a request as it was received, a response, and the limits between them.

/// A complete request. Nothing in it is decoded except the query.
package struct HTTPServerRequest: Sendable {
    package let method: String
    /// The target's path, still percent-encoded: `/v1/webhooks/wh_…`.
    package let path: String
    /// The target's query, decoded, in source order; a name may come twice.
    package let query: [(name: String, value: String)]
    package let headers: HTTPHeaders
    package let body: [UInt8]
    /// The peer's address without its port. Behind a balancer that is the balancer's.
    package let remoteAddress: String

    package init(
        method: String, path: String, query: [(name: String, value: String)] = [], headers: HTTPHeaders = HTTPHeaders(),
        body: [UInt8] = [], remoteAddress: String = ""
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.remoteAddress = remoteAddress
    }
}

/// Header fields in their order; names are compared without regard to case.
package struct HTTPHeaders: Sendable, ExpressibleByDictionaryLiteral {
    package private(set) var fields: [(name: String, value: String)] = []

    package init() {}
    package init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { append(name, value) }
    }

    package mutating func append(_ name: String, _ value: String) { fields.append((name, value)) }

    /// The first field of that name.
    package subscript(_ name: String) -> String? { fields.first { $0.name.equalsIgnoringCase(name) }?.value }

    package func values(_ name: String) -> [String] {
        fields.filter { $0.name.equalsIgnoringCase(name) }.map(\.value)
    }
}

package struct HTTPServerResponse: Sendable {
    package var status: Int
    package var headers: HTTPHeaders
    package var body: [UInt8]
    /// Ends the connection behind this response.
    package var closesConnection: Bool

    package init(status: Int, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = [], closesConnection: Bool = false)
    {
        self.status = status
        self.headers = headers
        self.body = body
        self.closesConnection = closesConnection
    }

    /// A short text for people.
    package static func text(_ status: Int, _ text: String) -> HTTPServerResponse {
        HTTPServerResponse(
            status: status, headers: ["Content-Type": "text/plain; charset=utf-8"], body: Array((text + "\n").utf8))
    }
}

/// Why the server answers a request itself, without asking its handler.
package enum HTTPRefusal: Equatable, Sendable {
    /// The head contradicts itself or is not HTTP; `cause` is fixed text.
    case badRequest(cause: String)
    case unsupportedTransferEncoding
    case bodyTooLarge(limit: Int)
    case headTooLarge(limit: Int)
    case tooManyHeaders(limit: Int)
    /// The handler dropped its responder, or the server is stopping.
    case unavailable

    package var status: Int {
        switch self {
        // RFC 9112, 6.1 would have 501; contract §1 has a list of statuses, and it is not in it.
        case .badRequest, .unsupportedTransferEncoding: 400
        case .bodyTooLarge: 413
        case .headTooLarge, .tooManyHeaders: 431
        case .unavailable: 503
        }
    }

    /// What was wrong and how to mend it, without a part of the request.
    package var text: String {
        switch self {
        case .badRequest(let cause): cause
        case .unsupportedTransferEncoding: "Transfer-Encoding may only be chunked; send the body with Content-Length."
        case .bodyTooLarge(let limit): "The body is larger than \(limit) bytes."
        case .headTooLarge(let limit): "The request's head is larger than \(limit) bytes."
        case .tooManyHeaders(let limit): "The request has more than \(limit) header fields."
        case .unavailable: "The server cannot answer this request now; try again."
        }
    }
}

package struct HTTPServerLimits: Sendable {
    /// Request line and header fields together.
    package var headBytes = 16_384
    package var headerFields = 100
    package var bodyBytes = 1_048_576
    /// How far beyond `bodyBytes` a body is read and thrown away, so that its sender can read the 413. A larger one is
    /// refused before it is read, or its connection dropped.
    package var discardedBytes = 1_048_576
    package var connections = 4096
    /// High, because behind a balancer every client has the balancer's address.
    package var connectionsPerAddress = 1024
    /// From the connection's start, or from the request line of a later request, to the end of the head.
    package var headSeconds = 10.0
    package var bodySeconds = 30.0
    package var responseSeconds = 30.0
    /// Between two requests of one connection; also bounds a request line that comes byte by byte.
    package var idleSeconds = 30.0

    package init() {}
}

/// What a server shows of itself where it speaks TLS; PEM both.
package struct HTTPServerTLS: Sendable, CustomReflectable {
    /// The server's, then those that lead to its authority.
    package let certificate: [UInt8]
    /// Never logged.
    package let key: [UInt8]

    package init(certificate: [UInt8], key: [UInt8]) {
        self.certificate = certificate
        self.key = key
    }

    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

package struct HTTPServerError: Error, CustomStringConvertible, Equatable {
    package let description: String
}

extension String {
    /// ASCII case folding only, as header names need it.
    package func equalsIgnoringCase(_ other: String) -> Bool {
        utf8.count == other.utf8.count && zip(utf8, other.utf8).allSatisfy { lower($0) == lower($1) }
    }
}

@inline(__always)
private func lower(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
}
