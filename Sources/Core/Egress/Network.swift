// A CIDR block, as the deny table and the configuration name them.

package struct Network: Hashable, Sendable, CustomStringConvertible {
    private let base: IPAddress
    /// Bits that count, of 128; an IPv4 block's /n is n + 96 here.
    private let prefixLength: Int

    /// `10.0.0.0/8`, `fd00::/8`, or a bare address; nil if it is neither or has bits set behind the prefix.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let base = IPAddress(String(parts[0])) else { return nil }
        let width = base.isV4 && !parts[0].contains(":") ? 32 : 128
        var length = width
        if parts.count == 2 {
            let digits = parts[1].utf8
            guard (1...3).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
                let value = Int(parts[1]), value <= width
            else { return nil }
            length = value
        }
        self.base = base
        prefixLength = length + 128 - width
        guard Self.masked(base, prefixLength) == base else { return nil }
    }

    /// IPv6 blocks shorter than /96 do not hold the mapped IPv4 addresses: `::/0` says nothing about IPv4.
    package func contains(_ address: IPAddress) -> Bool {
        if address.isV4 && prefixLength < 96 { return false }
        return Self.masked(address, prefixLength) == base
    }

    @inline(__always)
    private static func masked(_ address: IPAddress, _ length: Int) -> IPAddress {
        // A shift by 64 gives 0 with Swift's smart shifts, which is what an empty mask must be.
        let high = length >= 64 ? UInt64.max : ~(UInt64.max >> UInt64(length))
        let low = length <= 64 ? 0 : ~(UInt64.max >> UInt64(length - 64))
        return IPAddress(high: address.high & high, low: address.low & low)
    }

    package var description: String {
        base.isV4 && prefixLength >= 96 ? "\(base)/\(prefixLength - 96)" : "\(base)/\(prefixLength)"
    }
}
