// Which address of a name is tried next, and when (RFC 8305 §5): one after the other without waiting for the one before
// to give up. The first connection that stands is taken, the others are closed. A pure value; sockets are the engine's.
package import Core

package struct AddressRace: Sendable {
    /// Addresses of a name that are tried at most; the rest is judged, but not connected to.
    package static let maximumCandidates = 8
    /// RFC 8305 §8, "Connection Attempt Delay".
    package static let delayNanoseconds: UInt64 = 250_000_000

    private let addresses: [IPAddress]
    private var begun: UInt8 = 0
    private var nextAt: UInt64 = 0

    /// - Parameter addresses: in the order they are to be tried; see ``interleaved``.
    package init(_ addresses: [IPAddress] = []) { self.addresses = addresses }

    package var candidates: ArraySlice<IPAddress> { addresses.prefix(Self.maximumCandidates) }

    /// Alternates the families, IPv6 first, each in the order its answer had (RFC 8305 §4).
    package static func interleaved(v6: [IPAddress], v4: [IPAddress]) -> [IPAddress] {
        var addresses: [IPAddress] = []
        addresses.reserveCapacity(v6.count + v4.count)
        for position in 0..<max(v6.count, v4.count) {
            if position < v6.count { addresses.append(v6[position]) }
            if position < v4.count { addresses.append(v4[position]) }
        }
        return addresses
    }

    /// When `next` has another address; nil when all were tried.
    package var nextStart: UInt64? {
        begun.nonzeroBitCount < candidates.count ? nextAt : nil
    }

    /// A connection to this address is being made.
    package mutating func began(_ address: IPAddress, now: UInt64) {
        if let position = candidates.firstIndex(of: address) { begun |= 1 << UInt8(position) }
        nextAt = now + Self.delayNanoseconds
    }

    /// One of them failed: no reason to wait with the next.
    package mutating func failed(now: UInt64) { nextAt = min(nextAt, now) }

    /// The address to try now, if one is due.
    package mutating func next(now: UInt64) -> IPAddress? {
        guard now >= nextAt, let position = candidates.indices.first(where: { begun >> UInt8($0) & 1 == 0 }) else {
            return nil
        }
        began(addresses[position], now: now)
        return addresses[position]
    }
}
