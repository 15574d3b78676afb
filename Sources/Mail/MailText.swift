// The texts of RFC 5322 and 2047: dates, encoded words, line ends.
package import Core
internal import Crypto

package enum MailText {
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `Mon, 15 Jan 2024 10:30:00 +0000`
    package static func date(_ time: Timestamp) -> String {
        let text = time.secondsText
        let parts = text.split { $0 == "-" || $0 == "T" || $0 == "Z" }
        let whole = time.milliseconds / 86_400_000
        let sinceThursday = (time.milliseconds % 86_400_000 < 0 ? whole - 1 : whole) % 7
        let day = days[Int(sinceThursday < 0 ? sinceThursday + 7 : sinceThursday)]
        return "\(day), \(parts[2]) \(months[(Int(parts[1]) ?? 1) - 1]) \(parts[0]) \(parts[3]) +0000"
    }

    /// A header's text. Plain ASCII that fits on a line stays as it is, anything else becomes encoded words, one a line.
    /// - Parameter behind: the characters of the line before it.
    package static func encodedWords(_ text: String, behind: Int) -> String {
        let clean = String(
            String.UnicodeScalarView(
                text.unicodeScalars.prefix(longestHeader).map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
        let isPlain = clean.utf8.allSatisfy { $0 < 0x80 } && !clean.contains("=?")
        if isPlain, clean.utf8.count + behind <= 78 { return clean }
        var words: [String] = []
        var word: [UInt8] = []
        for scalar in clean.unicodeScalars {
            let bytes = Array(String(scalar).utf8)
            // Three bytes are four characters of base64, and 12 stand around them. A character is never split.
            if word.count + bytes.count > (longestLine - (words.isEmpty ? behind : 1) - 12) / 4 * 3 {
                words.append(encoded(word))
                word = []
            }
            word += bytes
        }
        words.append(encoded(word))
        return words.joined(separator: "\r\n ")
    }

    private static let longestHeader = 500
    /// With an encoded word in it (RFC 2047).
    private static let longestLine = 76

    private static func encoded(_ word: [UInt8]) -> String { "=?utf-8?B?\(Base64.encode(word))?=" }

    /// Every kind of line end as CRLF.
    package static func withLineEnds(_ text: String) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count + 64)
        var previous: UInt8 = 0
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\n"):
                if previous != UInt8(ascii: "\r") { bytes += [13, 10] }
            case UInt8(ascii: "\r"): bytes += [13, 10]
            default: bytes.append(byte)
            }
            previous = byte
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
