// TLS by OpenSSL: at least 1.2, always verified, one stream per connection over a non-blocking socket.
// Errors of OpenSSL are in a queue of the thread, so every call is preceded by clearing it.
internal import COpenSSL
internal import Core
internal import Glibc
internal import Runtime

/// Settings and session cache of one engine thread.
final class TLSContext: @unchecked Sendable {
    // @unchecked: made by the thread that makes the engine, so that a bad bundle is told to it, then used by the owner only.
    private static let maximumSessions = 8192

    private let context: OpaquePointer
    private var sessions: [PoolKey: Session] = [:]

    private struct Session {
        let handle: OpaquePointer
        /// When the certificate it goes back to was verified, monotonic nanoseconds: a resumption verifies nothing, and
        /// brings new sessions of its own.
        let verifiedAt: UInt64
    }

    /// After this a handshake is made in full again, so that a certificate that has expired is seen.
    private static let resumableNanoseconds: UInt64 = 3_600_000_000_000

    init(authoritiesFile: String?) throws(HTTPEngineFault) {
        OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
        ERR_clear_error()
        guard let context = SSL_CTX_new(TLS_client_method()) else { throw .tlsUnavailable(Self.errorText()) }
        self.context = context
        copenssl_set_min_tls_1_2(context)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        // A close without close_notify is judged by HTTP's framing, not as a fault of TLS.
        SSL_CTX_set_options(
            context, copenssl_ignore_unexpected_eof() | copenssl_no_compression() | copenssl_no_renegotiation())
        copenssl_set_mode(context, copenssl_write_modes())
        copenssl_set_read_ahead(context)
        guard SSL_CTX_set_default_verify_paths(context) == 1 else { throw .authoritiesFile("system default") }
        if let authoritiesFile {
            guard SSL_CTX_load_verify_locations(context, authoritiesFile, nil) == 1 else {
                throw .authoritiesFile(authoritiesFile)
            }
        }
        let protocols: [UInt8] = [8] + Array("http/1.1".utf8)
        SSL_CTX_set_alpn_protos(context, protocols, UInt32(protocols.count))
        copenssl_cache_client_sessions(context)
        SSL_CTX_sess_set_new_cb(context) { ssl, session in
            guard let ssl, let session, let data = SSL_get_ex_data(ssl, 0) else { return 0 }
            Unmanaged<TLSStream>.fromOpaque(data).takeUnretainedValue().keep(session)
            return 1
        }
    }

    deinit {
        for session in sessions.values { SSL_SESSION_free(session.handle) }
        SSL_CTX_free(context)
    }

