// Random bytes, base64, hex and comparison in constant time.
internal import COpenSSL

package enum Random {
    package static func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        precondition(RAND_bytes(&bytes, Int32(count)) == 1, "OpenSSL has no random bytes")
        return bytes
    }
}

package enum Base64 {
    package static func encode(_ bytes: some Collection<UInt8>) -> String {
        String(decoding: encodedBytes(Array(bytes)), as: UTF8.self)
    }

    package static func encodedBytes(_ bytes: [UInt8]) -> [UInt8] {
        var text = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
        let count = EVP_EncodeBlock(&text, bytes, Int32(bytes.count))
        return Array(text[..<Int(count)])
    }

    /// Decodes into memory of the caller's, for what must not be left lying about.
    /// - Parameter bytes: at least three quarters of the text's length, rounded up.
    /// - Returns: the number of bytes; nil for anything but padded base64 without white space.
    static func decode(_ text: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawBufferPointer) -> Int? {
        guard text.count % 4 == 0, text.count / 4 * 3 <= bytes.count, !text.contains(where: { $0 <= 0x20 }) else {
            return nil
        }
        if text.isEmpty { return 0 }
        let count = EVP_DecodeBlock(bytes.baseAddress, text.baseAddress, Int32(text.count))
        guard count >= 0 else { return nil }
        return Int(count) - text.suffix(2).count { $0 == UInt8(ascii: "=") }
    }

    /// nil for anything but padded base64 without white space.
    package static func decode(_ text: String) -> [UInt8]? {
        let input = Array(text.utf8)
        guard input.count % 4 == 0, !input.contains(where: { $0 <= 0x20 }) else { return nil }
        if input.isEmpty { return [] }
        var bytes = [UInt8](repeating: 0, count: input.count / 4 * 3)
        let count = EVP_DecodeBlock(&bytes, input, Int32(input.count))
        guard count >= 0 else { return nil }
        // EVP_DecodeBlock counts the padding as zero bytes.
        let padding = input.suffix(2).filter { $0 == UInt8(ascii: "=") }.count
        return Array(bytes[..<(Int(count) - padding)])
    }
}

/// Lower-case hex.
package func hex(_ bytes: some Collection<UInt8>) -> String {
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    let digits: StaticString = "0123456789abcdef"
    for byte in bytes {
        text.append(digits.utf8Start[Int(byte >> 4)])
        text.append(digits.utf8Start[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}

package func equalsInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
}
