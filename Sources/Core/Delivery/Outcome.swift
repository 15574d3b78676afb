// Everything that can come of one attempt. One enum, so that the log's text, the metric's name, the lane's and the
// circuit's judgement cannot disagree.

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
    case tlsNotYetValid = "tls_not_yet_valid"
    case tlsWrongHost = "tls_wrong_host"
    case tlsSelfSigned = "tls_self_signed"
    case tlsUntrusted = "tls_untrusted"
    case tlsTooOld = "tls_too_old"
    case tlsNotSpoken = "tls_not_spoken"
    case tlsAlert = "tls_alert"
    case tlsClosed = "tls_closed"
    case tlsFailed = "tls_failed"
    case tlsTimeout = "tls_timeout"
    case responseTimeout = "response_timeout"
    case connectionReset = "connection_reset"
    case connectionClosed = "connection_closed"
    case reusedConnectionClosed = "reused_connection_closed"
    case responseNotHTTP = "response_not_http"
    case responseStatusInvalid = "response_status_invalid"
    case responseHeaderInvalid = "response_header_invalid"
    case responseLengthInvalid = "response_length_invalid"
    case protocolSwitched = "protocol_switched"
    case responseHeadTooLarge = "response_head_too_large"
    case tooManyInterimResponses = "too_many_interim_responses"
    case endpointInvalid = "endpoint_invalid"
    case secretUnavailable = "secret_unavailable"

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
        case .tlsExpired: "TLS certificate expired"
        case .tlsNotYetValid: "TLS certificate is not yet valid"
        case .tlsWrongHost: "TLS certificate is for another host"
        case .tlsSelfSigned: "TLS certificate is self-signed"
        case .tlsUntrusted: "TLS certificate is not trusted"
        case .tlsTooOld: "TLS 1.2 or newer is required"
        case .tlsNotSpoken: "Endpoint does not speak TLS on this port"
        case .tlsAlert: "Endpoint refused the TLS handshake"
        case .tlsClosed: "Connection closed in the TLS handshake"
        case .tlsFailed: "TLS handshake failed"
        case .tlsTimeout: "TLS handshake timeout"
        case .responseTimeout: "Response timeout"
        case .connectionReset: "Connection reset"
        case .connectionClosed: "Connection closed before a complete response head"
        case .reusedConnectionClosed: "Reused connection closed before a response"
        case .responseNotHTTP: "Response is not HTTP/1.1"
        case .responseStatusInvalid: "Response status is not one of HTTP's"
        case .responseHeaderInvalid: "Malformed response header"
        case .responseLengthInvalid: "Contradictory or malformed response length"
        case .protocolSwitched: "Protocol switch refused"
        case .responseHeadTooLarge: "Response head too large"
        case .tooManyInterimResponses: "Too many interim responses"
        case .endpointInvalid: "Endpoint URL is no longer allowed"
        case .secretUnavailable: "Signing secret is not available"
        }
    }
}

/// What one attempt came to.
package enum Outcome: Equatable, Sendable {
    /// A complete header block with this status (200–599) within the time limit.
    case answered(status: Int)
    case failed(AttemptFailure)

    /// How it ended, as far as it speaks of the receiver's load.
    package enum Ending: Sendable, CaseIterable {
        /// It keeps up: there may be one more at a time.
        case success
        /// It does not keep up, or says so: there should be fewer at a time.
        case overload
        /// It failed for a reason that has nothing to do with how much it gets.
        case failure
    }

    /// What the lane makes of it (design §2): overload is a timeout on the receiver's side, 408, 429 or any 5xx. A slow
    /// nameserver says nothing of the receiver.
    package var ending: Ending {
        switch self {
        case .answered(let status):
            isSuccess ? .success : status >= 500 || status == 429 || status == 408 ? .overload : .failure
        case .failed(.connectTimeout), .failed(.tlsTimeout), .failed(.responseTimeout): .overload
        case .failed: .failure
        }
    }

    /// Whether it is one of the failures in a row that open the circuit. What never left our process is not: there is
    /// nobody to spare, and a probe would tell no more.
    package var countsForCircuit: Bool {
        switch self {
        case .answered: !isSuccess
        case .failed(.addressDenied), .failed(.endpointInvalid), .failed(.secretUnavailable): false
        case .failed: true
        }
    }

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
