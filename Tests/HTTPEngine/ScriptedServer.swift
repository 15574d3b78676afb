// Receivers that do exactly what a test tells them: each connection runs a script on a thread of its own, with plain
// blocking sockets, optionally inside TLS.
import CLinux
import COpenSSL
import Core
import Glibc
import Runtime

/// The receiver's side of one connection.
final class Peer {
    let descriptor: Int32
    /// 0 for the first connection of its server.
    let number: Int
    fileprivate var ssl: OpaquePointer?
    private var unread: [UInt8] = []
    private(set) var isClosed = false

    fileprivate init(_ descriptor: Int32, number: Int) {
        self.descriptor = descriptor
        self.number = number
    }

    /// Head and body of the next request as text; nil at the end of the connection.
    func request() -> String? {
        while true {
            if let end = unread.firstRange(of: Array("\r\n\r\n".utf8)) {
                let head = String(decoding: unread[..<end.upperBound], as: UTF8.self)
                let length =
                    head.split(separator: "\r\n").lazy.compactMap { line in
                        line.lowercased().hasPrefix("content-length: ") ? Int(line.dropFirst(16)) : nil
                    }.first ?? 0
                while unread.count < end.upperBound + length { guard fill() else { return nil } }
                let whole = String(decoding: unread[..<(end.upperBound + length)], as: UTF8.self)
                unread.removeFirst(end.upperBound + length)
                return whole
            }
            guard fill() else { return nil }
        }
    }

    private func fill() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = ssl.map { Int(SSL_read($0, &chunk, 65_536)) } ?? recv(descriptor, &chunk, chunk.count, 0)
        guard count > 0 else { return false }
        unread += chunk[..<count]
        return true
    }

    /// So many bytes; nil at the end of the connection.
    func bytes(_ count: Int) -> [UInt8]? {
        while unread.count < count { guard fill() else { return nil } }
        defer { unread.removeFirst(count) }
        return Array(unread[..<count])
    }

    @discardableResult func write(_ text: String) -> Bool { write(Array(text.utf8)) }

    @discardableResult func write(_ bytes: [UInt8]) -> Bool {
        if let ssl { return SSL_write(ssl, bytes, Int32(bytes.count)) > 0 }
        return send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    func answer(_ status: Int = 200, headers: String = "", body: String = "") {
        write("HTTP/1.1 \(status) X\r\nContent-Length: \(body.utf8.count)\r\n\(headers)\r\n\(body)")
    }

    /// Where the other side connected from.
    var address: IPAddress? {
        var name = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getpeername(descriptor, $0, &length) }
        }
        return withUnsafeBytes(of: name) { bytes in
            switch Int32(name.ss_family) {
            case AF_INET: IPAddress(bytes: UnsafeRawBufferPointer(rebasing: bytes[4..<8]))
            case AF_INET6: IPAddress(bytes: UnsafeRawBufferPointer(rebasing: bytes[8..<24]))
            default: nil
            }
        }
    }

    /// Blocks until the other side is gone.
    func awaitEnd() { while fill() {} }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        if let ssl { SSL_free(ssl) }
        ssl = nil
        Glibc.close(descriptor)
    }

    /// Closes with RST instead of FIN.
    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
        close()
    }
}

final class ScriptedServer: Sendable {
    struct TLS: Sendable {
        var certificate: String
        var key: String
        var maximumVersion: Int32 = TLS1_3_VERSION
        var demandsClientCertificate = false
    }

    let port: UInt16
    private let listener: Int32
    private let script: @Sendable (Peer) -> Void
    /// One for all connections, so that sessions are resumed.
    private let tls: ServerTLS?
    private let beforeHandshake: @Sendable () -> Void
    private let open = Guarded<(isStopped: Bool, sockets: Set<Int32>, threads: [OwnedThread])>((false, [], []))
    private let accepted = Guarded(0)
    private let acceptor = Guarded<OwnedThread?>(nil)

    var connections: Int { accepted.withLock { $0 } }

    init(
        tls: TLS? = nil, at address: String = "127.0.0.1", port: UInt16 = 0, backlog: Int32 = 128, accepts: Bool = true,
        beforeHandshake: @escaping @Sendable () -> Void = {}, _ script: @escaping @Sendable (Peer) -> Void
    ) {
        self.tls = tls.map(ServerTLS.init)
        self.script = script
        self.beforeHandshake = beforeHandshake
        (listener, self.port) = Self.listen(backlog, at: address, port: port)
        guard accepts else { return }
        acceptor.withLock { $0 = OwnedThread(name: "accept") { [self] in acceptAll() } }
    }

