// From arguments to an `Invocation`. Prints nothing and exits nowhere: the program does that, with what it gets from here.
internal import Runtime

package enum CommandLineParser {
    /// - Parameter arguments: without the program's own name.
    /// - Returns: what to do, also when that is printing help; or what is wrong with it, for stderr and exit code 2.
    package static func parse(_ arguments: [String]) -> Result<Invocation, UsageError> {
        var parser = Parser(rest: arguments[...])
        do throws(UsageError) { return .success(try parser.invocation()) } catch { return .failure(error) }
    }
}

private struct Parser {
    var rest: ArraySlice<String>
    var logFormat = Log.Format.json
    var logLevel = Log.Level.info
    var wantsHelp = false

    mutating func invocation() throws(UsageError) -> Invocation {
        let words = try commandWords()
        let command = try self.command(words)
        return Invocation(command: command, logFormat: logFormat, logLevel: logLevel)
    }

    /// The leading words, with global options before and between them taken out.
    private mutating func commandWords() throws(UsageError) -> [String] {
        var words: [String] = []
        while let argument = rest.first, words.count < 2 {
            if argument == "--version", words.isEmpty { return ["--version"] }
            if argument.hasPrefix("-") {
                if try takeGlobal("") { continue }
                break
            }
            // One word is a whole command where nothing of two words begins like it.
            if words.count == 1, !isGroup(words[0]) { break }
            words.append(argument)
            rest.removeFirst()
        }
        return words
    }

    private mutating func command(_ words: [String]) throws(UsageError) -> ProgramCommand {
        guard let first = words.first else {
            if wantsHelp { return .help(CommandHelp.overview) }
            if let option = rest.first {
                throw unknownOption(option, in: CommandOption.global.map(\.name) + ["--version"], command: "")
            }
            throw UsageError(message: "which command?", hint: CommandHelp.overview)
        }
        if first == "--version" { return .version }
        if first == "help" { return try help(words) }
        if let specification = CommandTable.all.first(where: { $0.words == words }) { return try parse(specification) }
        if isGroup(first) {
            if words.count == 1, wantsHelp || rest.first.map({ $0 == "--help" || $0 == "-h" }) == true {
                return .help(CommandHelp.group(first))
            }
            let second = CommandTable.all.filter { $0.words[0] == first && $0.words.count > 1 }.map { $0.words[1] }
            let message =
                words.count == 1
                ? "'\(first)' needs \(second.count == 1 ? "" : "one of: ")\(second.joined(separator: ", "))"
                : "there is no command '\(first) \(words[1])'"
            let near = words.count == 1 ? "" : Suggestion.text(for: words[1], in: second)
            throw UsageError(message: message, hint: hint(near, command: first))
        }
        let names = Set(CommandTable.all.map { $0.words[0] }).sorted()
        throw UsageError(
            message: "there is no command '\(first)'", hint: hint(Suggestion.text(for: first, in: names), command: ""))
    }

    /// `help`, `help run`, `help topics create`: what people type who come from other tools.
    private mutating func help(_ words: [String]) throws(UsageError) -> ProgramCommand {
        rest = words.dropFirst() + rest.filter { !$0.hasPrefix("-") } + ["--help"]
        return try command(try commandWords())
    }

    private mutating func parse(_ specification: CommandSpecification) throws(UsageError) -> ProgramCommand {
        var parsed = ParsedOptions(command: specification.name)
        while let argument = rest.first {
            if try takeGlobal(specification.name) { continue }
            let (name, attached) = split(argument)
            guard argument.hasPrefix("-") else {
                guard let operand = specification.operand, operand.isRepeatable || parsed.operands.isEmpty else {
                    throw parsed.error("unexpected argument '\(argument)'")
                }
                parsed.operands.append(argument)
                rest.removeFirst()
                continue
            }
            guard let option = specification.options.first(where: { $0.name == name }) else {
                throw unknownOption(
                    name, in: (specification.options + CommandOption.global).map(\.name), command: specification.name)
            }
            rest.removeFirst()
            if option.value == nil {
                guard attached == nil else { throw parsed.error("\(name) takes no value") }
                parsed.switches.insert(name)
            } else {
                let value = try take(attached, of: option, command: specification.name)
                if !option.isRepeatable, parsed.values[name] != nil { throw parsed.error("\(name) is given twice") }
                parsed.values[name, default: []].append(value)
            }
        }
        if wantsHelp { return .help(CommandHelp.command(specification)) }
        var missing = specification.options.filter { $0.isRequired && parsed.values[$0.name] == nil }.map(\.form)
        if let operand = specification.operand, operand.isRequired, parsed.operands.isEmpty {
            missing.insert(operand.form, at: 0)
        }
        guard missing.isEmpty else {
            throw parsed.error("'\(specification.name)' needs \(missing.joined(separator: " and "))")
        }
        return try specification.build(parsed)
    }

    /// Takes a global option, with its value, if one is next.
    private mutating func takeGlobal(_ command: String) throws(UsageError) -> Bool {
        guard let argument = rest.first else { return false }
        if argument == "-h" {
            wantsHelp = true
            rest.removeFirst()
            return true
        }
        let (name, attached) = split(argument)
        guard let option = CommandOption.global.first(where: { $0.name == name }) else { return false }
        rest.removeFirst()
        if name == "--help" {
            wantsHelp = true
            return true
        }
        let value = try take(attached, of: option, command: command)
        switch (name, value) {
        case ("--log-format", "json"): logFormat = .json
        case ("--log-format", "text"): logFormat = .text
        case ("--log-format", _):
            throw UsageError(
                message: "--log-format: '\(value)' is neither json nor text", hint: hint("", command: command))
        default:
            guard let level = Log.Level.allCases.first(where: { "\($0)" == value }) else {
                let known = Log.Level.allCases.map { "\($0)" }
                throw UsageError(
                    message: "--log-level: '\(value)' is none of \(known.joined(separator: ", "))",
                    hint: hint(Suggestion.text(for: value, in: known), command: command))
            }
            logLevel = level
        }
        return true
    }

    private mutating func take(_ attached: String?, of option: CommandOption, command: String) throws(UsageError)
        -> String
    {
        if let attached { return attached }
        // A value may start with one dash (a negative number), but two are the next option: its value was forgotten.
        guard let value = rest.first, !value.hasPrefix("--") else {
            throw UsageError(message: "\(option.name) needs a value: \(option.form)", hint: hint("", command: command))
        }
        rest.removeFirst()
        return value
    }

    /// `--name=value` in its parts.
    private func split(_ argument: String) -> (name: String, value: String?) {
        guard argument.hasPrefix("--"), let equals = argument.firstIndex(of: "=") else { return (argument, nil) }
        return (String(argument[..<equals]), String(argument[argument.index(after: equals)...]))
    }

    private func isGroup(_ word: String) -> Bool {
        word == "help" || CommandTable.all.contains { $0.words.count > 1 && $0.words[0] == word }
    }

    private func unknownOption(_ name: String, in known: [String], command: String) -> UsageError {
        UsageError(
            message: "there is no option \(name)", hint: hint(Suggestion.text(for: name, in: known), command: command))
    }

    private func hint(_ suggestion: String, command: String) -> String {
        let more = command.isEmpty ? "see 'webhook-bridge --help'" : "see 'webhook-bridge \(command) --help'"
        return suggestion.isEmpty ? more : "\(suggestion)\n\(more)"
    }
}
