// Addresses as people write them in the configuration. Only their form is judged here; what they mean is the engine's.
internal import Glibc

enum NetworkText {
    static func isIPv4(_ text: some StringProtocol) -> Bool {
        var address = in_addr()
        return inet_pton(AF_INET, String(text), &address) == 1
    }

    static func isIPv6(_ text: some StringProtocol) -> Bool {
        var address = in6_addr()
        return inet_pton(AF_INET6, String(text), &address) == 1
    }

    static func isAddress(_ text: some StringProtocol) -> Bool { isIPv4(text) || isIPv6(text) }

    /// `address/prefix`; a bare address gets the prefix that means itself. Nil for anything else.
    static func network(_ text: String) -> String? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let width = isIPv4(parts[0]) ? 32 : isIPv6(parts[0]) ? 128 : 0
        guard width > 0 else { return nil }
        if parts.count == 1 { return "\(text)/\(width)" }
        guard parts.count == 2, (1...3).contains(parts[1].utf8.count),
            parts[1].allSatisfy({ ("0"..."9").contains($0) }),
            let prefix = Int(parts[1]), prefix <= width
        else { return nil }
        return text
    }

    /// `address`, `address:port`, `[v6]` or `[v6]:port`.
    static func isNameserver(_ text: String) -> Bool {
        if isAddress(text) { return true }
        let hasPort = !text.hasSuffix("]")
        let full = hasPort ? text : text + ":53"
        guard let colon = full.lastIndex(of: ":"), let port = UInt16(full[full.index(after: colon)...]), port > 0 else {
            return false
        }
        let host = full[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { return isIPv6(host.dropFirst().dropLast()) }
        return isIPv4(host)
    }
}
