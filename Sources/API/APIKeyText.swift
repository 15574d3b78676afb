// API keys as text: `lnk_live_` or `lnk_test_`, 8 characters that name the key, 32 that are secret, 6 that check the
// rest. The checksum lets a mistyped key be told from a revoked one without a look-up, and lets secret scanners know
// a key when they see one.
internal import Core
internal import Crypto

package struct APIKeyText: Equatable, Sendable {
    package enum Mode: String, Sendable, CaseIterable { case live, test }

    /// The whole key; shown once, never stored, never logged.
    package let text: String
    /// The public part that names it.
    package let id: String

    /// What is stored instead of the key: lower-case hex SHA-256 of all of it.
    package var hash: String { Digest.sha256Hex(text) }

    private static let idLength = 8
    private static let secretLength = 32  // log2(62^32) = 190.5 bits
    private static let checksumLength = 6
    private static let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    /// A new key from random bytes.
    package static func generate(_ mode: Mode) -> APIKeyText {
        let id = randomText(idLength)
        let body = "lnk_\(mode.rawValue)_" + id + randomText(secretLength)
        return APIKeyText(text: body + checksum(of: body), id: id)
    }

    private init(text: String, id: String) {
        self.text = text
        self.id = id
    }

    /// A key somebody sent; nil when its form or its checksum is wrong.
    package init?(_ text: String) {
        guard let mode = Mode.allCases.first(where: { text.hasPrefix("lnk_\($0.rawValue)_") }) else { return nil }
        let prefix = "lnk_\(mode.rawValue)_"
        let rest = text.utf8.dropFirst(prefix.utf8.count)
        guard rest.count == Self.idLength + Self.secretLength + Self.checksumLength,
            rest.allSatisfy(Self.alphabet.contains)
        else { return nil }
        let body = String(text.dropLast(Self.checksumLength))
        guard Self.checksum(of: body) == text.suffix(Self.checksumLength) else { return nil }
        self.text = text
        id = String(decoding: rest.prefix(Self.idLength), as: UTF8.self)
    }

    /// The id in what somebody sent as a key, whole or not, for the audit log; empty where there is none.
    static func id(in field: String) -> String {
        let parts = field.split(separator: " ", maxSplits: 1).map { $0.trimmed }
        return parts.count == 2 ? APIKeyText(parts[1])?.id ?? "" : ""
    }

    /// Each character equally likely: bytes from 248 = 4 · 62 on are thrown away.
    private static func randomText(_ count: Int) -> String {
        var characters: [UInt8] = []
        while characters.count < count {
            for byte in Random.bytes(count) where byte < 248 && characters.count < count {
                characters.append(alphabet[Int(byte % 62)])
            }
        }
        return String(decoding: characters, as: UTF8.self)
    }

    private static func checksum(of body: String) -> String {
        var rest = crc32(body.utf8)
        var digits: [UInt8] = []
        for _ in 0..<checksumLength {
            digits.append(alphabet[Int(rest % 62)])
            rest /= 62
        }
        return String(decoding: digits.reversed(), as: UTF8.self)
    }
}

/// CRC-32 as in IEEE 802.3 and zlib.
func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var value: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
        value ^= UInt32(byte)
        for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }
    return ~value
}
