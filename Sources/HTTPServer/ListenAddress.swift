// `host:port` to a listening socket.
internal import CLinux
internal import CMicroHTTPD
internal import Glibc

struct ListenAddress {
    let host: String
    let port: String
    let text: String

    /// `127.0.0.1:8080`, `[::1]:8080`, `localhost:0`; an empty host or `*` is every address of the machine.
    init(_ text: String) throws(HTTPServerError) {
        guard let colon = text.lastIndex(of: ":"), let number = UInt16(text[text.index(after: colon)...]) else {
            throw HTTPServerError(
                description:
                    "\"\(text)\" is not a listen address; write host:port with a port of 0 to 65535, for instance 127.0.0.1:8080"
            )
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            throw HTTPServerError(
                description:
                    "\"\(text)\" is not a listen address; write an IPv6 address in brackets, for instance [::1]:8080")
        }
        self.host = host == "*" ? "" : host
        self.port = String(number)
        self.text = text
    }

    /// Binds and listens.
    /// - Returns: a non-blocking socket, the caller's to close, and the port it really has.
    func open() throws(HTTPServerError) -> (socket: Int32, port: Int) {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host.isEmpty ? nil : host, port, &hints, &found)
        guard status == 0, let found else {
            throw HTTPServerError(
                description:
                    "cannot listen on \(text): \(String(cString: gai_strerror(status))); use an address of this machine"
            )
        }
        defer { freeaddrinfo(found) }
        let descriptor = socket(
            found.pointee.ai_family,
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw failure() }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        guard bind(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0, listen(descriptor, 1024) == 0
        else {
            let error = failure()
            close(descriptor)
            throw error
        }
        return (descriptor, boundPort(descriptor))
    }

    private func failure() -> HTTPServerError {
        let code = errno
        let mend =
            code == EADDRINUSE
            ? "; another process has the port, stop it or choose another"
            : code == EADDRNOTAVAIL
                ? "; use an address of this machine"
                : code == EACCES ? "; ports below 1024 need a privilege, choose a higher one" : ""
        return HTTPServerError(description: "cannot listen on \(text): \(String(cString: strerror(code)))\(mend)")
    }

    private func boundPort(_ descriptor: Int32) -> Int {
        var address = sockaddr_in6()  // the port is at the same place in sockaddr_in
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return Int(UInt16(bigEndian: address.sin6_port))
    }
}

/// The address without its port.
func addressText(_ address: UnsafePointer<sockaddr>?) -> String {
    guard let address else { return "" }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    let written: UnsafePointer<CChar>?
    switch Int32(address.pointee.sa_family) {
    case AF_INET:
        written = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
            var ip = $0.pointee.sin_addr
            return inet_ntop(AF_INET, &ip, &text, socklen_t(text.count))
        }
    case AF_INET6:
        written = address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
            var ip = $0.pointee.sin6_addr
            return inet_ntop(AF_INET6, &ip, &text, socklen_t(text.count))
        }
    default: written = nil
    }
    return written == nil ? "" : String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
