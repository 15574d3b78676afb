// From a file, the environment and flags to `Settings`: flags > environment > file > defaults. Everything that is wrong
// is found in one go, for a person who starts a process ten times to learn of ten faults is badly served.
//
// Relative paths: in the file, and by default, seen from the file's folder; in variables and flags from the working directory.
internal import Core
internal import JSON

/// One pass from a request to settings or faults.
package struct ConfigurationLoader {
    private let request: ConfigurationRequest
    private var settings = Settings()
    private var faults: [ConfigurationFault] = []
    private var warnings: [ConfigurationFault] = []
    private var sources: [String: ConfigurationSource] = [:]
    private var kafka: [String: KafkaProperties.Value] = [:]
    /// A file that could not be read may have said everything that now seems to be missing.
    private var fileIsUnread = false

    private static let fileLimitBytes = 1 << 20

    private init(_ request: ConfigurationRequest) { self.request = request }

    /// - Throws: all faults at once.
    package static func load(_ request: ConfigurationRequest) throws(ConfigurationFaults) -> LoadedConfiguration {
        var loader = ConfigurationLoader(request)
        loader.applyLayers()
        loader.resolveDefaults()
        loader.resolveKafka()
        loader.faults += SettingsRules.broken(loader.settings).map { loader.fault($0.key, $0.rejection) }
        let extras = loader.checkSurroundings()
        if !loader.faults.isEmpty { throw ConfigurationFaults(faults: loader.faults, warnings: loader.warnings) }
        return LoadedConfiguration(
            settings: loader.settings, secretKeys: extras.keys, mailPassword: extras.mailPassword,
            apiTLS: extras.apiTLS,
            warnings: loader.warnings, sources: loader.sources)
    }

    // MARK: Layers

    private mutating func applyLayers() {
        if let path = request.path { readFile(path) }
        let environment = Layers.environment(request.environment)
        warnings += environment.warnings
        environment.assignments.forEach { apply($0) }
        let flags = Layers.flags(request.sets)
        faults += flags.faults
        flags.assignments.forEach { apply($0) }
    }

    private mutating func readFile(_ path: String) {
        do throws(FileError) {
            let content = try FileAccess.read(path, limitBytes: Self.fileLimitBytes)
            do throws(JSONSyntaxError) {
                let tree = try JSON5Reader.read(content.bytes)
                guard case .object = tree.value else {
                    throw JSONSyntaxError(line: tree.line, column: 1, message: "expected an object, found \(tree.kind)")
                }
                var lines: [String: ConfigurationSource] = [:]
                for assignment in Layers.file(tree, path: path) {
                    if let first = lines.updateValue(assignment.source, forKey: assignment.key) {
                        faults.append(
                            ConfigurationFault(
                                key: assignment.key, cause: "stands twice, first at \(first)",
                                fix: "remove one of them",
                                source: assignment.source))
                    }
                    apply(assignment)
                }
            } catch {
                fileIsUnread = true
                faults.append(
                    ConfigurationFault(
                        key: "", cause: "not JSON with comments: \(error.message) (column \(error.column))",
                        source: .file(path, line: error.line)))
            }
        } catch {
            fileIsUnread = true
            faults.append(
                ConfigurationFault(key: "", cause: "cannot be read: \(error.message)", source: .file(path, line: nil)))
        }
    }

    private mutating func apply(_ assignment: Assignment) {
        let key = assignment.key
        sources[key] = assignment.source
        do throws(Rejection) {
            if key.hasPrefix(Keys.kafkaPrefix) {
                try applyKafka(String(key.dropFirst(Keys.kafkaPrefix.count)), assignment)
            } else if let known = Keys.byName[key] {
                try known.apply(assignment.input, &settings)
            } else if Keys.sections.contains(key) {
                throw Rejection(cause: "must be an object of keys (was \(assignment.input.tree.kind))")
            } else {
                throw Rejection(cause: "unknown key", fix: Suggestion.text(for: key, in: Keys.suggestable))
            }
        } catch {
            faults.append(ConfigurationFault(key: key, cause: error.cause, fix: error.fix, source: assignment.source))
        }
    }

    private mutating func applyKafka(_ property: String, _ assignment: Assignment) throws(Rejection) {
        guard !property.isEmpty else { throw Rejection(cause: "the property has no name") }
        let value = try KafkaProperties.value(assignment.input)
        if let reason = KafkaProperties.reason(ignored: property) {
            let cause = "ignored: the bridge sets this itself, \(reason)"
            warnings.append(ConfigurationFault(key: assignment.key, cause: cause, source: assignment.source))
        } else {
            kafka[property] = value
        }
    }

    // MARK: After the layers

    /// Default paths are seen from the file's folder, as if they stood in it.
    private mutating func resolveDefaults() {
        let folder = request.path.map { FileAccess.folder(of: $0) } ?? "."
        if sources["state.directory"] == nil {
            settings.state.directory = FileAccess.resolve(settings.state.directory, in: folder)
        }
        if settings.mappingsFolder.isEmpty {
            var places = [FileAccess.resolve("mappings", in: folder), "config/mappings"]
            if let program = FileAccess.program {
                places.append(
                    FileAccess.resolve("../share/webhook-bridge/mappings", in: FileAccess.folder(of: program)))
            }
            settings.mappingsFolder = places.first(where: FileAccess.isFolder) ?? places[0]
        }
        if settings.schemasFolder.isEmpty {
            var places = [
                FileAccess.resolve("schemas", in: FileAccess.folder(of: settings.mappingsFolder)), "config/schemas",
            ]
            if let program = FileAccess.program {
                places.append(FileAccess.resolve("../share/webhook-bridge/schemas", in: FileAccess.folder(of: program)))
            }
            settings.schemasFolder = places.first(where: FileAccess.isFolder) ?? places[0]
        }
    }

    private mutating func resolveKafka() {
        for (name, value) in kafka.sorted(by: { $0.key < $1.key }) {
            let key = Keys.kafkaPrefix + name
            switch value {
            case .absent: break
            case .text(let text):
                settings.kafka.properties[name] = .init(value: text, isSecret: KafkaProperties.isSecret(name))
            case .file(let path):
                if let text = readText(path, key: key) {
                    settings.kafka.properties[name] = .init(value: text, isSecret: true)
                }
            }
        }
        let servers = settings.kafka.bootstrapServers ?? ""
        let key = Keys.kafkaPrefix + KafkaProperties.bootstrapServers
        let isFaulty = faults.contains { $0.key == key || $0.key == Keys.kafka }
        if request.needs.contains(.cluster), servers.isEmpty, !fileIsUnread, !isFaulty {
            faults.append(
                fault(
                    key,
                    Rejection(
                        cause: "is required: the brokers to start from",
                        fix:
                            "such as kafka: {\"bootstrap.servers\": \"localhost:9092\"} or BRIDGE_KAFKA_BOOTSTRAP_SERVERS=localhost:9092"
                    )))
        }
    }

    // MARK: Surroundings

    private mutating func checkSurroundings() -> (keys: SecretKeys?, mailPassword: String?, apiTLS: TLSFiles?) {
        if request.needs.contains(.mappings), !isFaulty("mappings") {
            let folder = settings.mappingsFolder
            check("mappings", folder, "name a folder of mapping files") { path throws(FileError) in
                try FileAccess.checkReadableFolder(path)
            }
        }
        if request.needs.contains(.state), !isFaulty("state.directory") {
            let folder = settings.state.directory
            check("state.directory", folder, "name a folder this process may write to") { path throws(FileError) in
                try FileAccess.checkWritableFolder(path)
            }
        }
        if let path = settings.egress.caFile {
            check("egress.caFile", path, "") { path throws(FileError) in
                _ = try FileAccess.read(path, limitBytes: 16 << 20)
            }
        }
        if let path = settings.mail.caFile {
            check("mail.caFile", path, "") { path throws(FileError) in
                _ = try FileAccess.read(path, limitBytes: 16 << 20)
            }
        }
        var password: String?
        if let path = settings.mail.passwordFile { password = readText(path, key: "mail.passwordFile") }
        return (
            request.needs.contains(.secrets) ? readSecretKeys() : nil, password,
            request.needs.contains(.apiTLS) ? readTLS() : nil
        )
    }

    private mutating func readTLS() -> TLSFiles? {
        guard let certificatePath = settings.api.tls.certificateFile, let keyPath = settings.api.tls.keyFile else {
            return nil
        }
        let certificate = read(certificatePath, key: "api.tls.certificateFile")
        let key = read(keyPath, key: "api.tls.keyFile")
        if let key { checkIsPrivate(key, keyPath, key: "api.tls.keyFile") }
        guard let certificate, let key else { return nil }
        return TLSFiles(certificate: certificate.bytes, key: key.bytes)
    }

    private mutating func read(_ path: String, key: String) -> FileAccess.Content? {
        do throws(FileError) { return try FileAccess.read(path, limitBytes: Self.fileLimitBytes) } catch {
            faults.append(fault(key, Rejection(cause: "\(path) cannot be read: \(error.message)")))
            return nil
        }
    }

    /// Nothing for group and others, nothing to execute; 0400 is stricter than asked and fine.
    private mutating func checkIsPrivate(_ content: FileAccess.Content, _ path: String, key: String) {
        guard content.mode & 0o177 != 0 else { return }
        let mode = String(content.mode & 0o777, radix: 8)
        let rejection = Rejection(
            cause: "\(path) has mode 0\(String(repeating: "0", count: max(0, 3 - mode.count)))\(mode), must be 0600",
            fix: "chmod 600 \(path)")
        faults.append(fault(key, rejection))
    }

    private mutating func readSecretKeys() -> SecretKeys? {
        let key = "secrets.keyFile"
        guard let path = settings.secrets.keyFile else {
            if !fileIsUnread, !isFaulty(key) {
                faults.append(
                    fault(
                        key,
                        Rejection(
                            cause: "is required: the file with the key that encrypts signing secrets",
                            fix: "make one with: openssl rand 32 > secrets.key; chmod 600 secrets.key")))
            }
            return nil
        }
        do throws(FileError) {
            let content = try FileAccess.read(path, limitBytes: Self.fileLimitBytes)
            checkIsPrivate(content, path, key: key)
            do throws(Rejection) { return try SecretKeys.parse(content.bytes) } catch {
                faults.append(fault(key, Rejection(cause: "\(path): \(error.cause)", fix: error.fix)))
            }
        } catch {
            let fix = "make one with: openssl rand 32 > \(path); chmod 600 \(path)"
            faults.append(fault(key, Rejection(cause: "\(path) cannot be read: \(error.message)", fix: fix)))
        }
        return nil
    }

    /// A file's text without the white space around it.
    private mutating func readText(_ path: String, key: String) -> String? {
        do throws(FileError) {
            let content = try FileAccess.read(path, limitBytes: Self.fileLimitBytes)
            if let text = String(validating: content.bytes, as: UTF8.self) { return ValueInput.trimmed(text) }
            faults.append(fault(key, Rejection(cause: "\(path) is not a text in UTF-8")))
        } catch {
            faults.append(fault(key, Rejection(cause: "\(path) cannot be read: \(error.message)")))
        }
        return nil
    }

    private mutating func check(
        _ key: String, _ path: String, _ fix: String, _ body: (String) throws(FileError) -> Void
    ) {
        do throws(FileError) { try body(path) } catch {
            faults.append(fault(key, Rejection(cause: "\(path): \(error.message)", fix: fix)))
        }
    }

    private func isFaulty(_ key: String) -> Bool { faults.contains { $0.key == key } }

    /// A fault of a key wherever its value came from, or its section's did; a missing key is the file's fault.
    private func fault(_ key: String, _ rejection: Rejection) -> ConfigurationFault {
        var name = Substring(key)
        while sources[String(name)] == nil, let dot = name.lastIndex(of: ".") { name = name[..<dot] }
        let source = sources[String(name)] ?? request.path.map { .file($0, line: nil) } ?? .defaults
        return ConfigurationFault(key: key, cause: rejection.cause, fix: rejection.fix, source: source)
    }
}
