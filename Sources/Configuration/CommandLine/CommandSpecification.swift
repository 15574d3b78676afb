// One command as data: its words, its options, its texts for people, and how its options become a `ProgramCommand`.
internal import Core
internal import Runtime

struct CommandOption: Sendable {
    /// With the dashes: `--config`.
    var name: String
    /// What its value is, `FILE`; nil for a switch.
    var value: String?
    var summary: String
    var isRequired = false
    var isRepeatable = false

    /// `--config FILE`
    var form: String { value.map { "\(name) \($0)" } ?? name }
    var synopsis: String {
        let form = isRequired ? form : "[\(form)]"
        return isRepeatable ? form + "…" : form
    }
}

/// What a command takes without a name in front.
struct CommandOperand: Sendable {
    /// `PARTITION/OFFSET`
    var form: String
    var summary: String
    var isRequired: Bool
    var isRepeatable: Bool

    var synopsis: String {
        let form = isRepeatable ? form + "…" : form
        return isRequired ? form : "[\(form)]"
    }
}

struct CommandSpecification: Sendable {
    /// `["topics", "create"]`
    var words: [String]
    /// One line, for the overview.
    var summary: String
    /// What a person wants to know before the first use.
    var details: String
    var example: String
    var operand: CommandOperand?
    var options: [CommandOption]
    var build: @Sendable (ParsedOptions) throws(UsageError) -> ProgramCommand

    var name: String { words.joined(separator: " ") }
}

/// The options of one command line, checked against its specification.
struct ParsedOptions {
    var command: String
    var values: [String: [String]] = [:]
    var switches: Set<String> = []
    var operands: [String] = []

    func value(_ name: String) -> String? { values[name]?.last }
    func has(_ name: String) -> Bool { switches.contains(name) }
    var configuration: ConfigurationOptions {
        ConfigurationOptions(path: value("--config"), sets: values["--set"] ?? [])
    }

    func error(_ message: String, hint: String = "") -> UsageError {
        let more = "see 'webhook-bridge \(command) --help'"
        return UsageError(message: message, hint: hint.isEmpty ? more : "\(hint)\n\(more)")
    }
}

extension CommandOption {
    static let config = CommandOption(
        name: "--config", value: "FILE", summary: "the configuration file (JSON with comments)", isRequired: true)
    static let set = CommandOption(
        name: "--set", value: "key=value", summary: "one setting, over environment and file; may be repeated",
        isRepeatable: true)
    static let topic = CommandOption(
        name: "--topic", value: "TOPIC", summary: "the domain topic the record is from", isRequired: true)

    var optional: CommandOption {
        var copy = self
        copy.isRequired = false
        return copy
    }

    /// Taken by every command, before or after its name.
    static let global = [
        CommandOption(
            name: "--log-format", value: "json|text",
            summary: "how the log is written to stderr: an object a line, or for people"),
        CommandOption(
            name: "--log-level", value: "LEVEL",
            summary: "the least that is logged: debug, info (the default), warning or error"),
        CommandOption(name: "--help", value: nil, summary: "this text; -h for short"),
    ]
}
