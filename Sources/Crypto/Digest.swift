// SHA-256 and HMAC-SHA256 by OpenSSL.
internal import COpenSSL

package enum Digest {
    /// The first 12 bytes of the SHA-256 of `bytes`, as big-endian numbers: what an id is made of. Not generic, without a
    /// closure and without an allocation, since it runs twice for every delivery.
    package static func prefix(of bytes: [UInt8]) -> (high: UInt64, low: UInt32) {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { digest in
            copenssl_sha256(bytes, bytes.count, digest.baseAddress?.assumingMemoryBound(to: UInt8.self))
            return (
                UInt64(bigEndian: digest.load(as: UInt64.self)),
                UInt32(bigEndian: digest.load(fromByteOffset: 8, as: UInt32.self))
            )
        }
    }

    package static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        SHA256(bytes, bytes.count, &digest)
        return digest
    }

    package static func sha256Hex(_ text: String) -> String { hex(sha256(Array(text.utf8))) }
}

/// HMAC-SHA256 with a key scheduled once; one owner; not thread-safe. The key's state is wiped when it goes.
package final class HMACSigner {
    private let keyed: OpaquePointer
    private let working: OpaquePointer

    package init(key: [UInt8]) {
        guard let mac = EVP_MAC_fetch(nil, "HMAC", nil), let keyed = EVP_MAC_CTX_new(mac) else {
            fatalError("OpenSSL has no HMAC")
        }
        EVP_MAC_free(mac)  // the context holds its own reference
        self.keyed = keyed
        var name = Array("SHA256".utf8CString)
        let ready = name.withUnsafeMutableBufferPointer { name in
            var parameters = [
                OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.baseAddress, 0),
                OSSL_PARAM_construct_end(),
            ]
            return EVP_MAC_init(keyed, key, key.count, &parameters)
        }
        guard ready == 1, let working = EVP_MAC_CTX_dup(keyed) else { fatalError("OpenSSL refused an HMAC key") }
        self.working = working
    }

    deinit {
        EVP_MAC_CTX_free(keyed)
        EVP_MAC_CTX_free(working)
    }

    /// Signs the parts as if they were one text; the 32 bytes are handed to `body`.
    package func sign<Result>(_ parts: [[UInt8]], _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        EVP_MAC_init(working, nil, 0, nil)  // back to the keyed state
        for part in parts { EVP_MAC_update(working, part, part.count) }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { code in
            var length = 0
            EVP_MAC_final(working, code.baseAddress, &length, 32)
            return body(UnsafeRawBufferPointer(code))
        }
    }
}
