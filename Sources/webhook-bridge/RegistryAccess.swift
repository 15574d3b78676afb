// The registry as commands of the command line reach it: a view of their own, and commands answered once the view shows them.
internal import Configuration
internal import Core
internal import Crypto
internal import Kafka
internal import Registry
internal import Runtime

/// The registry as the command line reaches it: a view of its own, and commands.
final class RegistryAccess {
    private let loaded: LoadedConfiguration
    private let view = RegistryView()
    private let feed: RegistryFeed
    private static let viewMilliseconds = 30_000

    /// - Parameter sendsCommands: whether ``outcomes(of:)`` will be called.
    init(_ loaded: LoadedConfiguration, sendsCommands: Bool = true) throws(Exit) {
        self.loaded = loaded
        let topics = Topics(prefix: loaded.settings.topics.prefix, shards: loaded.settings.topics.partitions)
        feed = RegistryFeed(view: view, topics: topics)
        do throws(KafkaError) { try feed.start(loaded.kafka, sendsCommands: sendsCommands) } catch {
            throw .configuration(error.text)
        }
        let deadline = Clock.monotonic() + UInt64(Self.viewMilliseconds) * 1_000_000
        let pause = EventFD()
        while !feed.isLoaded {
            guard Clock.monotonic() < deadline else {
                feed.stop()
                throw .failure(
                    "the registry's topics at \(loaded.kafka.bootstrapServers) were not read within "
                        + "\(Self.viewMilliseconds / 1000) s")
            }
            pause.wait(milliseconds: 10)
        }
    }

    func close() { feed.stop() }

    func webhook(_ id: WebhookID) throws(Exit) -> Webhook {
        guard let webhook = view.read({ $0.webhooks[id] }) else { throw .failure("there is no webhook \(id)") }
        return webhook
    }

    /// Every account and how many webhooks it has, the oldest first.
    var accounts: [(account: Account, webhooks: Int)] {
        view.read { state in state.accounts.values.map { (account: $0, webhooks: state.webhooks(of: $0.id).count) } }
            .sorted { ($0.account.createdAt, $0.account.id) < ($1.account.createdAt, $1.account.id) }
    }

    /// In the order of their ids.
    var webhooks: [Webhook] {
        view.read { state in state.webhooks.keys.sorted().compactMap { state.webhooks[$0] } }
    }

    struct Request {
        let change: Command.Change
        let webhook: Webhook
    }

    /// Sends a command and waits until the view shows what it did.
    func send(_ change: Command.Change, of webhook: Webhook) throws(Exit) {
        switch outcomes(of: [Request(change: change, webhook: webhook)])[0] {
        case .applied: return
        case .refused(let refusal): throw .failure("the registry refused: \(refusal.rawValue)")
        case .unconfirmed: throw .failure("no registry answered within 5 s; nothing was done")
        case .unseen: throw .failure("it was done, but the topics do not show it yet")
        }
    }

    /// Sends commands together and waits until the view shows what each did.
    func outcomes(of requests: [Request]) -> [CommandOutcome] {
        let answers = Guarded<[CommandOutcome?]>(Array(repeating: nil, count: requests.count))
        let came = EventFD()
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        for (index, request) in requests.enumerated() {
            feed.send(
                Command(
                    id: CommandID(bytes: Random.bytes(12)), account: request.webhook.account, at: now,
                    notAfter: now.adding(milliseconds: CommandAge.validMilliseconds), change: request.change,
                    actor: .commandLine)
            ) { outcome in
                answers.withLock { $0[index] = outcome }
                came.signal()
            }
        }
        while true {
            let all = answers.withLock { $0 }
            if !all.contains(nil) { return all.compactMap(\.self) }
            came.wait(milliseconds: 100)
            came.clear()
        }
    }
}
