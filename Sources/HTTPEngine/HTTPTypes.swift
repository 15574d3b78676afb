// What goes into the engine and what comes out of it.
package import Core
package import Runtime

/// A receiver as the engine knows it: its URL and the part of the request's head that is the same for every attempt.
/// Made once a webhook (again when its URL changes) and shared by all its requests.
package final class HTTPEndpoint: Sendable {
    package let url: EndpointURL
    /// Request line, `Host` and the fixed header lines.
    let fixedHead: [UInt8]
    /// Where no name has to be resolved: the one address.
    let literal: [IPAddress]

    /// - Parameter fixedLines: header lines of every attempt (`User-Agent`, `Content-Type`), each ended by CRLF.
    package init(_ url: EndpointURL, fixedLines: [UInt8] = []) {
        self.url = url
        fixedHead = Array("POST \(url.target) HTTP/1.1\r\nHost: \(url.hostHeader)\r\n".utf8) + fixedLines
        literal = url.literal.map { [$0] } ?? []
    }
}

/// One attempt. It becomes exactly one request on the wire, or none; never two.
package struct HTTPRequest: Sendable {
    /// Comes back in the result; means nothing to the engine.
    package var token: UInt64
    /// Requests of one affinity are served by one thread, so that they share connections.
    package var affinity: Int
    package var endpoint: HTTPEndpoint
    /// Header lines of this attempt, each ended by CRLF. The engine adds `Content-Length` and the empty line.
    package var headerLines: [UInt8]
    package var body: [UInt8]
    /// For DNS, connect, TLS, request and response head together; waiting for a free connection is not counted, but
    /// takes no longer than this either.
    package var timeoutMilliseconds: Int
    /// Once it is over no byte of the request is written any more if none has been; nil never ends.
    package var lease: StartLease?
    /// Whether head and body are kept of a success too. It is then told when its body has come as far as it is kept, or the
    /// time is over; its duration ends with the head all the same.
    package var keepsSuccess: Bool

    package init(
        token: UInt64, affinity: Int, endpoint: HTTPEndpoint, headerLines: [UInt8], body: [UInt8],
        timeoutMilliseconds: Int = 5000, lease: StartLease? = nil, keepsSuccess: Bool = false
    ) {
        self.token = token
        self.affinity = affinity
        self.endpoint = endpoint
        self.headerLines = headerLines
        self.body = body
        self.timeoutMilliseconds = timeoutMilliseconds
        self.lease = lease
        self.keepsSuccess = keepsSuccess
    }
}

/// What one attempt came to. Every submitted request gets exactly one.
package struct HTTPResult: Sendable {
    /// Whether the engine itself ended the request, for a reason that is not the receiver's.
    package enum Cancellation: Sendable, Equatable {
        case none
        /// Stopped, out of our own descriptors or ports, or no connection became free within the time limit. No byte of
        /// the request was written: this was no attempt, and `outcome` is not to be held against the receiver.
        case beforeSending
        /// The request's lease was over before a byte of it was written: no attempt either.
        case tooLate
        /// Stopped under way; the receiver may have got it.
        case afterSending
    }

    package var token: UInt64
    package var outcome: Outcome
    package var cancellation: Cancellation
    /// Milliseconds since 1970.
    package var startedAtWall: Int64
    package var durationMicroseconds: Int
    package var retryAfterSeconds: Int?
    /// Status line and headers, at most 4 KiB; empty after a success that is not kept.
    package var responseHead: [UInt8]
    /// At most 1 KiB; empty after a success that is not kept.
    package var bodyPrefix: [UInt8]
    package var reusedConnection: Bool
}

package struct HTTPEngineConfiguration: Sendable {
    package var policy = AddressPolicy()
    /// PEM file of trusted authorities; nil means the system's.
    package var authoritiesFile: String?
    /// `address` or `address:port`; empty means what /etc/resolv.conf says.
    package var nameservers: [String] = []
    /// Local addresses to connect from, one of a family at most; a family without one leaves it to the system.
    package var sourceAddresses: [IPAddress] = []
    /// Open connections of all threads together.
    package var maximumConnections = 4096
    /// Open connections of one receiver (host, port and address). Many webhooks may be with one provider, and those that
    /// hang there must leave room for the others: each has 16 at most, and soon 1 or 2 where it only times out; and where all
    /// are taken, the webhooks that wait get them in turn.
    package var maximumConnectionsPerHost = 256
    package var idleSeconds = 15
    package var connectionAgeSeconds = 300

    package init() {}
}

package enum HTTPEngineFault: Error, Equatable {
    case tlsUnavailable(String)
    /// The file with the trusted authorities cannot be read or has none.
    case authoritiesFile(String)
    /// The resolver's library refused its settings: a nameserver that is no address.
    case resolver(String)
    /// The source address is not one of this machine.
    case sourceAddress(IPAddress)
}

package struct HTTPEngineCounters: Equatable, Sendable {
    package var connectionsOpen = 0
    package var connectionsIdle = 0
    /// Being connected or shaking hands; among the open ones.
    package var connectionsOpening = 0
    /// Requests without a result yet.
    package var inFlight = 0
    package var connects = 0
    package var reuses = 0
    package var tlsHandshakes = 0
    package var tlsResumptions = 0
    package var dnsQueries = 0
    package var dnsFound = 0
    package var dnsNotFound = 0
    package var dnsFailed = 0
    package var dnsTimeouts = 0
    package var dnsCacheHits = 0
    package var addressesDenied = 0
    /// Requests whose lease was over before they had begun.
    package var startsTooLate = 0

    package init() {}

    mutating func add(_ other: HTTPEngineCounters) {
        connectionsOpen += other.connectionsOpen
        connectionsIdle += other.connectionsIdle
        connectionsOpening += other.connectionsOpening
        inFlight += other.inFlight
        connects += other.connects
        reuses += other.reuses
        tlsHandshakes += other.tlsHandshakes
        tlsResumptions += other.tlsResumptions
        dnsQueries += other.dnsQueries
        dnsFound += other.dnsFound
        dnsNotFound += other.dnsNotFound
        dnsFailed += other.dnsFailed
        dnsTimeouts += other.dnsTimeouts
        dnsCacheHits += other.dnsCacheHits
        addressesDenied += other.addressesDenied
        startsTooLate += other.startsTooLate
    }

    /// One look-up came to its end.
    mutating func count(_ resolution: Resolution) {
        switch resolution {
        case .addresses: dnsFound += 1
        case .failed(.dnsNotFound): dnsNotFound += 1
        case .failed(.dnsTimeout): dnsTimeouts += 1
        case .failed: dnsFailed += 1
        }
    }
}
