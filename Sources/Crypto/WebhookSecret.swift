// A webhook's signing secret and the two signatures made with it.

/// One owner; not thread-safe.
package final class WebhookSecret {
    /// `X-Learnault-Signature`: keyed with the whole `whsec_…` string, as the documentation's verifiers do it.
    private let documented: HMACSigner
    /// `webhook-signature`: keyed with the bytes behind the prefix, as Standard Webhooks does it.
    private let standard: HMACSigner

    package static let prefix = "whsec_"

    /// - Parameter text: `whsec_` and base64.
    package init(_ text: [UInt8]) throws(CryptoError) {
        let string = String(decoding: text, as: UTF8.self)
        guard string.hasPrefix(Self.prefix), let key = Base64.decode(String(string.dropFirst(Self.prefix.count))) else {
            throw CryptoError(description: "a signing secret is not whsec_ and base64")
        }
        documented = HMACSigner(key: text)
        standard = HMACSigner(key: key)
    }

    /// A new secret: 32 random bytes.
    package static func generate() -> String { prefix + Base64.encode(Random.bytes(32)) }

    /// HMAC-SHA256 of the body, 32 bytes, handed to `use`; on the wire in lower-case hex.
    package func signBody<Result>(_ body: [UInt8], _ use: (UnsafeRawBufferPointer) -> Result) -> Result {
        documented.sign([body], use)
    }

    /// One entry of `webhook-signature`, `v1,<base64>`, over `id.timestamp.body`.
    package func standardSignature(id: [UInt8], timestamp: [UInt8], body: [UInt8]) -> [UInt8] {
        let dot = [UInt8(ascii: ".")]
        let code = standard.sign([id, dot, timestamp, dot, body]) { Base64.encodedBytes(Array($0)) }
        return [UInt8(ascii: "v"), UInt8(ascii: "1"), UInt8(ascii: ",")] + code
    }
}
