// From a command line to an exit code: 0 fine, 1 failed at run time, 2 wrong usage or configuration.
internal import API
internal import Bridge
internal import Configuration
internal import Core
internal import Crypto
internal import Glibc
internal import Kafka
internal import Mapping
internal import Runtime

enum Program {
    static func run(_ arguments: [String]) -> Int32 {
        CryptoLibrary.prepare()
        signal(SIGPIPE, SIG_IGN)
        FileDescriptors.raiseLimit()
        switch CommandLineParser.parse(arguments) {
        case .failure(let error):
            Terminal.error(error.description, terminator: "")
            return 2
        case .success(let invocation):
            Log.configure(level: level(of: invocation), format: invocation.logFormat)
            do throws(Exit) {
                try perform(invocation.command)
                return 0
            } catch {
                if let message = error.message { Terminal.error("webhook-bridge: \(message)") }
                return error.code
            }
        }
    }

    /// A command whose answer a person reads does not say what it does on the way, unless asked for all of it.
    private static func level(of invocation: Invocation) -> Log.Level {
        guard invocation.logLevel == .info else { return invocation.logLevel }
        switch invocation.command {
        case .deadLettersRetry, .replay, .replayStatus, .replayCancel, .accountsList, .secretsRewrap: return .warning
        default: return .info
        }
    }

    private static func perform(_ command: ProgramCommand) throws(Exit) {
        switch command {
        case .help(let text): Terminal.print(text, terminator: "")
        case .version: Terminal.print(Version.text, terminator: "")
        case .run(let options): try RunCommand.run(options)
        case .demo(let options): try Demo.run(options)
        case .broker(let options): try BrokerCommand.run(options)
        case .topicsCreate(let options): try TopicsCommand.create(options)
        case .topicsCheck(let options): try TopicsCommand.check(options)
        case .accountsCreate(let options): try AccountsCommand.create(options)
        case .accountsList(let options): try AccountsCommand.list(options)
        case .accountsRotateKey(let options): try AccountsCommand.rotateKey(options)
        case .accountsRevokeKey(let options): try AccountsCommand.revokeKey(options)
        case .accountsDelete(let options): try AccountsCommand.delete(options)
        case .secretsRewrap(let options): try RewrapCommand.run(options)
        case .configCheck(let options):
            let check = checkConfiguration(
                path: options.path, sets: options.sets, environment: ProcessEnvironment.variables())
            Terminal.print(check.output, terminator: "")
            if check.exitCode != 0 { throw Exit(code: check.exitCode) }
        case .configReference: Terminal.print(ReferenceFile.text(), terminator: "")
        case .configOpenAPI: Terminal.print(OpenAPIDocument.text, terminator: "")
        case .mappingCheck(let options): try MappingCommand.check(options)
        case .mappingTry(let options): try MappingCommand.attempt(options)
        case .deadLettersList(let options): try DeadLettersCommand.list(options)
        case .deadLettersShow(let options): try DeadLettersCommand.show(options)
        case .deadLettersRetry(let options): try DeadLetterRetryCommand.run(options)
        case .replay(let options): try ReplayCommand.run(options)
        case .replayStatus(let choice): try ReplayCommand.status(choice)
        case .replayCancel(let choice): try ReplayCommand.cancel(choice)
        case .listen(let options): try ListenCommand.run(options)
        }
    }
}

/// How a command ends when not well.
struct Exit: Error {
    var code: Int32
    /// One line for stderr; nil when everything was said already.
    var message: String?

    init(code: Int32, message: String? = nil) {
        self.code = code
        self.message = message
    }

    static func failure(_ message: String) -> Exit { Exit(code: 1, message: message) }
    static func configuration(_ message: String) -> Exit { Exit(code: 2, message: message) }
}

extension LoadedConfiguration {
    /// Loads as an option says; faults go to stderr, all of them.
    static func load(
        _ options: ConfigurationOptions, needs: ConfigurationRequest.Needs
    ) throws(Exit) -> LoadedConfiguration {
        do throws(ConfigurationFaults) {
            let loaded = try ConfigurationLoader.load(options.request(needs: needs))
            for warning in loaded.warnings { Terminal.error("warning: \(warning)") }
            return loaded
        } catch {
            for warning in error.warnings { Terminal.error("warning: \(warning)") }
            for fault in error.faults { Terminal.error(fault.description) }
            throw .configuration(
                "the configuration has \(error.faults.count == 1 ? "1 fault" : "\(error.faults.count) faults")")
        }
    }

    var kafka: KafkaConfiguration { KafkaConfiguration(settings.kafka.pairs) }

    var secretBox: SecretBox? {
        secretKeys.map { SecretBox(keys: $0.keys.map { SecretBox.Key(id: $0.id, bytes: $0.bytes) }) }
    }

    /// The compiled mapping files; faults go to stderr, all of them.
    /// - Parameter unchecked: is told the folder where there are no payload schemas to check against.
    func mappingPlans(
        unchecked: (String) -> Void = {
            Terminal.error("warning: no payload schemas at \($0); the mappings were not checked by them")
        }
    ) throws(Exit) -> [MappingPlan] {
        let loaded = MappingFolder.load(settings)
        let faults = loaded.faults
        guard faults.isEmpty else {
            for fault in faults { Terminal.error(fault.description) }
            throw .configuration("the mappings have \(faults.count == 1 ? "1 fault" : "\(faults.count) faults")")
        }
        if !loaded.isChecked { unchecked(settings.schemasFolder) }
        return loaded.plans
    }
}
