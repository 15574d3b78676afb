// The keys that encrypt signing secrets at rest. They travel beside `Settings`, never in it, and print as nothing.

package struct SecretKey: Equatable, Sendable, CustomStringConvertible, CustomReflectable {
    /// Stands in clear beside what the key encrypted, so that it is found again after a rotation.
    package var id: String
    /// 32 of them.
    package var bytes: [UInt8]

    package init(id: String, bytes: [UInt8]) {
        self.id = id
        self.bytes = bytes
    }

    package var description: String { "SecretKey(\(id))" }
    package var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}

package struct SecretKeys: Equatable, Sendable {
    package static let keyBytes = 32
    /// The id of a key whose file says none; its line in a file of several is `default:<base64>`.
    package static let rawKeyID = "default"

    /// Never empty: the first encrypts, all decrypt.
    package let keys: [SecretKey]

    package init?(keys: [SecretKey]) {
        guard !keys.isEmpty else { return nil }
        self.keys = keys
    }

    package var encrypting: SecretKey { keys[0] }
    package func key(id: String) -> SecretKey? { keys.first { $0.id == id } }

    /// Reads a key file's content: exactly 32 bytes are one raw key, anything else is lines of `id:base64`.
    static func parse(_ content: [UInt8]) throws(Rejection) -> SecretKeys {
        if content.count == keyBytes { return SecretKeys(keys: [SecretKey(id: rawKeyID, bytes: content)])! }
        let fix = "make one with: openssl rand \(keyBytes) > FILE; chmod 600 FILE"
        let form = "neither exactly \(keyBytes) bytes nor lines of id:base64"
        guard let text = String(validating: content, as: UTF8.self) else {
            throw Rejection(cause: "the file has \(content.count) bytes, \(form)", fix: fix)
        }
        var keys: [SecretKey] = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = ValueInput.trimmed(line)
            if line.isEmpty || line.hasPrefix("#") { continue }
            guard let colon = line.firstIndex(of: ":"), isID(line[..<colon]) else {
                throw Rejection(
                    cause: "the file has \(content.count) bytes, \(form) (see its line \(number + 1))", fix: fix)
            }
            let id = String(line[..<colon])
            guard let bytes = Base64.decode(line[line.index(after: colon)...].utf8), bytes.count == keyBytes else {
                throw Rejection(
                    cause: "line \(number + 1) of the file is not id:base64 of \(keyBytes) bytes",
                    fix: "make one with: openssl rand -base64 \(keyBytes)")
            }
            guard !keys.contains(where: { $0.id == id }) else {
                throw Rejection(
                    cause: "line \(number + 1) of the file repeats the id \(id)", fix: "give each key an id of its own")
            }
            keys.append(SecretKey(id: id, bytes: bytes))
        }
        guard let result = SecretKeys(keys: keys) else {
            throw Rejection(cause: "there is no key in the file", fix: fix)
        }
        return result
    }

    private static func isID(_ text: Substring) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" || $0 == ".") }
    }
}

enum Base64 {
    /// Standard alphabet with padding and nothing else; nil otherwise.
    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var result: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        var padding = 0
        for byte in text {
            if byte == UInt8(ascii: "=") {
                padding += 1
                continue
            }
            guard padding == 0, let value = value(byte) else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        // What is left over must be zero, or two texts would mean the same key.
        guard padding <= 2, bits & (1 << UInt32(count) - 1) == 0, count == 2 * padding else { return nil }
        return result
    }

    private static func value(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
