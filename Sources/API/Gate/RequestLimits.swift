// How many requests a key may make, and how often one address may fail to authenticate. Each process counts for itself.
internal import Core
internal import HTTPServer
internal import JSON
internal import Runtime

struct RequestLimits: Sendable {
    private let requests: Guarded<RateWindows<String>>?
    private let failures: Guarded<RateWindows<IPAddress>>?

    /// - Parameters:
    ///   - requestsPerMinute: `limits.requestsPerMinute`; 0 is off.
    ///   - authFailuresPerMinute: `limits.authFailuresPerMinute`; 0 is off.
    init(requestsPerMinute: Int, authFailuresPerMinute: Int) {
        requests = requestsPerMinute > 0 ? Guarded(RateWindows(limit: requestsPerMinute)) : nil
        failures = authFailuresPerMinute > 0 ? Guarded(RateWindows(limit: authFailuresPerMinute)) : nil
    }

    /// Counts a request of a valid key; nil where there is no limit.
    func request(key: String, now: UInt64) -> RateVerdict? { requests?.withLock { $0.take(key, now: now) } }

    /// Counts a failed authentication; nil where there is no limit, or no address.
    func failure(address: String, now: UInt64) -> RateVerdict? {
        guard let failures, let network = Self.network(of: address) else { return nil }
        return failures.withLock { $0.take(network, now: now) }
    }

    /// Of IPv6 the /64, which is what one customer has at least; he would have 2^64 tries a minute else.
    static func network(of address: String) -> IPAddress? {
        guard let address = IPAddress(address) else { return nil }
        return address.isV4 ? address : IPAddress(high: address.high, low: 0)
    }
}

extension HTTPServerResponse {
    /// As GitHub writes it: the reset is a time, in seconds since 1970.
    mutating func append(_ verdict: RateVerdict, wallMilliseconds: Int64) {
        headers.append("X-RateLimit-Limit", String(verdict.limit))
        headers.append("X-RateLimit-Remaining", String(verdict.remaining))
        let reset = wallMilliseconds + Int64(verdict.resetNanoseconds / 1_000_000)
        headers.append("X-RateLimit-Reset", String((reset + 999) / 1000))
    }
}

extension APIError {
    static func rateLimited(_ verdict: RateVerdict) -> APIError {
        APIError(
            status: 429, code: "RATE_LIMITED",
            message: "This API key has made \(verdict.limit) requests within a minute, which is the most it may.",
            details: { $0.field("limit", verdict.limit) }, headers: [("Retry-After", String(verdict.retrySeconds))])
    }

    static func tooManyFailures(_ verdict: RateVerdict) -> APIError {
        APIError(
            status: 429, code: "RATE_LIMITED",
            message: "Too many requests without a valid API key came from your address. A valid key is answered.",
            headers: [("Retry-After", String(verdict.retrySeconds))])
    }
}
