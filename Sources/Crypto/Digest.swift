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

    /// The digest of `bytes`, 32 bytes, handed to `body`.
    package func hash<Result>(_ bytes: some Collection<UInt8>, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        EVP_DigestInit_ex(context, algorithm, nil)
        if bytes.withContiguousStorageIfAvailable({ EVP_DigestUpdate(context, $0.baseAddress, $0.count) }) == nil {
            let copy = Array(bytes)
            EVP_DigestUpdate(context, copy, copy.count)
        }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { digest in
            EVP_DigestFinal_ex(context, digest.baseAddress, nil)
            return body(UnsafeRawBufferPointer(digest))
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
                OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.baseAddress, 0), OSSL_PARAM_construct_end(),
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
