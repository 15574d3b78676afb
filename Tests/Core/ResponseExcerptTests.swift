// What of a receiver's answer may be kept, and in which form.
import Core
import Testing

@Suite struct ResponseExcerptTests {
    private func excerpt(_ lines: String = "", _ body: [UInt8] = []) -> ResponseExcerpt {
        ResponseExcerpt(head: Array(("HTTP/1.1 500 X\r\n" + lines).utf8), body: body)
    }

    private func headers(_ lines: String) -> [String: String] {
        excerpt(lines).headers.reduce(into: [:]) { $0[$1.name] = $1.value }
    }

    @Test func headersAreNamesAndValues() {
        #expect(
            headers("Content-Type:text/plain; a=b \r\nX-Empty:\r\nX-Time: 10:30\r\n")
                == ["content-type": "text/plain; a=b", "x-empty": "", "x-time": "10:30"])
        #expect(excerpt().headers.isEmpty)
    }

    @Test func aNameThatComesTwiceIsOneList() {
        #expect(headers("Via: a\r\nX: 1\r\nvia: b\r\n") == ["via": "a, b", "x": "1"])
    }

    @Test(arguments: ["Set-Cookie", "WWW-Authenticate", "Proxy-Authenticate", "Authorization", "Cookie"])
    func credentialsAreNotKept(_ name: String) {
        let kept = headers("\(name): sid=31d4d96e407aad42\r\n\(name): other=x\r\n")
        #expect(kept == [name.lowercased(): "[not kept]"])
    }

    @Test func secretsOfOursGoNoFurther() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw+/=="
        let kept = excerpt(
            "X-Debug: \(secret);\r\nX-\(secret): 1\r\n",
            Array("expected {\"\(secret)\"} or lnk_live_abcDEF123_-x, not whsec_short, whsec_cut".utf8))
        #expect(
            kept.headers == [.init(name: "x-debug", value: "whsec_***;"), .init(name: "x-whsec_***", value: "1")])
        #expect(
            kept.body == "expected {\"whsec_***\"} or lnk_live_***, not whsec_short, whsec_***",
            "the end may have cut it off")
    }

    @Test func headersAreBounded() {
        let many = (0..<50).map { "x-\($0): y\r\n" }.joined()
        #expect(excerpt(many).headers.count == 32)
        let large = "x-a: " + String(repeating: "a", count: 2000) + "\r\nx-b: " + String(repeating: "b", count: 100)
        let kept = excerpt(large + "\r\nx-c: c\r\n").headers
        #expect(kept.map(\.name) == ["x-a", "x-c"], "what does not fit is left out, and what fits behind it is not")
    }

    @Test func theBodyIsCutBetweenCharacters() {
        #expect(excerpt("", [UInt8](repeating: 0x61, count: 5000)).body.utf8.count == 1024)
        for (text, width) in [("é", 2), ("€", 3), ("😀", 4)] {
            for shift in 0..<width {
                let start = [UInt8](repeating: 0x61, count: shift)
                let body = excerpt("", start + Array(String(repeating: text, count: 1024).utf8)).body
                #expect(!body.contains("\u{FFFD}") && body.utf8.count <= 1024 && body.utf8.count > 1024 - width)
            }
        }
    }

    @Test func whatIsNoTextIsReplaced() {
        #expect(excerpt("", [0x61, 0xFF, 0x62, 0x00, 0xC3]).body == "a\u{FFFD}b\0\u{FFFD}")
        #expect(excerpt("", [UInt8](repeating: 0xFF, count: 5000)).body.unicodeScalars.count == 1024)
        #expect(excerpt("", [UInt8](repeating: 0x80, count: 1024)).body.unicodeScalars.count == 1024)
        #expect(headers("X: caf\u{e9}\r\n") == ["x": "café"])
    }
}
