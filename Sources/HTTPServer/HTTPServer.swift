// An HTTP/1.1 server over libmicrohttpd: one thread of the library that reads, asks the handler and writes, one that
// ends connections which miss a deadline. It knows nothing of the bridge.
internal import CLinux
internal import CMicroHTTPD
internal import Glibc
internal import Runtime

/// A running server; it listens from `init` until ``stop(seconds:)``.
package final class HTTPServer: Sendable {
    /// The port that is really listened on, also when 0 was asked for.
    package let port: Int
    private let core: ServerCore
    private let socket: Int32
    private let daemon: Guarded<DaemonPointer?>
    private let watcher: OwnedThread

    /// The library's handle; taken out of its lock once, by whoever stops the server.
    private struct DaemonPointer: @unchecked Sendable { let pointer: OpaquePointer }

    /// - Parameters:
    ///   - listen: `host:port`; port 0 takes a free one.
    ///   - tls: nil: plain HTTP.
    ///   - refusal: the answer to what the server refuses itself; plain text unless given.
    ///   - handler: called on the server's thread with each complete request; it must not block, and may keep the
    ///     responder and answer later from any thread.
    /// - Throws: ``HTTPServerError`` with address, cause and mend when it cannot listen.
    package init(
        listen: String, tls: HTTPServerTLS? = nil, limits: HTTPServerLimits = HTTPServerLimits(),
        refusal: @escaping @Sendable (HTTPRefusal) -> HTTPServerResponse = { .text($0.status, $0.text) },
        handler: @escaping @Sendable (HTTPServerRequest, HTTPResponder) -> Void
    ) throws(HTTPServerError) {
        let (socket, port) = try ListenAddress(listen).open()
        let core = ServerCore(limits: limits, refusal: refusal, handler: handler)
        let context = Unmanaged.passRetained(core)
        var options = cmicrohttpd_options(
            listen_socket: socket, connections: UInt32(clamping: limits.connections),
            connections_per_address: UInt32(clamping: limits.connectionsPerAddress),
            // Half of it is the first read buffer; the fields' own records take the rest.
            connection_memory: limits.headBytes * 2 + 16_384, access: requestAdvanced, completed: requestCompleted,
            connection: connectionChanged, request_line: requestLineRead, context: context.toOpaque(),
            certificate: nil, key: nil)
        guard let daemon = Self.start(&options, tls) else {
            context.release()
            close(socket)
            throw HTTPServerError(
                description: tls == nil
                    ? "cannot serve HTTP on \(listen): out of threads, memory or file descriptors"
                    : "cannot serve HTTPS on \(listen): the certificate or its key is not PEM, or they do not belong together"
            )
        }
        self.core = core
        self.socket = socket
        self.port = port
        self.daemon = Guarded(DaemonPointer(pointer: daemon))
        watcher = OwnedThread(name: "http-deadlines") { [peers = core.peers] in peers.watch() }
    }

    private static func start(_ options: inout cmicrohttpd_options, _ tls: HTTPServerTLS?) -> OpaquePointer? {
        guard let tls else { return cmicrohttpd_start(&options) }
        let (certificate, key) = (tls.certificate + [0], tls.key + [0])
        return certificate.withUnsafeBytes { certificate in
            key.withUnsafeBytes { key in
                options.certificate = certificate.baseAddress?.assumingMemoryBound(to: CChar.self)
                options.key = key.baseAddress?.assumingMemoryBound(to: CChar.self)
                return cmicrohttpd_start(&options)
            }
        }
    }

    /// How many are open now.
    package var connections: Int { core.peers.count }

    deinit { stop(seconds: 0) }

    /// Stops accepting, lets what is in flight be answered for at most `seconds`, answers the rest with 503 and ends
    /// all connections. The second call does nothing. Not from the server's own thread.
    package func stop(seconds: Double = 5) {
        guard let daemon = daemon.withLock({ $0.take() }) else { return }
        core.drain()
        MHD_quiesce_daemon(daemon.pointer)
        // The library may still hold the descriptor; this makes the kernel refuse newcomers without closing it.
        shutdown(socket, Int32(SHUT_RDWR))
        core.waitUntilIdle(seconds: seconds)
        core.close()
        core.waitUntilIdle(seconds: min(seconds, 1))
        core.peers.stopWatching()
        watcher.join()
        MHD_stop_daemon(daemon.pointer)
        close(socket)
        Unmanaged.passUnretained(core).release()
    }
}