    static func listen(_ backlog: Int32, at text: String = "127.0.0.1", port: UInt16 = 0) -> (Int32, UInt16) {
        let address = IPAddress(text)!
        let listener = socket(
            address.isV4 ? AF_INET : AF_INET6, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        var name = sockaddr_storage()
        var length = Self.fill(&name, address, port)
        withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                precondition(bind(listener, $0, length) == 0 && Glibc.listen(listener, backlog) == 0)
                getsockname(listener, $0, &length)
            }
        }
        return (listener, Self.port(of: name))
    }

    private static func fill(_ name: inout sockaddr_storage, _ address: IPAddress, _ port: UInt16) -> socklen_t {
        withUnsafeMutablePointer(to: &name) { name in
            if let v4 = address.v4 {
                name.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                    $0.pointee.sin_family = sa_family_t(AF_INET)
                    $0.pointee.sin_port = port.bigEndian
                    $0.pointee.sin_addr.s_addr = v4.bigEndian
                }
                return socklen_t(MemoryLayout<sockaddr_in>.size)
            }
            name.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                $0.pointee.sin6_family = sa_family_t(AF_INET6)
                $0.pointee.sin6_port = port.bigEndian
                withUnsafeMutableBytes(of: &$0.pointee.sin6_addr) { $0.copyBytes(from: address.bytes) }
            }
            return socklen_t(MemoryLayout<sockaddr_in6>.size)
        }
    }

    /// Both families have it at the same place.
    private static func port(of name: sockaddr_storage) -> UInt16 {
        withUnsafeBytes(of: name) { UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self)) }
    }

    /// Connections that fill a listener's queue, so that it answers no SYN any more.
    static func fillQueue(at text: String, port: UInt16, count: Int) -> [Int32] {
        (0..<count).map { _ in
            let descriptor = socket(
                AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
            var name = sockaddr_storage()
            let length = fill(&name, IPAddress(text)!, port)
            withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = connect(descriptor, $0, length) }
            }
            return descriptor
        }
    }

    private func acceptAll() {
        var number = 0
        while true {
            let descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            let current = number
            number += 1
            accepted.withLock { $0 += 1 }
            open.withLock { open in
                guard !open.isStopped else {
                    Glibc.close(descriptor)
                    return
                }
                open.sockets.insert(descriptor)
                open.threads.append(OwnedThread(name: "peer") { [self] in serve(descriptor, current) })
            }
        }
    }

    private func serve(_ descriptor: Int32, _ number: Int) {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let peer = Peer(descriptor, number: number)
        if let tls {
            peer.ssl = SSL_new(tls.context)
            SSL_set_fd(peer.ssl, descriptor)
            beforeHandshake()
            if SSL_accept(peer.ssl) == 1 { script(peer) }
        } else {
            script(peer)
        }
        open.withLock { _ = $0.sockets.remove(descriptor) }
        peer.close()
    }

    /// Ends all scripts and joins their threads.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        acceptor.withLock { thread in
            thread?.join()
            thread = nil
        }
        let threads = open.withLock { open in
            open.isStopped = true
            for socket in open.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
            defer { open.threads = [] }
            return open.threads
        }
        for thread in threads { thread.join() }
        close(listener)
    }
}

private final class ServerTLS: @unchecked Sendable {
    // @unchecked: OpenSSL's contexts may be shared between threads once they are set up.
    let context: OpaquePointer

    init(_ tls: ScriptedServer.TLS) {
        guard let context = SSL_CTX_new(TLS_server_method()) else { preconditionFailure("no TLS") }
        self.context = context
        // A receiver may be as careless as it likes.
        SSL_CTX_set_security_level(context, 0)
        SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_VERSION), nil)
        if tls.demandsClientCertificate {
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        }
        SSL_CTX_use_certificate_file(context, tls.certificate, SSL_FILETYPE_PEM)
        SSL_CTX_use_PrivateKey_file(context, tls.key, SSL_FILETYPE_PEM)
        SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(tls.maximumVersion), nil)
    }

    deinit { SSL_CTX_free(context) }
}

extension Array where Element: Equatable {
    /// Where the elements of `other` first stand in a row.
    fileprivate func firstRange(of other: [Element]) -> Range<Int>? {
        guard count >= other.count else { return nil }
        for start in 0...(count - other.count) where self[start] == other[0] {
            if Array(self[start..<start + other.count]) == other { return start..<start + other.count }
        }
        return nil
    }
}
