// SMTP by libcurl: one connection a message, which blocks its caller. Mails are few, and a server that has to be greeted each
// time never holds a connection that died in the meantime.
internal import CCurl
internal import Core
internal import Runtime

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
    /// Until the message is on its way.
    package var timeoutMilliseconds = 30_000
    /// From then until the server's answer to it: RFC 5321, 4.5.3.2.6. A server that checks what it is given takes its time,
    /// and one that is left early has taken the message and gets it again.
    package var answerMilliseconds = 600_000

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
    private var limits = Limits()

    /// How long each part of a try may take. libcurl has one time for the whole, so these are looked at as it goes on.
    private struct Limits {
        enum Part { case opening, message, goodbye }
        var part = Part.opening
        var since: UInt64 = 0
        /// Why the try was given up: its time was over.
        var isOver = false

        /// For the answer to QUIT; the message has been answered to by then.
        static let goodbyeMilliseconds = 3000

        /// - Returns: whether the part's time is over.
        mutating func look(_ now: UInt64, isIn part: Part, _ settings: SMTPSettings) -> Bool {
            if part != self.part { (self.part, since) = (part, now) }
            let milliseconds =
                switch part {
                case .opening: settings.timeoutMilliseconds
                case .message: settings.answerMilliseconds
                case .goodbye: Self.goodbyeMilliseconds
                }
            isOver = now >= since + UInt64(milliseconds) * 1_000_000
            return isOver
        }
    }

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

    /// One try. Blocks for the configured timeout, and for the time of the server's answer, at most.
    /// - Parameter mustStop: asked about once a second, with whether the message itself is on its way: before that the
    ///   server cannot have taken it. true gives the try up.
    func send(_ message: MailMessage, mustStop: @escaping (_ hasBegun: Bool) -> Bool) -> MailTry {
        self.mustStop = mustStop
        limits = Limits()
        limits.since = Clock.monotonic()
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
        // For the connection and the login. The whole has no time of its own: `Limits` has, and where libcurl waits for an answer
        // without asking it, this one, in seconds; its own is two minutes.
        ccurl_set_number(curl, CURLOPT_CONNECTTIMEOUT_MS, settings.timeoutMilliseconds)
        ccurl_set_number(
            curl, CURLOPT_SERVER_RESPONSE_TIMEOUT,
            max(settings.answerMilliseconds, settings.timeoutMilliseconds) / 1000 + 10)
        ccurl_set_number(curl, CURLOPT_NOSIGNAL, 1)
        ccurl_set_number(curl, CURLOPT_FORBID_REUSE, 1)
        // A look-up that hangs must not hold up the end of the process.
        ccurl_set_number(curl, CURLOPT_QUICK_EXIT, 1)
        ccurl_set_error_buffer(curl, errorText)
        ccurl_set_progress(curl, onProgress, Unmanaged.passUnretained(self).toOpaque())
    }

    fileprivate func mustStop(uploaded: curl_off_t) -> Bool {
        let hasBegun = uploaded > 0 || limits.part != .opening
        // The code of the answer that came last; what is sent then is what this one asked for.
        let isAnswered = hasBegun && ccurl_response_code(handle.curl) != Self.goAhead
        let part: Limits.Part = !hasBegun ? .opening : isAnswered ? .goodbye : .message
        return limits.look(Clock.monotonic(), isIn: part, settings) || mustStop(hasBegun)
    }

    /// To DATA.
    private static let goAhead = 354

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
        let isLate = result == CURLE_ABORTED_BY_CALLBACK && limits.isOver
        var cause = String(cString: curl_easy_strerror(isLate ? CURLE_OPERATION_TIMEDOUT : result))
        if isAnswer { cause += " (\(code))" }
        return .failed(cause: cause, hadBegun: ccurl_uploaded_bytes(handle.curl) > 0)
    }
}

private func onProgress(
    _ context: UnsafeMutableRawPointer?, _: curl_off_t, _: curl_off_t, _: curl_off_t, _ uploaded: curl_off_t
) -> Int32 {
    guard let context else { return 0 }
    return Unmanaged<SMTPClient>.fromOpaque(context).takeUnretainedValue().mustStop(uploaded: uploaded) ? 1 : 0
}
