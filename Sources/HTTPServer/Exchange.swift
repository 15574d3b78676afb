// One request and its response. The reading half belongs to libmicrohttpd's thread; the reply half is shared with
// whoever answers, under a lock, because an answer may come from any thread at any time, also when the peer has gone.
internal import CMicroHTTPD
internal import Runtime

final class Exchange: @unchecked Sendable {
    // @unchecked: everything outside `reply` is touched on libmicrohttpd's thread only, until the request is handed to
    // the handler as a value.

    enum Stage {
        case head
        case body
        /// A body that is too large is read and thrown away so that its sender can read the answer.
        case discarding(HTTPRefusal)
        case handed
    }

    let target: [UInt8]
    let peer: Peer
    var stage = Stage.head
    var head: RequestHead?
    var method = ""
    var path = ""
    var query: [(name: String, value: String)] = []
    var body: [UInt8] = []
    var discarded = 0
    private let reply = Guarded(Reply())

    private struct Reply {
        var response: HTTPServerResponse?
        var suspended: ConnectionPointer?
        var isOver = false
    }

    init(target: [UInt8], peer: Peer) {
        self.target = target
        self.peer = peer
    }

    /// Any thread. The first answer counts; later ones, and one for a peer that has gone, are dropped.
    func answer(_ response: HTTPServerResponse) {
        reply.withLock { reply in
            guard reply.response == nil, !reply.isOver else { return }
            reply.response = response
            // Under the lock: once the exchange is over, the connection is not ours to touch.
            if let connection = reply.suspended { MHD_resume_connection(connection.pointer) }
            reply.suspended = nil
        }
    }

    /// libmicrohttpd's thread: the answer if there is one, else the connection sleeps until there is.
    func takeAnswerOrSuspend(_ connection: OpaquePointer) -> HTTPServerResponse? {
        reply.withLock { reply in
            if let response = reply.response { return response }
            reply.suspended = ConnectionPointer(pointer: connection)
            MHD_suspend_connection(connection)
            return nil
        }
    }

    /// The response is sent or the connection is gone.
    func finish() {
        reply.withLock { reply in
            reply.isOver = true
            reply.suspended = nil
        }
    }
}

/// Lets the pointer through the lock; it is only used while the exchange is not over.
private struct ConnectionPointer: @unchecked Sendable { let pointer: OpaquePointer }
