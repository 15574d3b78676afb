// One setting: its key, its type, what it is for, and how it gets into and out of `Settings`. The table of all of them
// (KeyTable.swift) drives reading, messages, suggestions, the names of variables and the reference file.
internal import Core

struct ConfigurationKey: Sendable {
    /// The dotted key, complete once it stands in the table.
    var name: String
    /// A sentence or two for people, without the range: that is `expectation`.
    var summary: String
    /// Completes "must be …".
    var expectation: String
    /// A value to show where the default is "not set".
    var example: String?
    var apply: @Sendable (ValueInput, inout Settings) throws(Rejection) -> Void
    /// The value as JSON5.
    var show: @Sendable (Settings) -> String

    init<Value: Sendable>(
        _ name: String, _ path: any WritableKeyPath<Settings, Value> & Sendable, _ type: ValueType<Value>,
        _ summary: String,
        example: String? = nil
    ) {
        self.name = name
        self.summary = summary
        self.example = example
        expectation = type.expectation
        apply = { input, settings throws(Rejection) in settings[keyPath: path] = try type.read(input) }
        show = { type.write($0[keyPath: path]) }
    }

    /// `BRIDGE_LIMITS_EVENTS_PER_SECOND` for `limits.eventsPerSecond`.
    var variable: String { Self.variable(for: name) }

    static func variable(for key: String) -> String {
        var result = "BRIDGE_"
        var previous: Character = "."
        let characters = Array(key)
        for (position, character) in characters.enumerated() {
            let next = position + 1 < characters.count ? characters[position + 1] : "."
            // A word starts at a capital after a small letter, and at the last capital of a run: allowHTTP, smtpURLList.
            let startsWord = character.isUppercase && (previous.isLowercase || previous.isUppercase && next.isLowercase)
            if startsWord { result += "_" }
            result += character == "." || character == "-" ? "_" : character.uppercased()
            previous = character
        }
        return result
    }
}

/// The table as it is nested in the file.
indirect enum KeyEntry: Sendable {
    case key(ConfigurationKey)
    /// - shorthand: what a plain value in the section's place means.
    case section(String, intro: String, shorthand: ConfigurationKey? = nil, [KeyEntry])
    /// Everything under it is librdkafka's.
    case kafka(String)
}

/// The table, indexed.
enum Keys {
    /// Every key in the order of the reference file, under its complete name.
    static let all: [ConfigurationKey] = {
        var keys: [ConfigurationKey] = []
        func collect(_ entries: [KeyEntry], prefix: String) {
            for entry in entries {
                switch entry {
                case .key(var key):
                    key.name = prefix + key.name
                    keys.append(key)
                case .section(let name, _, let shorthand, let inner):
                    if var key = shorthand {
                        key.name = prefix + name
                        keys.append(key)
                    }
                    collect(inner, prefix: prefix + name + ".")
                case .kafka: break
                }
            }
        }
        collect(KeyTable.entries, prefix: "")
        return keys
    }()

    static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
    static let byVariable = Dictionary(uniqueKeysWithValues: all.map { ($0.variable, $0) })

    /// Dotted names that are objects: `topics`, `topics.retentionHours` …
    static let sections: Set<String> = {
        var names: Set<String> = [kafka]
        for key in all {
            var parts = key.name.split(separator: ".")
            while parts.count > 1 {
                parts.removeLast()
                names.insert(parts.joined(separator: "."))
            }
        }
        return names
    }()

    static let kafka = "kafka"
    static let kafkaPrefix = "kafka."

    static var suggestable: [String] { all.map(\.name) + sections.sorted() }
}
