// SMTP by libcurl: one connection a message, which blocks its caller. Mails are few, and a server that has to be greeted each
// time never holds a connection that died in the meantime.
internal import CCurl
internal import Core

package struct SMTPSettings: Sendable {
    /// `smtp://host[:port]` or `smtps://host[:port]`.
    package var server: String
    package var from: String
    package var username: String?
    /// Never logged.
    package var password: String?
    /// Send nothing over a connection without TLS.
    package var requireTLS = true
    /// PEM file of authorities to trust beside the system's.
    package var authoritiesFile: String?
    package var timeoutMilliseconds = 30_000

    package init(server: String, from: String) {
        self.server = server
        self.from = from
    }
}

/// Belongs to one thread.
final class SMTPClient {
    private let settings: SMTPSettings
    private let handle: OpaquePointerBox
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    private var mustStop: (_ hasBegun: Bool) -> Bool = { _ in false }

    private struct OpaquePointerBox { let curl: UnsafeMutableRawPointer }

    /// Once a process, and never undone: other threads may be using OpenSSL when it ends.
    private static let isReady: Bool = ccurl_global_init() == CURLE_OK

    init(_ settings: SMTPSettings) {
        self.settings = settings
        precondition(Self.isReady, "curl_global_init failed: out of memory")
        guard let curl = curl_easy_init() else { preconditionFailure("curl_easy_init failed: out of memory") }
        handle = OpaquePointerBox(curl: curl)
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        curl_easy_cleanup(handle.curl)
        errorText.deallocate()
    }

    /// One try. Blocks for the configured timeout at most.
    /// - Parameter mustStop: asked about once a second, with whether the message itself is on its way: before that the
    ///   server cannot have taken it. true gives the try up.
    func send(_ message: MailMessage, mustStop: @escaping (_ hasBegun: Bool) -> Bool) -> MailTry {
        self.mustStop = mustStop
        let curl = handle.curl
        curl_easy_reset(curl)
        errorText[0] = 0
        var lines: UnsafeMutablePointer<curl_slist>?
        var recipients: UnsafeMutablePointer<curl_slist>?
        let mime = curl_mime_init(curl)
        defer {
            curl_mime_free(mime)
            curl_slist_free_all(lines)
            curl_slist_free_all(recipients)
        }
        for line in message.headerLines(from: settings.from) { lines = curl_slist_append(lines, line) }
        recipients = curl_slist_append(nil, "<\(message.to)>")
        for part in message.parts {
            let piece = curl_mime_addpart(mime)
            curl_mime_type(piece, part.type)
            curl_mime_encoder(piece, "quoted-printable")
            var content = part.content
            content.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) { _ = curl_mime_data(piece, $0.baseAddress, $0.count) }
            }
        }
        configure(curl)
        ccurl_set_text(curl, CURLOPT_MAIL_FROM, "<\(settings.from)>")
        ccurl_set_list(curl, CURLOPT_MAIL_RCPT, recipients)
        ccurl_set_list(curl, CURLOPT_HTTPHEADER, lines)
        ccurl_set_mime(curl, mime)
        return judge(curl_easy_perform(curl))
    }

    private func configure(_ curl: UnsafeMutableRawPointer) {
        ccurl_set_text(curl, CURLOPT_URL, settings.server)
        ccurl_set_text(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps")
        // What the environment says of proxies is about something else.
        ccurl_set_text(curl, CURLOPT_PROXY, "")
        if let username = settings.username {
            ccurl_set_text(curl, CURLOPT_USERNAME, username)
            ccurl_set_text(curl, CURLOPT_PASSWORD, settings.password ?? "")
        }
        ccurl_set_number(
            curl, CURLOPT_USE_SSL, settings.requireTLS ? ccurl_tls_required() : ccurl_tls_if_offered())
        ccurl_set_number(curl, CURLOPT_SSLVERSION, ccurl_tls_1_2())
        // The folder of the system's authorities is trusted beside this file.
        if let file = settings.authoritiesFile { ccurl_set_text(curl, CURLOPT_CAINFO, file) }
        ccurl_set_number(curl, CURLOPT_TIMEOUT_MS, settings.timeoutMilliseconds)
        ccurl_set_number(curl, CURLOPT_CONNECTTIMEOUT_MS, settings.timeoutMilliseconds)
        ccurl_set_number(curl, CURLOPT_NOSIGNAL, 1)
        ccurl_set_number(curl, CURLOPT_FORBID_REUSE, 1)
        // A look-up that hangs must not hold up the end of the process.
        ccurl_set_number(curl, CURLOPT_QUICK_EXIT, 1)
        ccurl_set_error_buffer(curl, errorText)
        ccurl_set_progress(curl, onProgress, Unmanaged.passUnretained(self).toOpaque())
    }

    fileprivate func mustStop(uploaded: curl_off_t) -> Bool { mustStop(uploaded > 0) }

    /// An answer counts only where libcurl says that it was what ended the try: its code stays behind after other errors.
    private func judge(_ result: CURLcode) -> MailTry {
        if result == CURLE_OK { return .taken }
        let code = ccurl_response_code(handle.curl)
        let isAnswer = (400..<600).contains(code)
        let said = String(cString: errorText)
        if isAnswer, result == CURLE_SEND_ERROR {
            let part: MailTry.Part =
                said.hasPrefix("MAIL") ? .sender : said.hasPrefix("RCPT") ? .recipient : .message
            return .answered(code: code, to: part)
        }
        if isAnswer, result == CURLE_WEIRD_SERVER_REPLY, ccurl_uploaded_bytes(handle.curl) > 0 {
            return .answered(code: code, to: .message)
        }
        // Not the text of this very error: it may carry what the server said, and so an address.
        var cause = String(cString: curl_easy_strerror(result))
        if isAnswer { cause += " (\(code))" }
        return .failed(cause: cause)
    }
}

private func onProgress(
    _ context: UnsafeMutableRawPointer?, _: curl_off_t, _: curl_off_t, _: curl_off_t, _ uploaded: curl_off_t
) -> Int32 {
    guard let context else { return 0 }
    return Unmanaged<SMTPClient>.fromOpaque(context).takeUnretainedValue().mustStop(uploaded: uploaded) ? 1 : 0
}
