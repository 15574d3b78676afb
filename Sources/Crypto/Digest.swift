// SHA-256 and HMAC-SHA256 by OpenSSL, with contexts that are reused from event to event.
internal import COpenSSL

/// A reusable SHA-256. One owner; not thread-safe.
package final class SHA256Hasher {
    private let context: OpaquePointer
    private let algorithm: OpaquePointer

    package init() {
        guard let context = EVP_MD_CTX_new(), let algorithm = EVP_MD_fetch(nil, "SHA256", nil) else {
            fatalError("OpenSSL has no SHA-256")
        }
        self.context = context
        self.algorithm = algorithm
    }

    deinit {
        EVP_MD_CTX_free(context)
        EVP_MD_free(algorithm)
    }

    /// The first 12 bytes of the digest of `bytes`, as big-endian numbers: what an id is made of. Not generic and without
    /// a closure, since it runs twice for every delivery.
    package func prefix(of bytes: [UInt8]) -> (high: UInt64, low: UInt32) {
        EVP_DigestInit_ex(context, algorithm, nil)
        EVP_DigestUpdate(context, bytes, bytes.count)
        return withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { digest in
            EVP_DigestFinal_ex(context, digest.baseAddress?.assumingMemoryBound(to: UInt8.self), nil)
            return (
                UInt64(bigEndian: digest.load(as: UInt64.self)),
                UInt32(bigEndian: digest.load(fromByteOffset: 8, as: UInt32.self))
            )
        }
    }
}

package enum Digest {
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
