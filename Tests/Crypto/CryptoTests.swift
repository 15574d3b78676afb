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
}
