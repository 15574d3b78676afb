import Crypto
import Testing

@Suite struct CryptoTests {
    /// RFC 4231, test case 2, in one part and in three; twice, since the keyed state is reused.
    @Test func hmacMatchesTheStandardVector() {
        let signer = HMACSigner(key: Array("Jefe".utf8))
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        let text = Array("what do ya want for nothing?".utf8)
        for parts in [[text], [Array(text[..<4]), [], Array(text[4...])], [text]] {
            #expect(signer.sign(parts) { hex($0) } == expected)
        }
    }

    @Test func sha256MatchesTheStandardVector() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        #expect(Digest.sha256Hex("abc") == expected)
        let prefix = Digest.prefix(of: Array("abc".utf8))
        #expect(prefix.high == 0xba78_16bf_8f01_cfea && prefix.low == 0x4141_40de)
    }

    @Test func secretsOpenOnlyWithTheirKeyAndContext() throws {
        let old = SecretBox.Key(id: "old", bytes: [UInt8](repeating: 1, count: 32))
        let new = SecretBox.Key(id: "new", bytes: [UInt8](repeating: 2, count: 32))
        let plain = Array("whsec_secret".utf8)
        let sealed = SecretBox(keys: [old]).seal(plain, context: [1])
        let box = SecretBox(keys: [new, old])
        #expect(try box.open(sealed, keyID: "old", context: [1]) == plain)
        #expect(throws: CryptoError.self) { try box.open(sealed, keyID: "old", context: [2]) }
        #expect(throws: CryptoError.self) { try box.open(sealed, keyID: "new", context: [1]) }
        #expect(throws: CryptoError.self) { try SecretBox(keys: [new]).open(sealed, keyID: "old", context: [1]) }
        var tampered = sealed
        tampered[14] ^= 1
        #expect(throws: CryptoError.self) { try box.open(tampered, keyID: "old", context: [1]) }
        #expect(sealed != SecretBox(keys: [old]).seal(plain, context: [1]), "a nonce is never used twice")
    }

    @Test(arguments: [([], ""), ([0], "AA=="), ([1, 2], "AQI="), ([1, 2, 3], "AQID")] as [([UInt8], String)])
    func base64(bytes: [UInt8], text: String) {
        #expect(Base64.encode(bytes) == text)
        #expect(Base64.decode(text) == bytes)
    }

    @Test(arguments: ["A", "AA=", "A A=", "####"])
    func otherTextsAreNoBase64(text: String) { #expect(Base64.decode(text) == nil) }

    /// What the Standard Webhooks reference library makes, and the documented header over the same body: keyed with the
    /// whole text, not with its bytes.
    @Test func oneSecretMakesBothSignatures() throws {
        let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        let secret = try WebhookSecret(Array(text.utf8))
        let body = Array("{\"test\": 2432232314}".utf8)
        let standard = secret.standardSignature(
            id: Array("msg_p5jXN8AQM9LWM0D4loKWxJek".utf8), timestamp: Array("1614265330".utf8), body: body)
        #expect(String(decoding: standard, as: UTF8.self) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        let documented = secret.signBody(body) { hex($0) }
        #expect(documented == HMACSigner(key: Array(text.utf8)).sign([body]) { hex($0) })
        #expect(throws: CryptoError.self) { try WebhookSecret(Array("secret".utf8)) }
        #expect(WebhookSecret.generate().utf8.count == 6 + 44)
    }
    /// RFC 4231, test case 6: a key longer than a block; and no key at all.
    @Test func hmacTakesKeysOfAnyLength() {
        let long = HMACSigner(key: [UInt8](repeating: 0xaa, count: 131))
        #expect(
            long.sign([Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)]) { hex($0) }
                == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
        #expect(
            HMACSigner(key: []).sign([[]]) { hex($0) }
                == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    }

    @Test func aSecretIsOpenedWithoutLeavingItBehind() throws {
        let box = SecretBox(keys: [SecretBox.Key(id: "k", bytes: [UInt8](repeating: 7, count: 32))])
        let sealed = box.seal(Array("whsec_AQID".utf8), context: [1])
        let length = try box.open(sealed, keyID: "k", context: [1]) { $0.count }
        #expect(length == 10)
        #expect(throws: CryptoError(description: "mine")) {
            try box.open(sealed, keyID: "k", context: [1]) { _ throws(CryptoError) in
                throw CryptoError(description: "mine")
            }
        }
    }
}

@Suite struct WebhookSignerTests {
    private static let new = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    private static let old = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    private static let body = Array("{\"test\": 2432232314}".utf8)
    private static let now: Int64 = 1_614_265_330_789

    private func headers(_ signer: WebhookSigner, now: Int64 = now) -> [String: String] {
        var lines: [UInt8] = []
        signer.appendLines(to: &lines, body: Self.body, now: now) {
            $0.append(contentsOf: "msg_p5jXN8AQM9LWM0D4loKWxJek".utf8)
        }
        let text = String(decoding: lines, as: UTF8.self)
        #expect(text.hasSuffix("\r\n") && !text.contains("\r\n\r\n"))
        var headers: [String: String] = [:]
        for line in text.split(separator: "\r\n") {
            let parts = line.split(separator: ": ", maxSplits: 1)
            headers[String(parts[0])] = String(parts[1])
        }
        return headers
    }

    private func documented(_ secret: String) -> String {
        HMACSigner(key: Array(secret.utf8)).sign([Self.body]) { hex($0) }
    }

    private func standard(_ secret: String, _ timestamp: String = "1614265330") throws -> String {
        String(
            decoding: try WebhookSecret(Array(secret.utf8)).standardSignature(
                id: Array("msg_p5jXN8AQM9LWM0D4loKWxJek".utf8), timestamp: Array(timestamp.utf8), body: Self.body),
            as: UTF8.self)
    }

    @Test func signsWithTheOneSecret() throws {
        let signer = WebhookSigner([(try WebhookSecret(Array(Self.new.utf8)), nil)])
        for _ in 0..<2 {
            #expect(
                headers(signer) == [
                    "X-Learnault-Signature": documented(Self.new), "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
                    "webhook-timestamp": "1614265330",
                    // The Standard Webhooks reference library's own value.
                    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                ])
        }
    }

    /// Contract §1: the old one signs the documented header until its overlap ends, the other header carries both.
    @Test func signsWithBothWhileASecretIsRotated() throws {
        let end = Self.now + 1000
        let signer = WebhookSigner([
            (try WebhookSecret(Array(Self.new.utf8)), nil), (try WebhookSecret(Array(Self.old.utf8)), end),
        ])
        let during = headers(signer, now: end - 1)
        #expect(during["X-Learnault-Signature"] == documented(Self.old))
        let both = [try standard(Self.new, "1614265331"), try standard(Self.old, "1614265331")]
        #expect(during["webhook-signature"] == both.joined(separator: " "))
        let after = headers(signer, now: end)
        #expect(after["X-Learnault-Signature"] == documented(Self.new))
        #expect(after["webhook-signature"] == both[0])
    }
}
