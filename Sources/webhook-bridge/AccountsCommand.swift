// `accounts create` and `accounts delete`: make the command with all that is random in it, send it, and wait a little for the
// registry's answer.
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
            change: .createAccount(account))
        let topics = Topics(prefix: loaded.settings.topics.prefix, shards: loaded.settings.topics.partitions)
        switch try send(command, loaded.kafka, topics) {
        case .applied: break
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

    static func delete(_ options: AccountDeletionOptions) throws(Exit) {
        let loaded = try LoadedConfiguration.load(options.configuration, needs: .cluster)
        let command = Command(
            id: CommandID(bytes: Random.bytes(12)), account: options.account,
            at: Timestamp(milliseconds: Clock.wallMilliseconds()), notAfter: nil, change: .deleteAccount)
        let topics = Topics(prefix: loaded.settings.topics.prefix, shards: loaded.settings.topics.partitions)
        var isDeleted = true
        switch try send(command, loaded.kafka, topics) {
        case .applied: break
        case .unconfirmed:
            isDeleted = false
            Terminal.error("no registry answered within 2 s: the account will be gone as soon as one runs")
        case .refused(.accountNotFound): throw .failure("there is no account \(options.account)")
        case .refused(let refusal): throw .failure("the registry refused: \(refusal.rawValue)")
        }
        let line = JSONWriter.document { writer in
            writer.field("accountId", options.account.description)
            writer.field("deleted", isDeleted)
        }
        Terminal.print(String(decoding: line, as: UTF8.self))
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
