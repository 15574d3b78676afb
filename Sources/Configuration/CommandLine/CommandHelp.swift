// The help texts, all made from the command table.

enum CommandHelp {
    static let overview = """
        webhook-bridge: delivers the domain events of Kafka topics as signed webhooks

        Usage: webhook-bridge COMMAND [OPTION]…

        Commands:
        \(columns(CommandTable.all.map { ($0.name, $0.summary) }))

        Options of every command:
        \(columns(CommandOption.global.map { ($0.form, $0.summary) } + [("--version", "which version this is, alone")]))

        Exit codes: 0 fine, 1 failed at run time, 2 wrong usage or configuration.

        Example:
          webhook-bridge demo

        'webhook-bridge COMMAND --help' says more about one of them.

        """

    static func group(_ word: String) -> String {
        let commands = CommandTable.all.filter { $0.words.count > 1 && $0.words[0] == word }
        return """
            Usage: webhook-bridge \(word) \(commands.map { $0.words[1] }.joined(separator: "|")) [OPTION]…

            Commands:
            \(columns(commands.map { ($0.name, $0.summary) }))

            Example:
            \(indented(commands[0].example))

            'webhook-bridge \(commands[0].name) --help' says more.

            """
    }

    static func command(_ command: CommandSpecification) -> String {
        let words = ["webhook-bridge", command.name] + [command.operand?.synopsis].compactMap(\.self)
        let synopsis = wrapped(words + command.options.map(\.synopsis), indent: "    ")
        let rows =
            [command.operand.map { ($0.form, $0.summary) }].compactMap(\.self)
            + command.options.map { ($0.form, $0.summary) }
        let own = rows.isEmpty ? "" : "Options:\n\(columns(rows))\n\n"
        return """
            webhook-bridge \(command.name): \(command.summary)

            \(synopsis)

            \(command.details)

            \(own)Options of every command:
            \(columns(CommandOption.global.map { ($0.form, $0.summary) }))

            Example:
            \(indented(command.example))

            """
    }

    /// Words in lines of a terminal's width.
    private static func wrapped(_ words: [String], indent: String) -> String {
        var lines: [String] = []
        var line = "Usage:"
        for word in words {
            if line.count + 1 + word.count > 98 {
                lines.append(line)
                line = indent + word
            } else {
                line += " " + word
            }
        }
        return (lines + [line]).joined(separator: "\n")
    }

    private static func columns(_ rows: [(String, String)]) -> String {
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { "  \($0.0)\(String(repeating: " ", count: width - $0.0.count))  \($0.1)" }.joined(
            separator: "\n")
    }

    private static func indented(_ text: String) -> String {
        text.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n")
    }
}
