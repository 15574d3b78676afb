// What receivers do, each a row: bytes in, verdict out, whole and byte by byte.
import Core
import HTTPEngine
import Testing

@Suite struct ResponseReaderTests {
    private func read(
        _ text: String, chunk: Int, closes: Bool, keepsSuccess: Bool = false
    ) -> (ResponseReader, ResponseReader.Verdict) {
        var reader = ResponseReader(keepsSuccess: keepsSuccess)
        var verdict = ResponseReader.Verdict.more
        let bytes = Array(text.utf8)
        var position = 0
        while position < bytes.count, verdict == .more {
            let end = min(position + chunk, bytes.count)
            verdict = bytes[position..<end].withUnsafeBytes { reader.receive($0) }
            position = end
        }
        if verdict == .more, closes { verdict = reader.end() }
        return (reader, verdict)
    }

    private static let chunks = [1, 2, 7, 1 << 20]

    private static let wholeAnswers: [(String, Int, Bool)] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, true),
        ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, true),
        ("HTTP/1.1 200 OK\ncontent-length:2\n\nok", 200, true),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, true),
        ("HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n", 302, true),
        ("HTTP/1.1 599 X\r\nContent-Length: 0\r\n\r\n", 599, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", 200, true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, true),
        (
            "HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\no\r\n01\r\nk\r\n0\r\nTrailer: x\r\n\r\n", 500,
            true
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 200, true),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 X\r\nContent-Length: 0\r\n\r\n",
            201, true
        ),
        ("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", 200, false),
        ("HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 0\r\n\r\n", 200, false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 200, false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", 200, true),
    ]

    @Test(arguments: wholeAnswers)
    func readsWholeAnswers(_ text: String, _ status: Int, _ isReusable: Bool) {
        for chunk in Self.chunks {
            let (reader, verdict) = read(text, chunk: chunk, closes: false)
            #expect(verdict == .complete)
            #expect(reader.status == status)
            #expect(reader.isReusable == isReusable)
        }
    }

    /// A complete head decides; whatever the body does can only cost the connection.
    private static let badBodies: [(String, Int)] = [
        ("HTTP/1.1 200 OK\r\n\r\nuntil close", 200),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", 200),
        ("HTTP/1.1 500 X\r\nContent-Length: 5\r\n\r\nok", 500),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 200),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokXX\r\n", 200),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 200),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok", 200),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxxxx", 200),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3000000000\r\n\r\n" + flood("x", 40_000), 200),
        ("HTTP/1.1 500 X\r\n\r\n" + flood("x", 40_000), 500),
        ("HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n" + flood("1\r\nx\r\n", 9000), 500),
        ("HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n1;" + flood("x", 40_000), 500),
        ("HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + flood("T: x\r\n", 9000), 500),
    ]

    @Test(arguments: badBodies)
    func aBadBodyCostsTheConnectionOnly(_ text: String, _ status: Int) {
        for chunk in Self.chunks {
            let (reader, verdict) = read(text, chunk: chunk, closes: true)
            #expect(verdict == .complete)
            #expect(reader.status == status)
            #expect(!reader.isReusable)
        }
    }

    private static let misbehaviours: [(String, AttemptFailure)] = [
        ("<html>no status line at all</html>", AttemptFailure.responseNotHTTP),
        ("garbage\r\n\r\n", .responseNotHTTP), ("endless line " + flood("x", 20_000), .responseNotHTTP),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", .responseNotHTTP), ("HTTP/2 200\r\n\r\n", .responseNotHTTP),
        ("HTTP/1.2 200 OK\r\n\r\n", .responseNotHTTP), ("http/1.1 200 OK\r\n\r\n", .responseNotHTTP),
        ("HTTP/1.1 99 X\r\n\r\n", .responseStatusInvalid), ("HTTP/1.1 099 X\r\n\r\n", .responseStatusInvalid),
        ("HTTP/1.1 600 X\r\n\r\n", .responseStatusInvalid), ("HTTP/1.1 999999 X\r\n\r\n", .responseStatusInvalid),
        ("HTTP/1.1 2x0 X\r\n\r\n", .responseStatusInvalid), ("HTTP/1.1  200 X\r\n\r\n", .responseStatusInvalid),
        ("HTTP/1.1 101 Switching\r\n\r\n", .protocolSwitched),
        ("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", .responseHeaderInvalid),
        ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", .responseHeaderInvalid),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", .responseHeaderInvalid),
        ("HTTP/1.1 200 OK\r\n: x\r\n\r\n", .responseHeaderInvalid),
        ("HTTP/1.1 200 OK\r\nA : x\r\n\r\n", .responseHeaderInvalid),
        ("HTTP/1.1 200 OK\r\nA: x\r\n folded\r\n\r\n", .responseHeaderInvalid),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", .responseLengthInvalid),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nx", .responseLengthInvalid),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", .responseLengthInvalid),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", .responseLengthInvalid),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", .responseLengthInvalid),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", .responseLengthInvalid),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", .responseLengthInvalid),
        ("HTTP/1.1 200 OK\r\n" + flood("A: b\r\n", 101) + "\r\n", .responseHeadTooLarge),
        ("HTTP/1.1 200 OK\r\nA: " + flood("x", 20_000), .responseHeadTooLarge),
        ("HTTP/1.1 200 " + flood("x", 20_000), .responseHeadTooLarge),
        (flood("HTTP/1.1 100 Continue\r\n\r\n", 9), .tooManyInterimResponses),
        ("", .connectionClosed), ("HTTP/1.1 200 OK\r\nContent-Le", .connectionClosed),
        ("HTTP/1.1 20", .connectionClosed),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", .connectionClosed),
        (flood("HTTP/1.1 100 Continue\r\n\r\n", 8), .connectionClosed),
    ]

    @Test(arguments: misbehaviours)
    func namesEachMisbehaviour(_ text: String, _ failure: AttemptFailure) {
        for chunk in Self.chunks {
            let (reader, verdict) = read(text, chunk: chunk, closes: true)
            #expect(verdict == .failed(failure))
            #expect(reader.status == nil)
            #expect(!reader.isReusable)
        }
    }

    @Test func takesTheLimitsThemselves() {
        let hundred = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + flood("A: b\r\n", 99) + "\r\n"
        #expect(read(hundred, chunk: 1 << 20, closes: false).1 == .complete)
        let eight = flood("HTTP/1.1 100 Continue\r\n\r\n", 8) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        #expect(read(eight, chunk: 3, closes: false).1 == .complete)
        let start = "HTTP/1.1 500 X\r\nContent-Length: 16384\r\n\r\n"
        #expect(read(start + flood("x", 16_384), chunk: 1000, closes: false).0.isReusable)
    }

    @Test func bytesAfterTheBodyCostTheConnection() {
        let (reader, verdict) = read(
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200", chunk: 1 << 20, closes: false)
        #expect(verdict == .complete && reader.status == 200 && !reader.isReusable)
    }

    @Test func keepsABoundedPartOfAFailure() {
        let text = "HTTP/1.1 500 Oops\r\nX: y\r\nContent-Length: 3000\r\n\r\n" + flood("e", 3000)
        let (reader, _) = read(text, chunk: 100, closes: false)
        #expect(
            String(decoding: reader.keptHead, as: UTF8.self) == "HTTP/1.1 500 Oops\r\nX: y\r\nContent-Length: 3000\r\n")
        #expect(reader.keptBody == Array(repeating: UInt8(ascii: "e"), count: 1024))
        let (success, _) = read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", chunk: 100, closes: false)
        #expect(success.keptHead.isEmpty && success.keptBody.isEmpty)
    }

    @Test func keepsABoundedPartOfASuccessWhereThatIsAskedFor() {
        for body in ["", flood("e", 3000), flood("e", 20_000)] {
            let text = "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body
            for chunk in Self.chunks {
                let (reader, verdict) = read(text, chunk: chunk, closes: false, keepsSuccess: true)
                #expect(verdict == .complete && reader.status == 200 && (reader.isReusable || body.utf8.count > 16_384))
                #expect(String(decoding: reader.keptHead, as: UTF8.self).hasPrefix("HTTP/1.1 200 OK\r\nX: y\r\n"))
                #expect(reader.keptBody == Array(body.utf8.prefix(1024)))
            }
        }
    }

    @Test(arguments: [
        ("120", 120), ("0", 0), ("99999999999", 31 * 86_400), ("Thu, 01 Jan 1970 00:16:50 GMT", 10),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("-1", nil), ("soon", nil), ("", nil), ("1.5", nil),
        ("Thu, 99 Jan 1970 00:16:50 GMT", nil),
    ])
    func readsRetryAfter(_ value: String, _ seconds: Int?) {
        let (reader, _) = read(
            "HTTP/1.1 503 X\r\nRetry-After: \(value)\r\nContent-Length: 0\r\n\r\n", chunk: 5, closes: false)
        #expect(reader.retryAfter?.seconds(atWallMilliseconds: 1_000_000) == seconds)
    }

    @Test func knowsTheCalendar() {
        let (reader, _) = read(
            "HTTP/1.1 503 X\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n", chunk: 99,
            closes: false)
        #expect(reader.retryAfter == .date(784_111_777))
    }

    @Test func readsTheKeepAlivePromise() {
        let (reader, _) = read(
            "HTTP/1.1 200 X\r\nKeep-Alive: max=3, timeout=5\r\nContent-Length: 0\r\n\r\n", chunk: 9, closes: false)
        #expect(reader.keepAliveSeconds == 5)
    }

    /// Mutated answers: never a crash, never a status that is not in the bytes, and the same verdict however they are cut.
    @Test func survivesMutations() {
        var generator = SystemRandomNumberGenerator()
        let seeds = [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 204 N\r\nConnection: close\r\n\r\n",
        ]
        let alphabet = Array("\r\n\0 :;,0129afHTP/.xX\u{7f}".utf8)
        for round in 0..<3000 {
            var bytes = Array(seeds[round % seeds.count].utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let position = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[position] = alphabet.randomElement(using: &generator)!
            }
            let text = String(decoding: bytes, as: UTF8.self)
            let whole = read(text, chunk: 1 << 20, closes: true)
            let cut = read(text, chunk: 1, closes: true)
            #expect(whole.1 == cut.1 && whole.0.status == cut.0.status, "\(text.debugDescription)")
        }
    }
}

private func flood(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }
