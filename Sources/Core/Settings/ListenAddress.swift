// Where a listener binds: a literal address and a port, written `127.0.0.1:8080` or `[::1]:8080`.

package struct ListenAddress: Hashable, Sendable {
    /// An IPv4 or IPv6 literal without brackets. Judged by whoever can parse addresses; here it is only not empty.
    package var host: String
    /// 0 lets the kernel choose a free port.
    package var port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Splits at the last colon; IPv6 needs its brackets, or the port could not be told from the address. `localhost`
    /// is taken as 127.0.0.1: a listener that needs a resolver to start would be one more thing that can fail.
    package init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var host = text[..<colon]
        let digits = text[text.index(after: colon)...]
        guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let port = UInt16(digits)
        else { return nil }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.init(host: host == "localhost" ? "127.0.0.1" : String(host), port: port)
    }
}

extension ListenAddress: CustomStringConvertible {
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
