// How long a try takes at most, with a server that stops answering at one place.
import Core
import Glibc
import Runtime
import Testing

@testable import Mail

/// Speaks SMTP with one client, and says nothing more from one command on. Owns a thread until it is closed.
private final class MuteServer: Sendable {
    let port: UInt16
    private let listener: Int32
    private let client = Guarded<Int32?>(nil)
    private let thread = Guarded<OwnedThread?>(nil)

    /// - Parameter silent: the command that is not answered, `.` for the message itself.
    init(silent: String) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(listener >= 0)
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(listener, pointer, length) + listen(listener, 1) + getsockname(listener, pointer, &length)
            }
        }
        try #require(status == 0)
        port = UInt16(bigEndian: address.sin_port)
        let started = OwnedThread(name: "mute") { [self] in serve(silent) }
        thread.withLock { $0 = started }
    }

    func close() {
        shutdown(listener, Int32(SHUT_RDWR))
        if let client = client.withLock({ $0 }) { shutdown(client, Int32(SHUT_RDWR)) }
        thread.withLock { $0.take() }?.join()
        Glibc.close(listener)
    }

    private func serve(_ silent: String) {
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { return }
        client.withLock { $0 = connection }
        defer { Glibc.close(connection) }
        say("220 mute.example", connection)
        var text = ""
        var isMessage = false
        var isMute = false
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(connection, &bytes, bytes.count, 0)
            guard count > 0 else { return }
            text += String(decoding: bytes[0..<count], as: UTF8.self)
            while let end = text.range(of: isMessage ? "\r\n.\r\n" : "\r\n") {
                let command = isMessage ? "." : String(text[..<end.lowerBound].prefix(4))
                text = String(text[end.upperBound...])
                isMute = isMute || command == silent
                guard !isMute else { continue }
                isMessage = command == "DATA"
                say(isMessage ? "354 Go on" : "250 OK", connection)
            }
        }
    }

    private func say(_ line: String, _ connection: Int32) {
        let bytes = Array((line + "\r\n").utf8)
        _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}

extension String {
    /// The first place of a text; without Foundation.
    fileprivate func range(of text: String) -> Range<String.UTF8View.Index>? {
        var place = utf8.startIndex
        while place != utf8.endIndex {
            if utf8[place...].starts(with: text.utf8) { return place..<utf8.index(place, offsetBy: text.utf8.count) }
            place = utf8.index(after: place)
        }
        return nil
    }
}

@Suite(.timeLimit(.minutes(1))) struct SMTPClientTests {
    private func outcome(
        silent: String, opening: Int, answer: Int, mustStop: @escaping (Bool) -> Bool = { _ in false }
    ) throws -> MailTry {
        let server = try MuteServer(silent: silent)
        defer { server.close() }
        var settings = SMTPSettings(server: "smtp://127.0.0.1:\(server.port)", from: "webhooks@bridge.example")
        settings.requireTLS = false
        settings.timeoutMilliseconds = opening
        settings.answerMilliseconds = answer
        let message = try MailMessage(
            id: EmailID(high: 1, low: 1), account: AccountID(high: 1, low: 1), template: "t", to: "ops@example.com",
            subject: "s", text: "t", html: "h", createdAt: Timestamp(milliseconds: 0))
        return SMTPClient(settings).send(message, mustStop: mustStop)
    }

    /// Each of the two times is far longer than the test where it is not the one that counts.
    @Test(arguments: [("EHLO", false), ("MAIL", false), ("RCPT", false), ("DATA", false), (".", true)])
    func aServerThatFallsSilentIsLeftInTime(silent: String, hasBegun: Bool) throws {
        let said = try outcome(
            silent: silent, opening: hasBegun ? 600_000 : 1000, answer: hasBegun ? 1000 : 600_000)
        #expect(said == .failed(cause: "Timeout was reached", hadBegun: hasBegun))
    }

    @Test func aMessageThatWasAnsweredIsTakenWhateverBecomesOfTheGoodbye() throws {
        #expect(try outcome(silent: "QUIT", opening: 600_000, answer: 600_000) == .taken)
    }

    @Test(arguments: ["RCPT", "."])
    func whatMustStopDoes(silent: String) throws {
        let said = try outcome(silent: silent, opening: 600_000, answer: 600_000) { hasBegun in
            hasBegun == (silent == ".")
        }
        guard case .failed(_, let hadBegun) = said else { return #expect(Bool(false), "\(said)") }
        #expect(hadBegun == (silent == "."))
    }
}
