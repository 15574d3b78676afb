// The few socket calls of the engine, non-blocking all of them.
internal import CAres  // its headers bring the socket types into view first
internal import CLinux
internal import Core
internal import Glibc

/// What a read or write came to, for plain and TLS connections alike.
enum TransferResult {
    case bytes(Int)
    case wouldBlock
    /// Orderly end of the peer's half.
    case ended
    /// Reset, or any other error of the socket.
    case broken
    /// An alert, or bytes that are no TLS.
    case tlsBroken(AttemptFailure)
}

enum Socket {
    enum OpenResult {
        case connecting(Int32)
        case failed(AttemptFailure)
        /// Our own want of descriptors, ports or memory: no fault of the receiver.
        case exhausted
    }

    static func connect(to address: IPAddress, port: UInt16, from source: IPAddress?) -> OpenResult {
        let family = address.isV4 ? AF_INET : AF_INET6
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return errno == EAFNOSUPPORT ? .failed(.connectFailed) : .exhausted }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
        if let source, source.isV4 == address.isV4 {
            // The port is chosen at connect, where it has to be unique per destination only.
            setsockopt(descriptor, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, &on, 4)
            guard withSocketAddress(source, 0, { bind(descriptor, $0, $1) }) == 0 else {
                close(descriptor)
                return .exhausted
            }
        }
        if withSocketAddress(address, port, { Glibc.connect(descriptor, $0, $1) }) == 0 {
            return .connecting(descriptor)
        }
        switch errno {
        case EINPROGRESS: return .connecting(descriptor)
        case EADDRNOTAVAIL, EAGAIN, ENOBUFS, ENOMEM:
            close(descriptor)
            return .exhausted
        case let code:
            close(descriptor)
            return .failed(failure(code))
        }
    }

    /// The address of a socket's name; nil for other families.
    static func address(_ name: UnsafeMutablePointer<sockaddr>) -> IPAddress? {
        switch Int32(name.pointee.sa_family) {
        case AF_INET:
            name.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                IPAddress(v4: UInt32(bigEndian: $0.pointee.sin_addr.s_addr))
            }
        case AF_INET6:
            name.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                withUnsafeBytes(of: $0.pointee.sin6_addr) { IPAddress(bytes: $0) }
            }
        default: nil
        }
    }

    /// Whether connections can be made from this address.
    static func canBind(_ source: IPAddress) -> Bool {
        let descriptor = socket(
            source.isV4 ? AF_INET : AF_INET6, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withSocketAddress(source, 0, { bind(descriptor, $0, $1) }) == 0
    }

    /// The error a connect in progress ended with; nil if it is established.
    static func connectFailure(_ descriptor: Int32) -> AttemptFailure? {
        var code: Int32 = 0
        var length = socklen_t(4)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        return code == 0 ? nil : failure(code)
    }

    private static func failure(_ code: Int32) -> AttemptFailure {
        switch code {
        case ECONNREFUSED: .connectRefused
        case ETIMEDOUT: .connectTimeout
        default: .connectFailed
        }
    }

    static func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> TransferResult {
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .ended }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .wouldBlock : .broken
        }
    }

    static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> TransferResult {
        while true {
            let count = send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count >= 0 { return .bytes(count) }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .wouldBlock : .broken
        }
    }

    /// A whole request in one call, without copying any of it.
    static func write(_ descriptor: Int32, _ fixed: [UInt8], _ lines: [UInt8], _ length: [UInt8], _ body: [UInt8])
        -> TransferResult
    {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: 4) { parts in
            fixed.withUnsafeBytes { fixed in
                lines.withUnsafeBytes { lines in
                    length.withUnsafeBytes { length in
                        body.withUnsafeBytes { body in
                            parts[0] = vector(fixed)
                            parts[1] = vector(lines)
                            parts[2] = vector(length)
                            parts[3] = vector(body)
                            while true {
                                let count = writev(descriptor, parts.baseAddress, body.isEmpty ? 3 : 4)
                                if count >= 0 { return .bytes(count) }
                                if errno == EINTR { continue }
                                return errno == EAGAIN ? .wouldBlock : .broken
                            }
                        }
                    }
                }
            }
        }
    }

    private static func vector(_ bytes: UnsafeRawBufferPointer) -> iovec {
        iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
    }

    private static func withSocketAddress<Result>(
        _ address: IPAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        if let v4 = address.v4 {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            name.sin_addr.s_addr = v4.bigEndian
            return withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: address.bytes) }
        return withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
    }
}
