// Signing secrets at rest: AES-256-GCM, bound to what they belong to.
internal import COpenSSL

package struct CryptoError: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// The keys of `secrets.keyFile`: the first seals, all open.
package struct SecretBox: Sendable {
    package struct Key: Sendable {
        package let id: String
        package let bytes: [UInt8]

        /// - Parameter bytes: exactly 32.
        package init(id: String, bytes: [UInt8]) {
            precondition(bytes.count == 32, "an AES-256 key has 32 bytes")
            self.id = id
            self.bytes = bytes
        }
    }

    private let keys: [Key]
    private static let nonceLength = 12
    private static let tagLength = 16

    /// - Parameter keys: at least one.
    package init(keys: [Key]) {
        precondition(!keys.isEmpty, "a secret box needs a key")
        self.keys = keys
    }

    package var sealingKeyID: String { keys[0].id }

    /// - Parameter context: what the secret belongs to; opening with another context fails.
    /// - Returns: nonce, ciphertext and tag.
    package func seal(_ plain: [UInt8], context: [UInt8]) -> [UInt8] {
        let nonce = Random.bytes(Self.nonceLength)
        let cipher = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(cipher) }
        var length: Int32 = 0
        var sealed = [UInt8](repeating: 0, count: plain.count)
        var tag = [UInt8](repeating: 0, count: Self.tagLength)
        let done =
            EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), nil, keys[0].bytes, nonce) == 1
            && EVP_EncryptUpdate(cipher, nil, &length, context, Int32(context.count)) == 1
            && EVP_EncryptUpdate(cipher, &sealed, &length, plain, Int32(plain.count)) == 1
            && EVP_EncryptFinal_ex(cipher, nil, &length) == 1
            && copenssl_gcm_get_tag(cipher, Int32(Self.tagLength), &tag) == 1
        precondition(done, "OpenSSL could not encrypt")
        return nonce + sealed + tag
    }

    /// The same, without leaving the plain text anywhere: `use` must not keep it.
    package func open<Result>(
        _ box: [UInt8], keyID: String, context: [UInt8],
        _ use: (UnsafeRawBufferPointer) throws(CryptoError) -> Result
    ) throws(CryptoError) -> Result {
        var plain = try open(box, keyID: keyID, context: context)
        // Nobody else holds the array: this overwrites it where it is.
        defer { plain.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) } }
        let result = plain.withUnsafeBytes { bytes in
            Swift.Result { () throws(CryptoError) in try use(bytes) }
        }
        return try result.get()
    }

    /// - Throws: ``CryptoError`` when the key is not loaded or the box is not authentic.
    package func open(_ box: [UInt8], keyID: String, context: [UInt8]) throws(CryptoError) -> [UInt8] {
        guard let key = keys.first(where: { $0.id == keyID }) else {
            throw CryptoError(description: "the key that sealed a secret is not in secrets.keyFile")
        }
        let overhead = Self.nonceLength + Self.tagLength
        guard box.count >= overhead else { throw CryptoError(description: "a sealed secret is too short") }
        let nonce = Array(box[..<Self.nonceLength])
        let sealed = Array(box[Self.nonceLength..<(box.count - Self.tagLength)])
        var tag = Array(box[(box.count - Self.tagLength)...])
        let cipher = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(cipher) }
        var length: Int32 = 0
        var plain = [UInt8](repeating: 0, count: sealed.count)
        let done =
            EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), nil, key.bytes, nonce) == 1
            && EVP_DecryptUpdate(cipher, nil, &length, context, Int32(context.count)) == 1
            && EVP_DecryptUpdate(cipher, &plain, &length, sealed, Int32(sealed.count)) == 1
            && copenssl_gcm_set_tag(cipher, Int32(Self.tagLength), &tag) == 1
            && EVP_DecryptFinal_ex(cipher, nil, &length) == 1
        guard done else { throw CryptoError(description: "a sealed secret is not authentic") }
        return plain
    }
}
