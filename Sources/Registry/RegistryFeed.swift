// Feeds a process's view from the compacted topics, and completes the commands this process sent: a write is answered
// when this process's own view shows it, so a client reads its own writes.
package import Core
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

    /// How long a sender waits for an answer (contract §1: 503 after 5 s).
    private static let timeoutNanoseconds: UInt64 = 5_000_000_000

    private struct Shared {
        var isLoaded = false
        var isStopping = false
        var pending: [CommandID: Pending] = [:]
    }

    private struct Pending {
        let deadline: UInt64
        let completion: @Sendable (CommandOutcome) -> Void
        var result: CommandResult?
        var sawState = false

        /// The outcome, once everything it depends on was seen.
        var outcome: CommandOutcome? {
            // Whoever takes the registry over has read it too: with or without an answer it is done.
            if sawState { return .applied }
            guard let result else { return nil }
            switch result.answer {
            case .refused(let refusal): return .refused(refusal)
            case .applied: return result.wroteState ? nil : .applied
            }
        }
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
        shared.withLock {
            $0.pending[command.id] = Pending(
                deadline: Clock.monotonic() + Self.timeoutNanoseconds, completion: completion)
        }
        outbox.put(command)
    }

    // MARK: Reading thread

    /// How often the view is held against the end of its topic.
    private static let confirmationNanoseconds: UInt64 = 10_000_000_000

    private func read(_ configuration: KafkaConfiguration) {
        guard
            let reader = try? KafkaReader(
                configuration, purpose: "view", pace: .unhurried, prefetch: KafkaReader.loading)
        else { return }
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

    /// A record of a superseded registry is taken in like any other, for with compaction it may be the only one of its key,
    /// and its owner's successor writes it again. But it confirms nothing, nor does an answer of one: the successor gives
    /// its own.
    private func take(
        _ message: borrowing KafkaMessage, _ parser: JSONParser, _ fences: inout [RegistryLog: EpochFence]
    ) {
        let log = logs.log(of: message)
        do {
            if let marker = try EpochMarker(message, parser) {
                fences[log, default: EpochFence()].pass(marker.epoch)
                return
            }
            switch log {
            case .results: try takeAnswer(message, parser, fences[log] ?? EpochFence())
            case .accounts:
                if let value = message.value {
                    view.put(try parser.parse(value) { try Account(json: $0) })
                } else {
                    AccountID(message.key).map { view.removeAccount($0) }
                }
                sawState(message, fences[log] ?? EpochFence())
            case .subscriptions:
                if let value = message.value {
                    view.put(try parser.parse(value) { try Webhook(json: $0) })
                } else {
                    WebhookID(message.key).map { view.removeWebhook($0) }
                }
                sawState(message, fences[log] ?? EpochFence())
            }
        } catch {
            Log.error(
                "registry record cannot be read and is passed over", .topic(message.topic), .offset(message.offset),
                .error("\(error)"))
        }
    }

    private func takeAnswer(_ message: borrowing KafkaMessage, _ parser: JSONParser, _ fence: EpochFence) throws {
        guard let value = message.value, !fence.isSuperseded(message.epoch) else { return }
        let result = try parser.parse(value) { try CommandResult(json: $0) }
        shared.withLock { $0.pending[result.command]?.result = result }
    }

    /// The last record of a command shows it whole.
    private func sawState(_ message: borrowing KafkaMessage, _ fence: EpochFence) {
        guard shared.withLock({ !$0.pending.isEmpty }), !fence.isSuperseded(message.epoch),
            let id = message.header("command-id").flatMap({ CommandID($0) }), message.header("continued") == nil
        else { return }
        shared.withLock { $0.pending[id]?.sawState = true }
    }

    private func completeAndExpire() {
        let now = Clock.monotonic()
        let done: [(@Sendable (CommandOutcome) -> Void, CommandOutcome)] = shared.withLock { shared in
            guard !shared.pending.isEmpty else { return [] }
            var done: [(@Sendable (CommandOutcome) -> Void, CommandOutcome)] = []
            for (id, pending) in shared.pending {
                guard let outcome = pending.outcome ?? (now >= pending.deadline ? .unconfirmed : nil) else { continue }
                shared.pending[id] = nil
                done.append((pending.completion, outcome))
            }
            return done
        }
        for (completion, outcome) in done { completion(outcome) }
    }

    // MARK: Writing thread

    private func write(_ configuration: KafkaConfiguration) {
        guard let producer = try? KafkaProducer(configuration, maxMessageBytes: 1_000_000, wake: outbox.wake) else {
            return
        }
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
