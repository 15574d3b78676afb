// What happens to a request between libmicrohttpd's callbacks: head judged, body collected, handler asked, answer sent.
// The library calls the handler several times: with the head, with each piece of the body, when the body is complete,
// and again after a suspended connection was resumed.
internal import CMicroHTTPD
internal import Glibc
internal import Runtime

final class ServerCore: Sendable {
    let limits: HTTPServerLimits
    let peers: PeerTable
    private let handler: @Sendable (HTTPServerRequest, HTTPResponder) -> Void
    private let refusal: @Sendable (HTTPRefusal) -> HTTPServerResponse
    private let open = Guarded(OpenExchanges())
    private let changed = EventFD()

    private struct OpenExchanges {
        var all: [ObjectIdentifier: Exchange] = [:]
        var isDraining = false
        var isClosed = false
    }

    init(
        limits: HTTPServerLimits, refusal: @escaping @Sendable (HTTPRefusal) -> HTTPServerResponse,
        handler: @escaping @Sendable (HTTPServerRequest, HTTPResponder) -> Void
    ) {
        self.limits = limits
        self.refusal = refusal
        self.handler = handler
        peers = PeerTable(limits: limits)
    }

    // MARK: The life of an exchange; libmicrohttpd's thread

    func begin(target: [UInt8], peer: Peer) -> Exchange {
        let exchange = Exchange(target: target, peer: peer)
        peer.enter(.head)
        open.withLock { $0.all[ObjectIdentifier(exchange)] = exchange }
        return exchange
    }

    func end(_ exchange: Exchange) {
        exchange.finish()
        exchange.peer.enter(.idle)
        let isLast = open.withLock { open in
            open.all[ObjectIdentifier(exchange)] = nil
            return open.isDraining && open.all.isEmpty
        }
        if isLast { changed.signal() }
    }

    /// - Parameter head: reads the head; called at most once.
    func advance(
        _ exchange: Exchange, connection: OpaquePointer, method: String, upload: UnsafeRawBufferPointer,
        head: () -> RawHead
    ) -> MHD_Result {
        switch exchange.stage {
        case .head: return receiveHead(exchange, connection, method, head())
        case .body where !upload.isEmpty: return receiveBody(exchange, upload)
        case .discarding where !upload.isEmpty: return discard(exchange, upload)
        case .body: return hand(exchange, connection)
        case .discarding(let why): return send(refusal(why), exchange, connection, closing: true)
        case .handed: return reply(exchange, connection)
        }
    }

    private func receiveHead(
        _ exchange: Exchange, _ connection: OpaquePointer, _ method: String, _ raw: RawHead
    ) -> MHD_Result {
        func refuse(_ why: HTTPRefusal) -> MHD_Result { send(refusal(why), exchange, connection, closing: true) }
        guard raw.isIntact else {
            return refuse(
                .badRequest(cause: "The request's head has a NUL, a folded line or a line that does not end in CR LF."))
        }
        guard let (path, query) = RequestTarget.parse(exchange.target) else {
            return refuse(.badRequest(cause: "The request target is not a well-encoded path that begins with a slash."))
        }
        let head: RequestHead
        do {
            head = try RequestHead(
                fields: raw.fields, headBytes: raw.bytes, requiresHost: !raw.isHTTP10, limits: limits)
        } catch {
            return refuse(error.refusal)
        }
        exchange.head = head
        exchange.method = method
        exchange.path = path
        exchange.query = query
        exchange.stage = .body
        if case .bytes(let length) = head.bodyLength {
            if length > limits.bodyBytes {
                let why = HTTPRefusal.bodyTooLarge(limit: limits.bodyBytes)
                // Who asks before he sends gets his answer before he sends.
                guard head.headers["Expect"] == nil, length - limits.bodyBytes <= limits.discardedBytes else {
                    return refuse(why)
                }
                exchange.stage = .discarding(why)
            } else {
                exchange.body.reserveCapacity(min(length, 65_536))
            }
        }
        exchange.peer.enter(.body)
        return .YES
    }

    private func receiveBody(_ exchange: Exchange, _ upload: UnsafeRawBufferPointer) -> MHD_Result {
        guard exchange.body.count + upload.count > limits.bodyBytes else {
            exchange.body.append(contentsOf: upload)
            return .YES
        }
        exchange.stage = .discarding(.bodyTooLarge(limit: limits.bodyBytes))
        exchange.body = []
        return discard(exchange, upload)
    }

    /// The library can not answer in mid-upload: it goes on reading for a while, then the connection is dropped.
    private func discard(_ exchange: Exchange, _ upload: UnsafeRawBufferPointer) -> MHD_Result {
        exchange.discarded += upload.count
        return exchange.discarded <= limits.bodyBytes + limits.discardedBytes ? .YES : .NO
    }

    private func hand(_ exchange: Exchange, _ connection: OpaquePointer) -> MHD_Result {
        exchange.stage = .handed
        exchange.peer.enter(.handling)
        guard !open.withLock({ $0.isClosed }), let head = exchange.head else {
            return send(refusal(.unavailable), exchange, connection, closing: true)
        }
        let request = HTTPServerRequest(
            method: exchange.method, path: exchange.path, query: exchange.query, headers: head.headers,
            body: exchange.body, remoteAddress: exchange.peer.address)
        exchange.body = []
        handler(request, HTTPResponder(whenDropped: refusal(.unavailable)) { exchange.answer($0) })
        return reply(exchange, connection)
    }

    private func reply(_ exchange: Exchange, _ connection: OpaquePointer) -> MHD_Result {
        guard let response = exchange.takeAnswerOrSuspend(connection) else { return .YES }
        return send(response, exchange, connection, closing: open.withLock { $0.isDraining })
    }

    private func send(
        _ response: HTTPServerResponse, _ exchange: Exchange, _ connection: OpaquePointer, closing: Bool
    ) -> MHD_Result {
        exchange.stage = .handed
        exchange.peer.enter(.response)
        guard let built = response.body.withUnsafeBytes({ cmicrohttpd_response($0.baseAddress, $0.count) }) else {
            return .NO
        }
        defer { MHD_destroy_response(built) }
        for field in response.headers.fields { MHD_add_response_header(built, field.name, field.value) }
        if closing || response.closesConnection { MHD_add_response_header(built, "Connection", "close") }
        return MHD_queue_response(connection, UInt32(response.status), built)
    }

    // MARK: Stopping; the owner's thread

    /// From now on every response ends its connection.
    func drain() { open.withLock { $0.isDraining = true } }

    /// Waits until nothing is in flight.
    func waitUntilIdle(seconds: Double) {
        let deadline = Clock.monotonic() + UInt64(max(0, seconds) * 1e9)
        while !open.withLock({ $0.all.isEmpty }) {
            let now = Clock.monotonic()
            guard now < deadline else { return }
            changed.wait(milliseconds: Int((deadline - now) / 1_000_000) + 1)
            changed.clear()
        }
    }

    /// Answers what is left with 503 and asks the handler no more. After this no connection sleeps, which the library
    /// insists on before it is stopped.
    func close() {
        let left = open.withLock { open in
            open.isClosed = true
            return Array(open.all.values)
        }
        for exchange in left { exchange.answer(refusal(.unavailable)) }
    }
}
