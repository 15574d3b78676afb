// What names resolved to, for a short while. A pure value; the resolver asks it before it asks the network.
package import Core

package enum Resolution: Equatable, Sendable {
    case addresses([IPAddress])
    case failed(AttemptFailure)
}

package struct DNSCache: Sendable {
    package static let maximumEntries = 10_000
    package static let shortestSeconds = 1
    package static let longestSeconds = 60
    package static let notFoundSeconds = 5

    private struct Entry {
        let resolution: Resolution
        let expiresAt: UInt64
    }
    private var entries: [String: Entry] = [:]

    package init() {}

    package func find(_ name: String, now: UInt64) -> Resolution? {
        guard let entry = entries[name], now < entry.expiresAt else { return nil }
        return entry.resolution
    }

    /// - Parameter seconds: the shortest time to live of the answer; bounded here, so that neither a 0 makes us ask for
    ///   every attempt nor a week keeps us at an address that was given up.
    package mutating func keep(_ resolution: Resolution, for name: String, seconds: Int, now: UInt64) {
        let kept: Int
        switch resolution {
        case .addresses: kept = min(max(seconds, Self.shortestSeconds), Self.longestSeconds)
        case .failed(.dnsNotFound): kept = Self.notFoundSeconds
        // A broken or slow resolver is asked again by the next attempt.
        case .failed: return
        }
        if entries.count >= Self.maximumEntries { makeRoom(now) }
        entries[name] = Entry(resolution: resolution, expiresAt: now + UInt64(kept) * 1_000_000_000)
    }

    private mutating func makeRoom(_ now: UInt64) {
        entries = entries.filter { now < $0.value.expiresAt }
        if entries.count >= Self.maximumEntries { entries.removeAll(keepingCapacity: true) }
    }
}
