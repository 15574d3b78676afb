// Where the bridge may send to. One classifier decides; its enum carries the text and the metric's name. It judges the
// 16 bytes of an address: every literal at registration and every resolved address before each connect.

/// What kind of place an address is.
package enum AddressClass: String, Sendable, CaseIterable {
    case global
    case ownListener = "own_listener"
    case configured
    case thisNetwork = "this_network"
    case privateUse = "private_use"
    case carrierShared = "carrier_shared"
    case loopback
    case linkLocal = "link_local"
    case platform
    case protocolAssignment = "protocol_assignment"
    case documentation
    case benchmarking
    case relay
    case multicast
    case reserved
    case embeddedIPv4 = "embedded_ipv4"
    case uniqueLocal = "unique_local"
    case notGlobalUnicast = "not_global_unicast"

    /// For operators' logs. Never shown to a subscriber: it would describe our network.
    package var text: String {
        switch self {
        case .global: "globally reachable"
        case .ownListener: "a listener of this process"
        case .configured: "denied by egress.denyNetworks"
        case .thisNetwork: "\"this network\" or unspecified"
        case .privateUse: "private use"
        case .carrierShared: "shared by a carrier (CGNAT)"
        case .loopback: "loopback"
        case .linkLocal: "link local (cloud metadata lives here)"
        case .platform: "a cloud platform's virtual host"
        case .protocolAssignment: "reserved for protocols"
        case .documentation: "reserved for documentation"
        case .benchmarking: "reserved for benchmarks"
        case .relay: "a 6to4 relay"
        case .multicast: "multicast"
        case .reserved: "reserved or broadcast"
        case .embeddedIPv4: "IPv6 with an IPv4 address inside"
        case .uniqueLocal: "unique local"
        case .notGlobalUnicast: "outside IPv6's global unicast space"
        }
    }

    package var metricLabel: String { rawValue }
}

package enum AddressVerdict: Equatable, Sendable {
    case allowed
    case denied(AddressClass)
}

