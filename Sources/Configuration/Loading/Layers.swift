// The three layers of a configuration, each as a flat list of "this key, this value, from there". Nothing is judged
// here but the form: whether a key is known and its value fits is the loader's question, the same for all layers.
internal import JSON

/// One value that somebody set.
struct Assignment {
    var key: String
    var input: ValueInput
    var source: ConfigurationSource
}

enum Layers {
    /// A file's tree, the keys dotted. `{"api.listen": …}` and `{api: {listen: …}}` are the same.
    static func file(_ tree: JSONTree, path: String) -> [Assignment] {
        var assignments: [Assignment] = []
        let input = ValueInput(tree: tree, text: nil, folder: FileAccess.folder(of: path))
        flatten("", input, .file(path, line: tree.line), into: &assignments)
        return assignments
    }

    /// Every `BRIDGE_…` variable. An empty one counts as not set, since compose files write `${NAME:-}`.
    static func environment(_ variables: [String: String]) -> (
        assignments: [Assignment], warnings: [ConfigurationFault]
    ) {
        var assignments: [Assignment] = []
        var warnings: [ConfigurationFault] = []
        for (name, value) in variables.sorted(by: { $0.key < $1.key }) where name.hasPrefix(prefix) {
            if value.isEmpty || silent.contains(name) { continue }
            let source = ConfigurationSource.environment(name)
            if let key = Keys.byVariable[name] {
                flatten(key.name, input(value), source, into: &assignments)
            } else if name.hasPrefix(kafkaPrefix), name != kafkaPrefix {
                let property = name.dropFirst(kafkaPrefix.count).lowercased().replacing("_", with: ".")
                flatten(Keys.kafkaPrefix + property, input(value), source, into: &assignments)
            } else {
                warnings.append(
                    ConfigurationFault(
                        key: "", cause: "no setting has this variable",
                        fix: Suggestion.text(for: name, in: Keys.byVariable.keys.sorted()), source: source))
            }
        }
        return (assignments, warnings)
    }

    /// Every `--set key=value`, in order: a later one wins.
    static func flags(_ sets: [String]) -> (assignments: [Assignment], faults: [ConfigurationFault]) {
        var assignments: [Assignment] = []
        var faults: [ConfigurationFault] = []
        for text in sets {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                faults.append(
                    ConfigurationFault(
                        key: "", cause: "has no '='",
                        fix: "write --set key=value, such as --set api.listen=127.0.0.1:8080",
                        source: .flag(text)))
                continue
            }
            let key = String(text[..<equals])
            flatten(key, input(String(text[text.index(after: equals)...])), .flag(key), into: &assignments)
        }
        return (assignments, faults)
    }

    private static let prefix = "BRIDGE_"
    private static let kafkaPrefix = "BRIDGE_KAFKA_"
    /// Variables of the bridge that are not settings: where a test kills the process.
    private static let silent: Set<String> = ["BRIDGE_CRASH_AT"]

    /// A text that is taken as JSON where it is JSON, else as itself; relative paths are seen from the working directory.
    private static func input(_ text: String) -> ValueInput {
        let tree = (try? JSON5Reader.read(Array(text.utf8), as: .json)) ?? JSONTree(.string(text))
        return ValueInput(tree: tree, text: text, folder: ".")
    }

    private static func flatten(
        _ key: String, _ input: ValueInput, _ source: ConfigurationSource, into assignments: inout [Assignment]
    ) {
        guard case .object(let members) = input.tree.value, descends(key, members) else {
            assignments.append(Assignment(key: key, input: input, source: source))
            return
        }
        for member in members {
            var source = source
            if case .file(let path, _) = source { source = .file(path, line: member.line) }
            let inner = ValueInput(tree: member.value, text: nil, folder: input.folder)
            flatten(key.isEmpty ? member.key : "\(key).\(member.key)", inner, source, into: &assignments)
        }
    }

    private static func descends(_ key: String, _ members: [JSONTree.Member]) -> Bool {
        if key.hasPrefix(Keys.kafkaPrefix) { return KafkaProperties.filePath(members) == nil && !members.isEmpty }
        return key.isEmpty || Keys.sections.contains(key)
    }
}
