// What is wrong with a configuration, one fault at a time; the loader collects all of them before it gives up.

/// Where a setting came from.
package enum ConfigurationSource: Equatable, Sendable, CustomStringConvertible {
    /// Nobody set it.
    case defaults
    case file(String, line: Int?)
    /// The variable's name.
    case environment(String)
    /// A `--set`, by its key: the value may be a secret.
    case flag(String)

    package var description: String {
        switch self {
        case .defaults: "default"
        case .file(let path, let line?): "\(path):\(line)"
        case .file(let path, nil): path
        case .environment(let name): name
        case .flag(let key): "--set \(key)"
        }
    }
}

package struct ConfigurationFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// The dotted key; empty when the fault is not one key's.
    package var key: String
    package var cause: String
    /// What to do about it; empty where the cause says it.
    package var fix: String
    package var source: ConfigurationSource

    package init(key: String, cause: String, fix: String = "", source: ConfigurationSource) {
        self.key = key
        self.cause = cause
        self.fix = fix
        self.source = source
    }

    /// `config/bridge.json5:31: limits.eventsPerSecond: must be …; fix`
    package var description: String {
        let place = source == .defaults ? "configuration" : source.description
        let text = fix.isEmpty ? cause : "\(cause); \(fix)"
        return key.isEmpty ? "\(place): \(text)" : "\(place): \(key): \(text)"
    }
}

/// Why one value is refused; the loader adds key and source.
struct Rejection: Error {
    var cause: String
    var fix = ""
}
