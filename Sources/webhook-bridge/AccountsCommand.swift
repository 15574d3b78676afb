// The `accounts` commands: make the command with all that is random in it, send it, and wait a little for the registry's
// answer. `accounts list` reads the registry's topics.
internal import API
internal import Configuration
internal import Core
internal import Crypto
internal import JSON
internal import Kafka
internal import Registry
internal import Runtime

enum AccountsCommand {
    private static let answerMilliseconds = 2000
    private static let brokerMilliseconds = 10_000

    static func create(_ options: AccountOptions) throws(Exit) {
        let loaded = try LoadedConfiguration.load(options.configuration, needs: .cluster)
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let key = APIKeyText.generate(.live)
        let account = Account(
            id: AccountID(bytes: Random.bytes(12)), email: options.email, name: options.name,
            keys: [APIKey(id: key.id, hash: key.hash, createdAt: now)], createdAt: now)
        let command = Command(
            id: CommandID(bytes: Random.bytes(12)), account: account.id, at: now, notAfter: nil,
            change: .createAccount(account), actor: .commandLine)
        let topics = Topics(prefix: loaded.settings.topics.prefix, shards: loaded.settings.topics.partitions)
        switch try send(command, loaded.kafka, topics) {
        // It keeps no view.
        case .applied, .unseen: break
        case .unconfirmed:
            Terminal.error("no registry answered within 2 s: the account will exist as soon as one runs")
        case .refused(let refusal): throw .failure("the registry refused: \(refusal.rawValue)")
        }
        let line = JSONWriter.document { writer in
            writer.field("accountId", account.id.description)
            writer.field("apiKey", key.text)
        }
        Terminal.print(String(decoding: line, as: UTF8.self))
    }

    static func list(_ options: ConfigurationOptions) throws(Exit) {
        let registry = try RegistryAccess(
            try LoadedConfiguration.load(options, needs: .cluster), sendsCommands: false)
        defer { registry.close() }
        for (account, webhooks) in registry.accounts {
            let line = JSONWriter.document { writer in
                writer.field("accountId", account.id.description)
                if let name = account.name { writer.field("name", name) }
                // On its operator's terminal, never in a log.
                writer.field("email", account.email)
                writer.field("createdAt", account.createdAt.secondsText)
                writer.key("keys")
                writer.beginArray()
                for key in account.keys {
                    writer.object { writer in
                        writer.field("id", key.id)
                        writer.field("createdAt", key.createdAt.secondsText)
                        if let end = key.expiresAt { writer.field("expiresAt", end.secondsText) }
                    }
                }
                writer.endArray()
                writer.field("webhooks", webhooks)
            }
            Terminal.print(String(decoding: line, as: UTF8.self))
        }
    }

    static func rotateKey(_ options: KeyRotationOptions) throws(Exit) {
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let key = APIKeyText.generate(.live)
        let made = APIKey(id: key.id, hash: key.hash, createdAt: now)
        _ = try send(
            .rotateKey(made, overlapMilliseconds: options.overlapMilliseconds), of: options.account, at: now,
            options.configuration, late: "the key will be valid")
        let line = JSONWriter.document { writer in
            writer.field("accountId", options.account.description)
            writer.field("apiKey", key.text)
            writer.field("keyId", key.id)
            writer.field("previousKeyExpiresAt", now.adding(milliseconds: options.overlapMilliseconds).secondsText)
        }
        Terminal.print(String(decoding: line, as: UTF8.self))
    }

    static func revokeKey(_ options: KeyRevocationOptions) throws(Exit) {
        let isRevoked = try send(
            .revokeKey(options.key), of: options.account, at: Timestamp(milliseconds: Clock.wallMilliseconds()),
            options.configuration, late: "the key will end")
        let line = JSONWriter.document { writer in
            writer.field("accountId", options.account.description)
            writer.field("keyId", options.key)
            writer.field("revoked", isRevoked)
        }
        Terminal.print(String(decoding: line, as: UTF8.self))
    }

    static func delete(_ options: AccountDeletionOptions) throws(Exit) {
        let isDeleted = try send(
            .deleteAccount, of: options.account, at: Timestamp(milliseconds: Clock.wallMilliseconds()),
            options.configuration, late: "the account will be gone")
        let line = JSONWriter.document { writer in
            writer.field("accountId", options.account.description)
            writer.field("deleted", isDeleted)
        }
        Terminal.print(String(decoding: line, as: UTF8.self))
    }

    /// Sends what changes an account that is there.
    /// - Parameter late: what will happen as soon as a registry runs.
    /// - Returns: whether a registry has answered that it is done.
    private static func send(
        _ change: Command.Change, of account: AccountID, at now: Timestamp, _ options: ConfigurationOptions,
        late: String
    ) throws(Exit) -> Bool {
        let loaded = try LoadedConfiguration.load(options, needs: .cluster)
        let command = Command(
            id: CommandID(bytes: Random.bytes(12)), account: account, at: now, notAfter: nil, change: change,
            actor: .commandLine)
        let topics = Topics(prefix: loaded.settings.topics.prefix, shards: loaded.settings.topics.partitions)
        switch try send(command, loaded.kafka, topics) {
        case .applied, .unseen: return true
        case .unconfirmed:
            Terminal.error("no registry answered within 2 s: \(late) as soon as one runs")
            return false
        case .refused(.accountNotFound): throw .failure("there is no account \(account)")
        case .refused(.apiKeyNotFound): throw .failure("account \(account) has no API key of this id")
        case .refused(let refusal): throw .failure("the registry refused: \(refusal.rawValue)")
        }
    }

    /// Writes one command and waits for its answer.
    static func send(_ command: Command, _ kafka: KafkaConfiguration, _ topics: Topics) throws(Exit) -> CommandOutcome {
        let client: CommandClient
        do throws(KafkaError) { client = try CommandClient(kafka, topics) } catch { throw .configuration(error.text) }
        guard client.connect(milliseconds: brokerMilliseconds) else {
            throw .failure("no broker answers at \(kafka.bootstrapServers), or its topics are missing")
        }
        guard client.write(command, milliseconds: brokerMilliseconds) else {
            throw .failure("the broker at \(kafka.bootstrapServers) did not take the command")
        }
        return client.awaitAnswer(to: command.id, milliseconds: answerMilliseconds)
    }
}