    /// - Parameter serverName: nil for a literal address, which is then what the certificate must name.
    func stream(over descriptor: Int32, _ key: PoolKey, serverName: String?) -> TLSStream? {
        ERR_clear_error()
        guard let ssl = SSL_new(context) else { return nil }
        guard SSL_set_fd(ssl, descriptor) == 1, let parameters = SSL_get0_param(ssl) else {
            SSL_free(ssl)
            return nil
        }
        // The common name is no host name, and `*` stands for a whole label or for nothing.
        X509_VERIFY_PARAM_set_hostflags(
            parameters, UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        var isBound: Bool
        if let serverName {
            isBound = X509_VERIFY_PARAM_set1_host(parameters, serverName, 0) == 1
            isBound = isBound && copenssl_set_server_name(ssl, serverName) == 1
        } else if let v4 = key.address.v4 {
            let bytes = (0..<4).map { UInt8(truncatingIfNeeded: v4 >> UInt32(24 - 8 * $0)) }
            isBound = X509_VERIFY_PARAM_set1_ip(parameters, bytes, 4) == 1
        } else {
            isBound = X509_VERIFY_PARAM_set1_ip(parameters, key.address.bytes, 16) == 1
        }
        guard isBound else {
            SSL_free(ssl)
            return nil
        }
        SSL_set_connect_state(ssl)
        let now = Clock.monotonic()
        if let session = sessions[key], now >= session.verifiedAt + Self.resumableNanoseconds { dropSession(key) }
        guard let session = sessions[key] else { return TLSStream(ssl, key, self, verifiedAt: now) }
        SSL_set_session(ssl, session.handle)
        return TLSStream(ssl, key, self, verifiedAt: session.verifiedAt)
    }

    fileprivate func keep(_ session: OpaquePointer, _ key: PoolKey, verifiedAt: UInt64) {
        if sessions.count >= Self.maximumSessions, sessions[key] == nil, let victim = sessions.first {
            dropSession(victim.key)
        }
        let kept = Session(handle: session, verifiedAt: verifiedAt)
        if let old = sessions.updateValue(kept, forKey: key) { SSL_SESSION_free(old.handle) }
    }

    fileprivate func dropSession(_ key: PoolKey) {
        if let old = sessions.removeValue(forKey: key) { SSL_SESSION_free(old.handle) }
    }

    static func errorText() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(ERR_get_error(), &buffer, buffer.count)
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// The TLS of one connection. Owned by it, on its thread.
final class TLSStream {
    enum Handshake {
        case done(resumed: Bool)
        case inProgress
        case failed(AttemptFailure)
    }

    private let ssl: OpaquePointer
    private let key: PoolKey
    private unowned let context: TLSContext
    /// Of the session it was begun with, or its own begin.
    private let verifiedAt: UInt64
    private let begunAt = Clock.monotonic()

    fileprivate init(_ ssl: OpaquePointer, _ key: PoolKey, _ context: TLSContext, verifiedAt: UInt64) {
        self.ssl = ssl
        self.verifiedAt = verifiedAt
        self.key = key
        self.context = context
        SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit { SSL_free(ssl) }

    fileprivate func keep(_ session: OpaquePointer) {
        context.keep(session, key, verifiedAt: SSL_session_reused(ssl) == 1 ? verifiedAt : begunAt)
    }

    func handshake() -> Handshake {
        ERR_clear_error()
        let status = SSL_do_handshake(ssl)
        if status == 1 { return .done(resumed: SSL_session_reused(ssl) == 1) }
        switch SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .inProgress
        case SSL_ERROR_SSL:
            context.dropSession(key)
            return .failed(certificateFailure() ?? Self.protocolFailure())
        default:
            context.dropSession(key)
            return .failed(.tlsClosed)
        }
    }

    private func certificateFailure() -> AttemptFailure? {
        switch Int32(truncatingIfNeeded: SSL_get_verify_result(ssl)) {
        case X509_V_OK: nil
        case X509_V_ERR_CERT_HAS_EXPIRED: .tlsExpired
        case X509_V_ERR_CERT_NOT_YET_VALID: .tlsNotYetValid
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH: .tlsWrongHost
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: .tlsSelfSigned
        default: .tlsUntrusted
        }
    }

    /// What the error queue says of the peer's last words.
    fileprivate static func protocolFailure() -> AttemptFailure {
        let reason = copenssl_reason(ERR_peek_error())
        switch reason {
        case SSL_R_UNSUPPORTED_PROTOCOL, copenssl_alert_offset() + SSL_AD_PROTOCOL_VERSION: return .tlsTooOld
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST: return .tlsNotSpoken
        case SSL_R_UNEXPECTED_EOF_WHILE_READING: return .tlsClosed
        default: return reason > copenssl_alert_offset() ? .tlsAlert : .tlsFailed
        }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> TransferResult {
        ERR_clear_error()
        let count = SSL_read(ssl, buffer.baseAddress, Int32(buffer.count))
        return count > 0 ? .bytes(Int(count)) : result(count)
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> TransferResult {
        ERR_clear_error()
        let count = SSL_write(ssl, bytes.baseAddress, Int32(clamping: bytes.count))
        return count > 0 ? .bytes(Int(count)) : result(count)
    }

    private func result(_ status: Int32) -> TransferResult {
        switch SSL_get_error(ssl, status) {
        // Either direction may be wanted by either call; both are always registered.
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: .wouldBlock
        case SSL_ERROR_ZERO_RETURN: .ended
        case SSL_ERROR_SSL: .tlsBroken(Self.protocolFailure())
        default: .broken
        }
    }

    /// Bytes were read from the socket which nobody has asked for: no event will tell of them.
    var hasPending: Bool { SSL_has_pending(ssl) == 1 }

    /// Says goodbye without waiting for an answer.
    func shutdown() {
        ERR_clear_error()
        SSL_shutdown(ssl)
    }
}
