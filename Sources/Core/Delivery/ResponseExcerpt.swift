// What the log keeps of a receiver's answer, so that a subscriber's developer sees what his endpoint said: the headers and the
// beginning of the body, as text and bounded. Of failures and tests only.

package struct ResponseExcerpt: Equatable, Sendable {
    package struct Header: Equatable, Sendable {
        /// Lower case; each name once.
        package let name: String
        package let value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package static let maximumHeaders = 32
    /// Names and values together, as they came.
    package static let maximumHeaderBytes = 2048
    /// Of the body as it came. As text it has no more characters; what is no UTF-8 takes up to three bytes for one.
    package static let maximumBodyBytes = 1024

    package let headers: [Header]
    package let body: String

    package init(headers: [Header], body: String) {
        self.headers = headers
        self.body = body
    }

    /// Roughly what it holds of memory.
    package var byteCount: Int { headers.reduce(body.utf8.count) { $0 + $1.name.utf8.count + $1.value.utf8.count } }

    /// - Parameters:
    ///   - head: status line and header lines, each ended by CRLF; a header that does not fit any more is left out.
    ///   - body: its beginning; what goes beyond the bound is cut off, between two characters.
    package init(head: [UInt8], body: [UInt8]) {
        var headers: [Header] = []
        var room = Self.maximumHeaderBytes
        for line in head.split(separator: 0x0a).dropFirst() {
            guard let colon = line.firstIndex(of: 0x3a) else { continue }
            let name = Self.text(ArraySlice(line[..<colon].map(Self.lowered)))
            let value = Self.trimmed(line[(colon + 1)...])
            guard line.count <= room else { continue }
            if let index = headers.firstIndex(where: { $0.name == name }) {
                guard !Self.confidential.contains(name) else { continue }
                // RFC 9110 §5.2: lines of one name are one list.
                headers[index] = Header(name: name, value: headers[index].value + ", " + Self.text(value))
            } else {
                guard headers.count < Self.maximumHeaders else { continue }
                headers.append(
                    Header(name: name, value: Self.confidential.contains(name) ? Self.removed : Self.text(value)))
            }
            room -= line.count
        }
        self.headers = headers
        self.body = Self.text(Self.wholeCharacters(body.prefix(Self.maximumBodyBytes)))
    }

    // MARK: What is not kept

    /// Headers that carry a receiver's sessions and credentials: that they were there is kept, their values are not.
    package static let confidential: Set<String> = [
        "set-cookie", "set-cookie2", "cookie", "authorization", "proxy-authorization", "www-authenticate",
        "proxy-authenticate", "authentication-info", "proxy-authentication-info",
    ]
    package static let removed = "[not kept]"

    /// Receivers in debug mode answer with what they hold: signing secrets and API keys of ours go no further.
    private static let markers = ["whsec_", "lnk_live_", "lnk_test_"].map { Array($0.utf8) }
    private static let mask = Array("***".utf8)
    /// Shorter ones are no secrets; and so a text never grows.
    private static let shortestSecret = 8

    private static func text(_ bytes: ArraySlice<UInt8>) -> String {
        var kept: [UInt8] = []
        kept.reserveCapacity(bytes.count)
        var position = bytes.startIndex
        while position < bytes.endIndex {
            let rest = bytes[position...]
            if let marker = markers.first(where: { rest.starts(with: $0) }) {
                let secret = rest.dropFirst(marker.count).prefix(while: isSecretCharacter)
                kept.append(contentsOf: marker)
                // One that the end cuts off may have been longer.
                let shortest = secret.endIndex == bytes.endIndex ? mask.count : shortestSecret
                kept.append(contentsOf: secret.count < shortest ? Array(secret) : mask)
                position += marker.count + secret.count
            } else {
                kept.append(bytes[position])
                position += 1
            }
        }
        return String(decoding: kept, as: UTF8.self)
    }

    /// Base64 in both alphabets.
    private static func isSecretCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2b, 0x2f, 0x3d, 0x2d, 0x5f: true
        default: false
        }
    }

    // MARK: Bytes

    private static func lowered(_ byte: UInt8) -> UInt8 { (0x41...0x5a).contains(byte) ? byte | 0x20 : byte }

    /// Without white space and the line's CR around it.
    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }
        let left = bytes.drop(while: isSpace)
        return left.prefix((left.lastIndex { !isSpace($0) } ?? left.startIndex - 1) - left.startIndex + 1)
    }

    /// Without a UTF-8 sequence that the cut has left unfinished at the end.
    private static func wholeCharacters(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard bytes.count == maximumBodyBytes else { return bytes }
        guard let lead = bytes.suffix(3).lastIndex(where: { $0 & 0xC0 != 0x80 }), bytes[lead] < 0xF8 else {
            return bytes
        }
        let needed = bytes[lead] >= 0xF0 ? 4 : bytes[lead] >= 0xE0 ? 3 : bytes[lead] >= 0xC0 ? 2 : 1
        return bytes.endIndex - lead < needed ? bytes[..<lead] : bytes
    }
}
