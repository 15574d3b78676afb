// Everything that can come of one attempt. One enum, so that the log's text, the metric's name and the retry decision
// cannot disagree.

/// Why an attempt has no HTTP status that could be judged. The raw value is the metric's label.
package enum AttemptFailure: String, Sendable, CaseIterable {
    case dnsNotFound = "dns_not_found"
    case dnsFailed = "dns_failed"
    case dnsTimeout = "dns_timeout"
    case addressDenied = "address_denied"
    case connectRefused = "connect_refused"
    case connectTimeout = "connect_timeout"
    case connectFailed = "connect_failed"
    case tlsExpired = "tls_expired"
    case tlsWrongHost = "tls_wrong_host"
    case tlsUntrusted = "tls_untrusted"
    case tlsFailed = "tls_failed"
    case tlsTimeout = "tls_timeout"
    case responseTimeout = "response_timeout"
    case connectionReset = "connection_reset"
    case connectionClosed = "connection_closed"
    case reusedConnectionClosed = "reused_connection_closed"
    case responseMalformed = "response_malformed"
    case responseHeadTooLarge = "response_head_too_large"
    case tooManyInterimResponses = "too_many_interim_responses"
    case endpointInvalid = "endpoint_invalid"

    /// What the log API shows as `error`; fixed texts that tell nothing about our own network.
    package var text: String {
        switch self {
        case .dnsNotFound: "DNS name not found"
        case .dnsFailed: "DNS lookup failed"
        case .dnsTimeout: "DNS lookup timeout"
        case .addressDenied: "Endpoint address not allowed"
        case .connectRefused: "Connection refused"
        case .connectTimeout: "Connection timeout"
        case .connectFailed: "Connection failed"
        case .tlsExpired: "TLS certificate expired or not yet valid"
        case .tlsWrongHost: "TLS certificate is for another host"
        case .tlsUntrusted: "TLS certificate is not trusted"
        case .tlsFailed: "TLS handshake failed"
        case .tlsTimeout: "TLS handshake timeout"
        case .responseTimeout: "Response timeout"
        case .connectionReset: "Connection reset"
        case .connectionClosed: "Connection closed before a complete response head"
        case .reusedConnectionClosed: "Reused connection closed before a response"
        case .responseMalformed: "Malformed HTTP response"
        case .responseHeadTooLarge: "Response head too large"
        case .tooManyInterimResponses: "Too many interim responses"
        case .endpointInvalid: "Endpoint URL is no longer allowed"
        }
    }
}

/// What one attempt came to.
package enum Outcome: Equatable, Sendable {
    /// A complete header block with this status (100–999) within the time limit.
    case answered(status: Int)
    case failed(AttemptFailure)

    /// Success is 200–299 (contract §1); a redirect is a failure.
    package var isSuccess: Bool {
        if case .answered(let status) = self { return (200..<300).contains(status) }
        return false
    }

    package var status: Int? {
        if case .answered(let status) = self { return status }
        return nil
    }

    /// The log API's `error`; nil after a success.
    package var errorText: String? {
        switch self {
        case .answered(let status):
            isSuccess
                ? nil : (300..<400).contains(status) ? "HTTP \(status) (redirects are not followed)" : "HTTP \(status)"
        case .failed(let failure): failure.text
        }
    }

    /// The label of the attempts metric.
    package var metricLabel: String {
        switch self {
        case .answered(let status): "http_\(status / 100)xx"
        case .failed(let failure): failure.rawValue
        }
    }
}
