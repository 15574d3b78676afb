// The reference: one commented file with every key and its default, written from the table, so that the two cannot drift.
internal import Core

package enum ReferenceFile {
    private static let header = """
        The configuration of the webhook bridge: every key with its default. JSON with comments, trailing commas and bare
        keys (JSON5). Copy it, or write only what differs: an empty object is all defaults but for what is required, which
        is kafka."bootstrap.servers" and secrets.keyFile.

        Any key can also be set by a variable (limits.eventsPerSecond is BRIDGE_LIMITS_EVENTS_PER_SECOND,
        kafka."bootstrap.servers" is BRIDGE_KAFKA_BOOTSTRAP_SERVERS; an empty variable counts as not set) or by a flag
        (--set limits.eventsPerSecond=50); flags win over variables, variables over this file. Both take JSON, or a plain
        text; lists may also be written with commas between. Relative paths in here are seen from the folder of this file,
        in variables and flags from the working directory. Durations are "500ms", "5s", "30m", "24h" or "2d".

        `webhook-bridge config check --config FILE` lists everything that is wrong.
        """
    private static let lineLength = 120

    /// The file's text.
    package static func text() -> String {
        var lines: [String] = []
        comment(header, indentation: 0, into: &lines)
        lines.append("{")
        write(KeyTable.entries, indentation: 4, into: &lines)
        lines.append("}")
        return lines.joined(separator: "\n") + "\n"
    }

    private static func write(
        _ entries: [KeyEntry], indentation: Int, withRanges: Bool = true, into lines: inout [String]
    ) {
        let space = String(repeating: " ", count: indentation)
        for (position, entry) in entries.enumerated() {
            // Sections and long comments get air; runs of one-line keys stay together.
            if position > 0, indentation == 4 { lines.append("") }
            switch entry {
            case .key(let key):
                comment(withRanges ? describe(key) : key.summary, indentation: indentation, into: &lines)
                lines.append(
                    "\(space)\(name(key.name)): \(key.show(Settings())),"
                        + (key.example.map { " // for example \($0)" } ?? ""))
            case .section(let section, let intro, let shorthand, let inner):
                comment(intro, indentation: indentation, into: &lines)
                lines.append("\(space)\(name(section)): {")
                // Where one value can stand for all, the intro gives the one range they share.
                write(inner, indentation: indentation + 4, withRanges: shorthand == nil, into: &lines)
                lines.append("\(space)},")
            case .kafka(let intro):
                comment(intro, indentation: indentation, into: &lines)
                lines.append("\(space)kafka: {")
                lines.append("\(space)    \"\(KafkaProperties.bootstrapServers)\": \"localhost:9092\",")
                lines.append("\(space)    // \"security.protocol\": \"SASL_SSL\",")
                lines.append("\(space)    // \"sasl.mechanism\": \"SCRAM-SHA-512\",")
                lines.append("\(space)    // \"sasl.username\": \"bridge\",")
                lines.append("\(space)    // \"sasl.password\": {\"file\": \"kafka.password\"},")
                lines.append("\(space)},")
            }
        }
    }

    /// The summary, and the range where it is a number's: what a text must look like is seen from the value.
    private static func describe(_ key: ConfigurationKey) -> String {
        var words = key.expectation.split(separator: " ")
        guard let from = words.firstIndex(of: "from") else { return key.summary }
        words.removeFirst(from + 1)
        let range = words.prefix(3).joined(separator: " ")
        return "\(key.summary) (\(range.hasSuffix(",") ? String(range.dropLast()) : range))"
    }

    private static func name(_ key: String) -> String {
        key.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" } ? key : JSON5Text.quoted(key)
    }

    private static func comment(_ text: String, indentation: Int, into lines: inout [String]) {
        let start = String(repeating: " ", count: indentation) + "//"
        for paragraph in text.split(separator: "\n", omittingEmptySubsequences: false) {
            var line = start
            for word in paragraph.split(separator: " ") {
                if line.count + 1 + word.count > lineLength {
                    lines.append(line)
                    line = start
                }
                line += " " + word
            }
            lines.append(line)
        }
    }
}
