// SHA-256 and HMAC-SHA256 by OpenSSL, on states of fixed size: nothing is allocated for a digest or a signature.
internal import COpenSSL

package enum Digest {
    /// The first 12 bytes of the SHA-256 of `bytes`, as big-endian numbers: what an id is made of. Not generic, without a
    /// closure and without an allocation, since it runs twice for every delivery.
    package static func prefix(of bytes: [UInt8]) -> (high: UInt64, low: UInt32) {
        var state = SHA256_CTX()
        SHA256_Init(&state)
        SHA256_Update(&state, bytes, bytes.count)
        return withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { digest in
            SHA256_Final(digest.baseAddress?.assumingMemoryBound(to: UInt8.self), &state)
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

    package static func sha256Hex(_ text: String) -> String { sha256Hex(Array(text.utf8)) }
    package static func sha256Hex(_ bytes: [UInt8]) -> String { hex(sha256(bytes)) }
}

/// HMAC-SHA256 with a key scheduled once; one owner; not thread-safe. The key's state is wiped when it goes.
package final class HMACSigner {
    /// In memory of its own, so that there is exactly one place to wipe.
    private let keyed: UnsafeMutablePointer<copenssl_hmac>
    private let text: UnsafeMutablePointer<SHA256_CTX>

    package init(key: UnsafeRawBufferPointer) {
        keyed = .allocate(capacity: 1)
        text = .allocate(capacity: 1)
        copenssl_hmac_set_key(keyed, key.baseAddress ?? UnsafeRawPointer(keyed), key.count)
        text.initialize(to: keyed.pointee.inner)
    }

    package convenience init(key: [UInt8]) {
        // The pointer must not leave the closure, and an initialiser cannot be called inside one.
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: key.count, alignment: 1)
        copy.copyBytes(from: key)
        defer { wipe(copy) }
        self.init(key: UnsafeRawBufferPointer(copy))
    }

    deinit {
        OPENSSL_cleanse(keyed, MemoryLayout<copenssl_hmac>.size)
        OPENSSL_cleanse(text, MemoryLayout<SHA256_CTX>.size)
        keyed.deallocate()
        text.deallocate()
    }

    /// Begins a text; `add` its parts, then `finish`.
    package func begin() { text.pointee = keyed.pointee.inner }

    package func add(_ part: UnsafeRawBufferPointer) { SHA256_Update(text, part.baseAddress, part.count) }

    /// The 32 bytes of the signature are handed to `body`.
    package func finish<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { code in
            copenssl_hmac_finish(keyed, text, code.baseAddress)
            return body(UnsafeRawBufferPointer(code))
        }
    }

    /// Signs the parts as if they were one text.
    package func sign<Result>(_ parts: [[UInt8]], _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        begin()
        for part in parts { part.withUnsafeBytes { add($0) } }
        return finish(body)
    }
}

/// Overwrites memory that held a secret, and gives it back.
func wipe(_ bytes: UnsafeMutableRawBufferPointer) {
    OPENSSL_cleanse(bytes.baseAddress, bytes.count)
    bytes.deallocate()
}