package struct AddressPolicy: Equatable, Sendable {
    /// An address and port something of ours listens at.
    package struct Listener: Hashable, Sendable {
        package let address: IPAddress
        package let port: UInt16
        package init(address: IPAddress, port: UInt16) {
            self.address = address
            self.port = port
        }
    }

    private let allow: [Network]
    private let deny: [Network]
    private let ownListeners: Set<Listener>

    /// - Parameters:
    ///   - allow: win over both deny lists, never over our own listeners (`egress.allowNetworks`).
    ///   - deny: in addition to the built-in table (`egress.denyNetworks`).
    ///   - ownListeners: our API and ops listeners; a wildcard one counts for loopback, the caller adds interfaces.
    package init(allow: [Network] = [], deny: [Network] = [], ownListeners: Set<Listener> = []) {
        self.allow = allow
        self.deny = deny
        self.ownListeners = ownListeners
    }

    package func isExplicitlyAllowed(_ address: IPAddress) -> Bool {
        allow.contains { $0.contains(address) }
    }

    /// - Parameter port: 0 asks about the address alone.
    package func judge(_ address: IPAddress, port: UInt16 = 0) -> AddressVerdict {
        if port != 0, !ownListeners.isEmpty, isOwnListener(address, port) { return .denied(.ownListener) }
        if !allow.isEmpty, isExplicitlyAllowed(address) { return .allowed }
        if !deny.isEmpty, deny.contains(where: { $0.contains(address) }) { return .denied(.configured) }
        let place = Self.classify(address)
        return place == .global ? .allowed : .denied(place)
    }

    private func isOwnListener(_ address: IPAddress, _ port: UInt16) -> Bool {
        if ownListeners.contains(Listener(address: address, port: port)) { return true }
        // Linux connects to 0.0.0.0 and :: as to loopback, and a wildcard listener hears all of loopback.
        guard Self.isLoopback(address) || Self.isUnspecified(address) else { return false }
        return ownListeners.contains { listener in
            listener.port == port
                && (Self.isUnspecified(listener.address)
                    || Self.isUnspecified(address) && Self.isLoopback(listener.address))
        }
    }

    private static func isLoopback(_ address: IPAddress) -> Bool {
        if let v4 = address.v4 { return v4 >> 24 == 127 }
        return address.high == 0 && address.low == 1
    }

    private static func isUnspecified(_ address: IPAddress) -> Bool {
        address.v4 == 0 || address.high == 0 && address.low == 0
    }

    // MARK: The built-in table

    package static func classify(_ address: IPAddress) -> AddressClass {
        if let v4 = address.v4 { return classify(v4: v4) }
        return classifyV6(address)
    }

    private static func classify(v4: UInt32) -> AddressClass {
        switch v4 {
        case 0x0000_0000...0x00ff_ffff: .thisNetwork  // 0.0.0.0/8
        case 0x0a00_0000...0x0aff_ffff: .privateUse  // 10.0.0.0/8
        case 0x6440_0000...0x647f_ffff: .carrierShared  // 100.64.0.0/10
        case 0x7f00_0000...0x7fff_ffff: .loopback  // 127.0.0.0/8
        case 0xa83f_8110: .platform  // 168.63.129.16
        case 0xa9fe_0000...0xa9fe_ffff: .linkLocal  // 169.254.0.0/16
        case 0xac10_0000...0xac1f_ffff: .privateUse  // 172.16.0.0/12
        case 0xc000_0000...0xc000_00ff: .protocolAssignment  // 192.0.0.0/24
        case 0xc000_0200...0xc000_02ff: .documentation  // 192.0.2.0/24
        case 0xc058_6300...0xc058_63ff: .relay  // 192.88.99.0/24
        case 0xc0a8_0000...0xc0a8_ffff: .privateUse  // 192.168.0.0/16
        case 0xc612_0000...0xc613_ffff: .benchmarking  // 198.18.0.0/15
        case 0xc633_6400...0xc633_64ff: .documentation  // 198.51.100.0/24
        case 0xcb00_7100...0xcb00_71ff: .documentation  // 203.0.113.0/24
        case 0xe000_0000...0xefff_ffff: .multicast  // 224.0.0.0/4
        case 0xf000_0000...0xffff_ffff: .reserved  // 240.0.0.0/4
        default: .global
        }
    }

    private static func classifyV6(_ address: IPAddress) -> AddressClass {
        let high = address.high
        guard high >> 61 == 1 else {  // outside 2000::/3; the cases only give it a better name
            if high == 0 && address.low == 0 { return .thisNetwork }
            if high == 0 && address.low == 1 { return .loopback }
            if high == 0 || high >> 32 == 0x0064_ff9b { return .embeddedIPv4 }  // compatible, translated, NAT64
            if high >> 57 == 0xfc >> 1 { return .uniqueLocal }  // fc00::/7
            if high >> 54 == 0xfe80 >> 6 { return .linkLocal }  // fe80::/10
            if high >> 56 == 0xff { return .multicast }  // ff00::/8
            return .notGlobalUnicast
        }
        if high >> 41 == 0x2001_00 >> 1 { return .protocolAssignment }  // 2001::/23, Teredo is in it
        if high >> 32 == 0x2001_0db8 { return .documentation }  // 2001:db8::/32
        if high >> 48 == 0x2002 { return .embeddedIPv4 }  // 2002::/16, 6to4
        if high >> 44 == 0x3fff0 { return .documentation }  // 3fff::/20
        // ISATAP carries its target in the interface id: it ends where that IPv4 address ends.
        if (address.low >> 32) & ~0x0200_0000 == 0x5efe,
            classify(v4: UInt32(truncatingIfNeeded: address.low)) != .global
        {
            return .embeddedIPv4
        }
        return .global
    }
}
