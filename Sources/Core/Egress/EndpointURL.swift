// A subscriber's URL, taken apart once. Registration and every later use go through this parser, so what was judged is
// what is connected to. It resolves nothing; names are judged when they resolve.

/// Why a URL is refused. The texts are for subscribers and say nothing about our network.
package enum EndpointFault: String, Error, Sendable, CaseIterable {
    case empty
    case tooLong = "too_long"
    case notASCII = "not_ascii"
    case whiteSpace = "white_space"
    case controlCharacter = "control_character"
    case backslash
    case fragment
    case scheme
    case notHTTPS = "not_https"
    case userInfo = "user_info"
    case zoneID = "zone_id"
    case port
    case host
    case singleLabel = "single_label"
    case numericName = "numeric_name"
    case specialName = "special_name"
    case addressDenied = "address_denied"

    package var text: String {
        switch self {
        case .empty: "The URL is empty"
        case .tooLong: "The URL is longer than 2048 bytes"
        case .notASCII: "The URL has characters outside ASCII; write them percent-encoded, a host name in its xn-- form"
        case .whiteSpace: "The URL has white space"
        case .controlCharacter: "The URL has control characters"
        case .backslash: "The URL has a backslash"
        case .fragment: "The URL has a fragment"
        case .scheme: "The URL must begin with https://"
        case .notHTTPS: "The URL must use https"
        case .userInfo: "The URL has a user name or password"
        case .zoneID: "The URL's address has a zone id"
        case .port: "The URL's port must be a number from 1 to 65535"
        case .host: "The URL's host is not a valid name or address"
        case .singleLabel: "The URL's host must be a full domain name"
        case .numericName: "The URL's host name ends in a number"
        case .specialName: "The URL's host name is reserved for local use"
        case .addressDenied: "The URL's address is not allowed"
        }
    }
}

package struct EndpointURL: Hashable, Sendable {
    package static let maximumBytes = 2048

    package let isTLS: Bool
    /// Lower case, without brackets and without a last dot; a literal address in its canonical text.
    package let host: String
    /// Where to connect without asking DNS: a literal address.
    package let literal: IPAddress?
    package let port: UInt16
    /// Path and query as they were written; `/` where there was none.
    package let target: String
    /// The value of `Host`.
    package let hostHeader: String
    /// The name a certificate must be for and SNI tells; nil if the host is an address.
    package let serverName: String?

    /// - Parameters:
    ///   - allowHTTP: `egress.allowHTTP`.
    ///   - policy: judges literal addresses.
    package init(_ text: String, allowHTTP: Bool, policy: AddressPolicy) throws(EndpointFault) {
        let bytes = Array(text.utf8)
        try Self.checkCharacters(bytes)
        let (isTLS, afterScheme) = try Self.scheme(bytes)
        if !isTLS && !allowHTTP { throw .notHTTPS }

        let rest = bytes[afterScheme...]
        let authorityEnd = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
        let authority = rest[..<authorityEnd]
        if authority.contains(UInt8(ascii: "@")) { throw .userInfo }
        let (hostText, portText) = try Self.splitAuthority(authority)
        let standardPort: UInt16 = isTLS ? 443 : 80
        let port = try portText.map(Self.port) ?? standardPort

        self.isTLS = isTLS
        self.port = port
        let path = String(decoding: rest[authorityEnd...], as: UTF8.self)
        target = path.first == "/" ? path : "/" + path

        let host = try EndpointHost(hostText)
        if let literal = host.literal, case .denied = policy.judge(literal, port: port) { throw .addressDenied }
        self.host = host.text
        literal = host.literal
        serverName = host.isAddress ? nil : host.text
        let bracketed = host.isAddress && host.text.contains(":") ? "[\(host.text)]" : host.text
        hostHeader = port == standardPort ? bracketed : "\(bracketed):\(port)"
    }

    private static func checkCharacters(_ bytes: [UInt8]) throws(EndpointFault) {
        if bytes.isEmpty { throw .empty }
        if bytes.count > maximumBytes { throw .tooLong }
        for byte in bytes {
            switch byte {
            case 0x20, 0x09...0x0d: throw .whiteSpace
            case 0x00...0x1f, 0x7f: throw .controlCharacter
            case 0x80...: throw .notASCII
            case UInt8(ascii: "\\"): throw .backslash
            case UInt8(ascii: "#"): throw .fragment
            default: break
            }
        }
    }

    private static func scheme(_ bytes: [UInt8]) throws(EndpointFault) -> (isTLS: Bool, end: Int) {
        let lowered = bytes.prefix(8).map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }
        if lowered.starts(with: "https://".utf8) { return (true, 8) }
        if lowered.starts(with: "http://".utf8) { return (false, 7) }
        throw .scheme
    }

    private static func splitAuthority(
        _ authority: ArraySlice<UInt8>
    ) throws(EndpointFault) -> (host: ArraySlice<UInt8>, port: ArraySlice<UInt8>?) {
        let colon = UInt8(ascii: ":")
        var hostEnd = authority.firstIndex(of: colon) ?? authority.endIndex
        if authority.first == UInt8(ascii: "[") {
            guard let bracket = authority.firstIndex(of: UInt8(ascii: "]")) else { throw .host }
            hostEnd = bracket + 1
        }
        let host = authority[..<hostEnd]
        let after = authority[hostEnd...]
        if after.isEmpty { return (host, nil) }
        guard after.first == colon else { throw .host }
        return (host, after.dropFirst())
    }

    private static func port(_ digits: ArraySlice<UInt8>) throws(EndpointFault) -> UInt16 {
        guard (1...5).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let value = UInt16(String(decoding: digits, as: UTF8.self)), value > 0
        else { throw .port }
        return value
    }
}
