// A webhook's signing secret and the two signatures made with it.
internal import COpenSSL

/// One owner; not thread-safe. Only keyed states are kept, and they are wiped when it goes.
package final class WebhookSecret {
    /// `X-Learnault-Signature`: keyed with the whole `whsec_…` string, as the documentation's verifiers do it.
    let documented: HMACSigner
    /// `webhook-signature`: keyed with the bytes behind the prefix, as Standard Webhooks does it.
    let standard: HMACSigner

    package static let prefix = "whsec_"

    /// - Parameter text: `whsec_` and base64.
    package init(_ text: UnsafeRawBufferPointer) throws(CryptoError) {
        let prefixLength = Self.prefix.utf8.count
        guard text.starts(with: Self.prefix.utf8) else { throw Self.malformed }
        let key = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 1)
        defer { wipe(key) }
        guard
            let count = Base64.decode(UnsafeRawBufferPointer(rebasing: text[prefixLength...]), into: key), count > 0
        else { throw Self.malformed }
        documented = HMACSigner(key: text)
        standard = HMACSigner(key: UnsafeRawBufferPointer(rebasing: key[..<count]))
    }

    package convenience init(_ text: [UInt8]) throws(CryptoError) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 1)
        copy.copyBytes(from: text)
        defer { wipe(copy) }
        try self.init(UnsafeRawBufferPointer(copy))
    }

    private static let malformed = CryptoError(description: "a signing secret is not whsec_ and base64")

    /// A new secret: 32 random bytes.
    package static func generate() -> String { prefix + Base64.encode(Random.bytes(32)) }

    /// HMAC-SHA256 of the body, 32 bytes, handed to `use`; on the wire in lower-case hex.
    package func signBody<Result>(_ body: [UInt8], _ use: (UnsafeRawBufferPointer) -> Result) -> Result {
        documented.begin()
        body.withUnsafeBytes { documented.add($0) }
        return documented.finish(use)
    }

    /// One entry of `webhook-signature`, `v1,<base64>`, over `id.timestamp.body`.
    package func standardSignature(id: [UInt8], timestamp: [UInt8], body: [UInt8]) -> [UInt8] {
        let dot = [UInt8(ascii: ".")]
        let code = standard.sign([id, dot, timestamp, dot, body]) { Base64.encodedBytes(Array($0)) }
        return [UInt8(ascii: "v"), UInt8(ascii: "1"), UInt8(ascii: ",")] + code
    }
}
