// What `config check` prints: every fault on a line of its own, or the settings that would be in force.
internal import Core

package struct ConfigurationCheck: Sendable {
    package var faults: [ConfigurationFault]
    package var warnings: [ConfigurationFault]
    /// Lines for people, each ended; without secrets.
    package var output: String
    package var exitCode: Int32 { faults.isEmpty ? 0 : 2 }
}

/// Loads a configuration as `run` would and says what came of it.
package func checkConfiguration(
    path: String?, sets: [String], environment: [String: String], needs: ConfigurationRequest.Needs = .all
) -> ConfigurationCheck {
    let request = ConfigurationRequest(path: path, sets: sets, environment: environment, needs: needs)
    do throws(ConfigurationFaults) {
        let loaded = try ConfigurationLoader.load(request)
        let lines = loaded.warnings.map { "warning: \($0)" } + ["configuration is fine"] + effective(loaded)
        return ConfigurationCheck(faults: [], warnings: loaded.warnings, output: joined(lines))
    } catch {
        let count = error.faults.count == 1 ? "1 fault" : "\(error.faults.count) faults"
        let lines = error.warnings.map { "warning: \($0)" } + error.faults.map(\.description) + [count]
        return ConfigurationCheck(faults: error.faults, warnings: error.warnings, output: joined(lines))
    }
}

private func joined(_ lines: [String]) -> String { lines.map { $0 + "\n" }.joined() }

/// `key = value`, with the place of what is not the default.
private func effective(_ loaded: LoadedConfiguration) -> [String] {
    var lines: [String] = []
    for (name, property) in loaded.settings.kafka.properties.sorted(by: { $0.key < $1.key }) {
        let key = Keys.kafkaPrefix + name
        let value = property.isSecret ? "***" : JSON5Text.quoted(property.value)
        lines.append("  \(key) = \(value)" + place(loaded.sources[key]))
    }
    for key in Keys.all where !Keys.sections.contains(key.name) {
        lines.append("  \(key.name) = \(key.show(loaded.settings))" + place(source(of: key.name, loaded.sources)))
    }
    return lines
}

/// Where a key's value is from; a key of `topics.retentionHours` may have been set through its section.
private func source(of key: String, _ sources: [String: ConfigurationSource]) -> ConfigurationSource? {
    if let source = sources[key] { return source }
    guard let dot = key.lastIndex(of: ".") else { return nil }
    return sources[String(key[..<dot])]
}

private func place(_ source: ConfigurationSource?) -> String { source.map { "    // \($0)" } ?? "" }
