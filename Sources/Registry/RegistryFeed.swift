// Feeds a process's view from the compacted topics, and completes the commands this process sent: a write is answered
// when this process's own view shows it, so a client reads its own writes.
package import Core
internal import Crypto
internal import JSON
package import Kafka
internal import Runtime

/// Owns two threads: one reads, one writes commands.
package final class RegistryFeed: RegistryClient {
    private let view: RegistryView
    private let topics: Topics
    private let logs: RegistryTopics
    private let outbox: Inbox<Command>
    private let shared = Guarded(Shared())
    private let threads = Guarded<[OwnedThread]>([])

    private struct Shared {
        var isLoaded = false
        var isStopping = false
        /// Several of one id: requests that repeat an idempotency key.
        var pending: [CommandID: [PendingCommand]] = [:]
    }

    package init(view: RegistryView, topics: Topics) {
        self.view = view
        self.topics = topics
        logs = RegistryTopics(topics)
        outbox = Inbox(wake: EventFD())
    }

    /// Whether the view has everything that was in the topics when the feed started.
    package var isLoaded: Bool { shared.withLock { $0.isLoaded } }

    /// - Parameter sendsCommands: whether this process will call ``send(_:completion:)``.
    package func start(_ configuration: KafkaConfiguration, sendsCommands: Bool) throws(KafkaError) {
        // Made here, so that a mistake in the configuration is the caller's to report.
        _ = try KafkaReader(configuration, purpose: "view-check")
        var started = [
            OwnedThread(name: "registry-view") { [self] in read(configuration) }
        ]
        if sendsCommands { started.append(OwnedThread(name: "commands") { [self] in write(configuration) }) }
        threads.withLock { $0 = started }
    }

    package func stop() {
        shared.withLock { $0.isStopping = true }
        outbox.wake.signal()
        for thread in threads.withLock({ $0 }) { thread.join() }
        threads.withLock { $0 = [] }
    }

    package func send(_ command: Command, completion: @escaping @Sendable (CommandOutcome) -> Void) {
        let pending = PendingCommand(command, now: Clock.monotonic(), completion: completion)
        shared.withLock { $0.pending[command.id, default: []].append(pending) }
        outbox.put(command)
    }

    // MARK: Reading thread

    /// How often the view is held against the end of its topic.
    private static let confirmationNanoseconds: UInt64 = 10_000_000_000

    private func read(_ configuration: KafkaConfiguration) {
        let made = persistently("view", unless: { shared.withLock { $0.isStopping } }) { () throws(KafkaError) in
            try KafkaReader(configuration, purpose: "view", pace: .unhurried, prefetch: KafkaReader.loading)
        }
        guard let reader = made else { return }
        let parser = JSONParser()
        reader.assign([
            (topics.accounts, 0, .beginning), (topics.subscriptions, 0, .beginning), (topics.results, 0, .end),
        ])
        var isLoaded = false
        var fences: [RegistryLog: EpochFence] = [:]
        // Where each log of the state is read on.
        var next: [RegistryLog: Int64] = [.accounts: 0, .subscriptions: 0]
        var nextConfirmation: UInt64 = 0
        while !shared.withLock({ $0.isStopping }) {
            reader.poll(milliseconds: 100) { message in
                take(message, parser, &fences)
                next[logs.log(of: message)] = message.offset + 1
            }
            completeAndExpire()
            let now = Clock.monotonic()
            if isLoaded, now >= nextConfirmation {
                nextConfirmation = now + Self.confirmationNanoseconds
                let isComplete = [(RegistryLog.accounts, topics.accounts), (.subscriptions, topics.subscriptions)]
                    .allSatisfy { log, topic in
                        guard let kept = try? reader.offsets(of: topic, 0, milliseconds: 1000) else { return false }
                        return kept.upperBound <= next[log, default: 0]
                    }
                if isComplete { view.confirm(at: now) }
            }
            if !isLoaded, reader.hasReachedEnds {
                isLoaded = true
                // A marker is on `results` before it is on the state's topics: answers to what is sent from now on stand
                // behind it.
                fences[.results, default: EpochFence()].pass(fences.values.map(\.highest).max() ?? 0)
                shared.withLock { $0.isLoaded = true }
                FreeMemory.giveBack()
                Log.info("registry view loaded", .count(view.read { $0.webhooks.count }))
            }
        }
    }

    /// A record of a superseded registry is taken in where the view has nothing of its key: with compaction it may be the only
    /// one of it. Over what the view has it is passed over, as the successor does, which writes the state again. It confirms
    /// nothing, nor does an answer of one: the successor gives its own.
    private func take(
        _ message: borrowing KafkaMessage, _ parser: JSONParser, _ fences: inout [RegistryLog: EpochFence]
    ) {
        let log = logs.log(of: message)
        do {
            if let marker = try EpochMarker(message, parser) {
                fences[log, default: EpochFence()].pass(marker.epoch)
                return
            }
            let fence = fences[log] ?? EpochFence()
            switch log {
            case .results: try takeAnswer(message, parser, fence)
            case .accounts:
                let id = AccountID(message.key)
                if fence.isSuperseded(message.epoch), id.map({ id in view.read { $0.knows(id) } }) ?? false { return }
                if let value = message.value {
                    view.put(try parser.parse(value) { try Account(json: $0) })
                } else {
                    id.map { view.removeAccount($0) }
                }
                sawState(message, nil, fence)
            case .subscriptions:
                let id = WebhookID(message.key)
                if fence.isSuperseded(message.epoch), id.map({ id in view.read { $0.knows(id) } }) ?? false { return }
                var webhook: Webhook?
                if let value = message.value {
                    webhook = view.put(try parser.parse(value) { try Webhook(json: $0) })
                } else {
                    id.map { view.removeWebhook($0) }
                }
                view.noteRead(message.key)
                sawState(message, webhook, fence)
            }
        } catch {
            if log == .subscriptions { view.noteUnread(message.key) }
            Log.error(
                "registry record cannot be read and is passed over", .topic(message.topic), .offset(message.offset),
                .error("\(error)"))
        }
    }

    private func takeAnswer(_ message: borrowing KafkaMessage, _ parser: JSONParser, _ fence: EpochFence) throws {
        guard let value = message.value, !fence.isSuperseded(message.epoch) else { return }
        let result = try parser.parse(value) { try CommandResult(json: $0) }
        let now = Clock.monotonic()
        shared.withLock { shared in
            for index in shared.pending[result.command]?.indices ?? 0..<0 {
                shared.pending[result.command]?[index].take(result, now: now)
            }
        }
    }

    /// The last record of a command shows it whole.
    private func sawState(_ message: borrowing KafkaMessage, _ webhook: Webhook?, _ fence: EpochFence) {
        guard shared.withLock({ !$0.pending.isEmpty }), !fence.isSuperseded(message.epoch),
            let id = message.header("command-id").flatMap({ CommandID($0) }), message.header("continued") == nil
        else { return }
        let fingerprint = message.header("fingerprint")
        let requestedAt = message.header("requested-at").flatMap { Timestamp(rfc3339: $0) }
        shared.withLock { shared in
            for index in shared.pending[id]?.indices ?? 0..<0 {
                shared.pending[id]?[index].see(webhook, fingerprint: fingerprint, requestedAt: requestedAt)
            }
        }
    }

    private func completeAndExpire() {
        let now = Clock.monotonic()
        let done: [(PendingCommand, CommandOutcome)] = shared.withLock { shared in
            guard !shared.pending.isEmpty else { return [] }
            var done: [(PendingCommand, CommandOutcome)] = []
            for (id, all) in shared.pending {
                var left: [PendingCommand] = []
                for pending in all {
                    let outcome = pending.outcome(now: now) { webhook, revision in
                        view.read { $0.shows(webhook, revision: revision) }
                    }
                    if let outcome {
                        done.append((pending, outcome))
                    } else {
                        left.append(pending)
                    }
                }
                shared.pending[id] = left.isEmpty ? nil : left
            }
            return done
        }
        for (pending, outcome) in done {
            // First, for from here on it must not have happened.
            if outcome == .unconfirmed { withdraw(pending.command) }
            pending.completion(outcome)
        }
    }

    private func withdraw(_ command: Command) {
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let withdrawal = command.withdrawal(id: CommandID(bytes: Random.bytes(12)), now: now)
        if let withdrawal { outbox.put(withdrawal) }
    }

    // MARK: Writing thread

    private func write(_ configuration: KafkaConfiguration) {
        let made = persistently("commands", unless: { shared.withLock { $0.isStopping } }) { () throws(KafkaError) in
            try KafkaProducer(configuration, maxMessageBytes: 1_000_000, wake: outbox.wake)
        }
        guard let producer = made else { return }
        let commands = producer.topic(topics.commands)
        var batch: [Command] = []
        var acknowledged: [UInt64] = []
        var isStopping = false
        let flushNanoseconds: UInt64 = 3_000_000_000
        var flushUntil = UInt64.max
        while !isStopping || (producer.unacknowledged > 0 && Clock.monotonic() < flushUntil) {
            outbox.wake.wait(milliseconds: isStopping ? 10 : 100)
            outbox.wake.clear()
            if !isStopping, shared.withLock({ $0.isStopping }) {
                isStopping = true
                flushUntil = Clock.monotonic() + flushNanoseconds
            }
            outbox.take(into: &batch)
            for command in batch {
                producer.produce(
                    commands, partition: 0, key: Array(command.account.description.utf8), value: command.json,
                    headers: KafkaHeaders(capacity: 1), token: 0)
            }
            producer.poll(acknowledged: &acknowledged)
            acknowledged.removeAll(keepingCapacity: true)
        }
    }
}
