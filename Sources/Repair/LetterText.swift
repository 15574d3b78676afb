// How letters are written for people and scripts. Whatever a record brought is made harmless for a terminal, but for the
// value, which is asked for as it is.
package import Core
internal import JSON
package import Kafka

package enum LetterText {
    private static let gap = "  "
    /// A narrower terminal breaks lines by itself.
    private static let leastMessage = 16

    /// One line a letter under a line of titles, as wide as they need.
    /// - Parameter width: the terminal's columns, at which messages are cut; nil for no terminal: everything is whole.
    package static func table(_ letters: [DeadLetterSummary], width: Int?) -> [String] {
        guard !letters.isEmpty else { return [] }
        let written = width == nil ? "WRITTEN" : "WRITTEN (UTC)"
        let rows =
            [["LETTER", written, "REASON", "ORIGIN OR WEBHOOK", "MESSAGE"]]
            + letters.map { cells($0, areShort: width != nil) }
        let last = rows[0].count - 1
        let widths = (0..<last).map { column in rows.map { $0[column].count }.max() ?? 0 }
        let room = width.map { max(leastMessage, $0 - widths.reduce(0, +) - last * gap.count) }
        return rows.map { row in
            let columns = (0..<last).map { row[$0] + String(repeating: " ", count: widths[$0] - row[$0].count) }
            return (columns + [cut(row[last], to: room)]).joined(separator: gap)
        }
    }

    /// - Parameter areShort: without what a person can do without: the year, and the mapping file, which is named after the
    ///   topic.
    private static func cells(_ letter: DeadLetterSummary, areShort: Bool) -> [String] {
        var written = letter.writtenAt?.secondsText ?? "-"
        var message = letter.eventType.map { "\($0): \(letter.message)" } ?? letter.message
        if areShort {
            if letter.writtenAt != nil {
                written = String(written.dropFirst(5).dropLast().map { $0 == "T" ? " " : $0 })
            }
            let file = "\(letter.sourceTopic).json5: "
            if message.hasPrefix(file) { message.removeFirst(file.count) }
        }
        return [
            letter.position.description, written, printable(letter.reason),
            letter.webhook?.description ?? printable(letter.origin), printable(message),
        ]
    }

    private static func cut(_ text: String, to room: Int?) -> String {
        guard let room, text.count > room else { return text }
        return text.prefix(room - 1) + "…"
    }

    /// `3 letters: 2 unmappable, 1 retries spent`
    package static func totals(_ letters: NewestDeadLetters, shown: Int) -> String {
        guard letters.total > 0 else { return "no letters" }
        let reasons = letters.reasons.map { "\($0.count) \(printable($0.reason))" }.joined(separator: ", ")
        let all = "\(letters.total) \(letters.total == 1 ? "letter" : "letters"): \(reasons)"
        return shown < letters.total ? "\(all); the newest \(shown) are shown" : all
    }

    /// One object on one line.
    package static func json(_ letter: DeadLetterSummary) -> String {
        let line = JSONWriter.document { writer in
            writer.field("letter", letter.position.description)
            writer.field("writtenAt", letter.writtenAt?.description)
            writer.field("reason", letter.reason)
            writer.field("message", letter.message)
            writer.field("origin", letter.origin)
            writer.field("webhookId", letter.webhook?.description)
            writer.field("accountId", letter.account?.description)
            writer.field("eventId", letter.event?.description)
            writer.field("eventType", letter.eventType)
            writer.field("attempt", letter.attempt ?? 0)
            writer.field("bytes", letter.bytes)
            writer.field("originalBytes", letter.wholeBytes ?? letter.bytes)
        }
        return String(decoding: line, as: UTF8.self)
    }

    /// Position, time, key and headers, a line each, as they are on the topic.
    package static func head(_ letter: borrowing KafkaMessage) -> [String] {
        let position = DeadLetterPosition(partition: letter.partition, offset: letter.offset)
        var lines = ["letter: \(position)"]
        if letter.timestamp >= 0 { lines.append("written: \(Timestamp(milliseconds: letter.timestamp))") }
        lines.append("key: \(printable(letter.key))")
        letter.forEachHeader { name, value in lines.append("\(printable(name)): \(printable(value))") }
        return lines
    }

    /// UTF-8 as it is, anything else as `\xff` bytes.
    private static func printable(_ bytes: UnsafeRawBufferPointer) -> String {
        guard bytes.baseAddress != nil else { return "(no value)" }
        if let text = String(validating: bytes, as: UTF8.self) { return printable(text) }
        return bytes.map { byte in
            (0x20..<0x7f).contains(byte)
                ? String(UnicodeScalar(byte)) : "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }

    /// Without what would move a terminal's cursor or turn its text around.
    package static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isTricky) else { return text }
        return text.unicodeScalars.map { scalar in
            isTricky(scalar) ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }.joined()
    }

    private static func isTricky(_ scalar: UnicodeScalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f..<0xa0, 0x2028...0x202e, 0x2066...0x2069: true
        default: false
        }
    }
}
