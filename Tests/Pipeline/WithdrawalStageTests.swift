// A broker that stalls right when a change is written: whoever was told that it did not happen stays right.
import Core
import JSON
import Kafka
import Pipeline
import Registry
import Runtime
import Testing

@Suite(.timeLimit(.minutes(2))) struct WithdrawalStageTests {
    private let account = AccountID("acct_000000000000000000000001")!

    private func webhook(_ number: UInt32, description: String? = nil) -> Webhook {
        let now = Timestamp(milliseconds: 1_700_000_000_000)
        return Webhook(
            id: WebhookID(high: 4, low: number), account: account, url: "https://example.com/",
            description: description, events: ["*"], isActive: true, version: "1.0", createdAt: now, updatedAt: now,
            secrets: [SealedSecret(keyID: "k", box: [1, 2, 3], createdAt: now)])
    }

    /// As the API makes it: its sender gives up after five seconds.
    private func command(_ number: UInt32, _ change: Command.Change, key: Character? = nil) -> Command {
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        return Command(
            id: CommandID(high: 3, low: number), account: account, at: now,
            notAfter: now.adding(milliseconds: CommandAge.validMilliseconds), change: change, actor: .key("0aB3dE6f"),
            fingerprint: key.map { String(repeating: $0, count: 64) })
    }

    private final class Outcome: Sendable {
        private let box = Guarded<CommandOutcome?>(nil)
        var value: CommandOutcome? { box.withLock { $0 } }
        func put(_ outcome: CommandOutcome) { box.withLock { $0 = outcome } }
    }

    /// A registry, and a view that sends commands.
    private final class Process {
        let view = RegistryView()
        let feed: RegistryFeed
        private let stop: @Sendable () -> Void

        init(_ world: World) throws {
            feed = RegistryFeed(view: view, topics: world.topics)
            let caughtUp = Flag()
            stop = try world.run(group: "registry", reading: [world.topics.commands], fetch: KafkaConsumer.noticingEnds)
            {
                [topics = world.topics, configuration = world.configuration] in
                RegistryStage(
                    topics: topics, configuration: configuration, webhooksPerAccount: 5, payloadBytes: 100_000,
                    producer: $0, onCaughtUp: { caughtUp.set() })
            }
            try eventually("the registry has caught up") { caughtUp.isSet }
            try feed.start(world.configuration, sendsCommands: true)
            try eventually("the view is loaded") { [feed] in feed.isLoaded }
        }

        deinit {
            feed.stop()
            stop()
        }

        func begin(_ command: Command) -> Outcome {
            let outcome = Outcome()
            feed.send(command) { outcome.put($0) }
            return outcome
        }

        func send(_ make: () -> Command) throws -> CommandOutcome {
            // A busy machine may need the five seconds for other things; a new command has a time of its own.
            var told: CommandOutcome?
            try eventually("answered") {
                let outcome = begin(make())
                try eventually("told") { outcome.value != nil }
                told = outcome.value
                return told != .unconfirmed && told != .refused(.tooLate)
            }
            return try #require(told)
        }
    }

    @Test func whatLandsAfterItsSenderGaveUpIsUndone() throws {
        // `subscriptions` alone is on the second broker, so that commands are read and answers could be written.
        let world = try World(brokers: 2, properties: [("reconnect.backoff.max.ms", "200")])
        for plan in world.topics.plans {
            let broker: Int32 = plan.name == world.topics.subscriptions ? 2 : 1
            for partition in 0..<Int32(plan.partitions) {
                world.cluster.place(plan.name, partition: partition, onBroker: broker)
            }
        }
        let process = try Process(world)
        let view = process.view
        func send(_ make: () -> Command) throws -> CommandOutcome { try process.send(make) }
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let made = Account(id: account, email: "a@example.com", name: nil, keys: [], createdAt: now)
        #expect(try send { command(1, .createAccount(made)) }.isApplied)
        #expect(try send { command(2, .createWebhook(webhook(1))) }.isApplied)
        #expect(try send { command(3, .createWebhook(webhook(2))) }.isApplied)

        world.cluster.setBroker(2, isUp: false)
        let stalled = [
            process.begin(command(10, .createWebhook(webhook(3)), key: "a")),
            process.begin(command(11, .updateWebhook(webhook(1).id, WebhookPatch(description: "late")))),
            process.begin(command(12, .deleteWebhook(webhook(2).id))),
        ]
        try eventually("given up") { stalled.allSatisfy { $0.value != nil } }
        #expect(stalled.allSatisfy { $0.value == .unconfirmed })
        world.cluster.setBroker(2, isUp: true)
        func ids() -> [WebhookID] { view.read { $0.webhooks(of: account).map(\.id) } }
        func records(of number: UInt32) throws -> [World.Record] {
            try world.dump((world.topics.subscriptions, 1)).filter { $0.key == webhook(number).id.description }
        }
        try eventually("written, and taken back") { try records(of: 3).map { $0.value == nil } == [false, true] }
        #expect(try records(of: 3).first?.command == CommandID(high: 3, low: 10).description, "it did land")
        try eventually("as it was") {
            ids() == [webhook(1).id, webhook(2).id] && view.read { $0.webhooks[webhook(1).id]?.description == nil }
        }
        // Behind all three, so that what is seen from here on stays.
        #expect(
            try send { command(13, .updateWebhook(webhook(2).id, WebhookPatch(url: "https://b.example/"))) }.isApplied)
        #expect(
            ids() == [webhook(1).id, webhook(2).id] && view.read { $0.webhooks[webhook(1).id]?.description } == nil)
        #expect(try records(of: 2).last?.value?.contains("https://b.example/") == true)

        // The key is free again, and then it is held.
        #expect(try send { command(10, .createWebhook(webhook(3)), key: "a") }.isApplied)
        #expect(ids() == [webhook(1).id, webhook(2).id, webhook(3).id])
        #expect(try send { command(10, .createWebhook(webhook(4)), key: "a") }.isApplied, "the same request once more")
        #expect(ids() == [webhook(1).id, webhook(2).id, webhook(3).id])
        #expect(try send { command(10, .createWebhook(webhook(4)), key: "b") } == .refused(.keyReused))
    }

    private func withdrawal(_ number: UInt32, of command: Command) -> Command {
        var withdrawal = command
        withdrawal.id = CommandID(high: 8, low: number)
        withdrawal.change = .withdraw(command.id, command.change.webhook!, requestedAt: command.at)
        (withdrawal.notAfter, withdrawal.fingerprint) = (nil, nil)
        return withdrawal
    }

    private func isWithdrawn(_ command: Command, _ world: World) throws -> Bool {
        try world.dump((world.topics.results, 1)).contains {
            $0.value?.contains(command.id.description) == true && $0.value?.contains("COMMAND_WITHDRAWN") == true
        }
    }

    @Test func whoWasToldKeepsItAndWhatIsWithdrawnTogetherGoesTogether() throws {
        let world = try World()
        let process = try Process(world)
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let made = Account(id: account, email: "a@example.com", name: nil, keys: [], createdAt: now)
        #expect(try process.send { command(1, .createAccount(made)) }.isApplied)
        func shown(_ number: UInt32) -> Webhook? { process.view.read { $0.webhooks[webhook(number).id] } }

        // Two requests with one key: the second one was told that it is done.
        var first = command(10, .createWebhook(webhook(1)), key: "a")
        first.notAfter = nil
        var second = first
        second.at = first.at.adding(milliseconds: 1)
        #expect(try process.send { first }.isApplied && process.send { second }.isApplied)
        #expect(try process.send { withdrawal(1, of: first) }.isApplied)
        #expect(shown(1) != nil)
        #expect(try !isWithdrawn(first, world))
        #expect(try process.send { withdrawal(2, of: second) }.isApplied)
        #expect(shown(1) == nil)
        try eventually("answered") { try isWithdrawn(first, world) }

        // Who asks for what is so already is told that it is.
        let patch = command(20, .updateWebhook(webhook(2).id, WebhookPatch(description: "one")))
        #expect(try process.send { command(2, .createWebhook(webhook(2))) }.isApplied)
        #expect(try process.send { patch }.isApplied && process.send { command(21, patch.change) }.isApplied)
        #expect(try process.send { withdrawal(3, of: patch) }.isApplied)
        #expect(shown(2)?.description == "one")
        var again = command(22, patch.change, key: "d")
        again.notAfter = nil
        #expect(try process.send { again }.isApplied)
        // Nothing is written, and the answer is given to the other's id.
        _ = process.begin(withdrawal(6, of: again))
        try eventually("it is not remembered as done either") { try isWithdrawn(again, world) }

        // The lower of two changes is undone with the upper one.
        let lower = command(30, .updateWebhook(webhook(2).id, WebhookPatch(url: "https://b.example/")))
        let upper = command(31, .deleteWebhook(webhook(2).id))
        #expect(try process.send { lower }.isApplied && process.send { upper }.isApplied)
        #expect(try process.send { withdrawal(4, of: lower) }.isApplied)
        #expect(shown(2) == nil)
        #expect(try process.send { withdrawal(5, of: upper) }.isApplied)
        #expect(shown(2)?.url == "https://example.com/" && shown(2)?.description == "one")
        try eventually("both are answered") { try isWithdrawn(lower, world) && isWithdrawn(upper, world) }
    }

    /// The one before was killed somewhere in between; its records tell what it had done.
    @Test func theNextOwnerGoesOnWhereTheLastOneWas() throws {
        let world = try World()
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        func write(
            _ webhook: Webhook?, as id: WebhookID, by command: CommandID, of keyed: Command? = nil,
            withdraws: Command? = nil
        )
            throws
        {
            let headers = KafkaHeaders(capacity: 5)
            headers.add("command-id", command.description)
            if let keyed, let fingerprint = keyed.fingerprint {
                headers.add("fingerprint", fingerprint)
                headers.add("account-id", account.description)
                headers.add("requested-at", keyed.at.description)
            }
            if let withdraws {
                headers.add("withdraws", withdraws.id.description + (withdraws.keyedAt.map { "@\($0)" } ?? ""))
            }
            var writer = JSONWriter()
            webhook?.write(to: &writer)
            try world.produce(
                world.topics.subscriptions, partition: 0, key: id.description,
                value: webhook == nil ? nil : writer.bytes, headers: headers)
        }
        func answer(_ command: Command, requestedAt: Timestamp) throws {
            let receipt = command.fingerprint.map {
                Receipt(account: account, fingerprint: $0, at: command.at, webhook: nil)
            }
            let result = CommandResult(
                command: command.id, answer: .applied, wroteState: true, receipt: receipt, requestedAt: requestedAt)
            try world.produce(
                world.topics.results, partition: 0, key: account.description, value: result.json,
                headers: KafkaHeaders(capacity: 0))
        }
        var writer = JSONWriter()
        Account(id: account, email: "a@example.com", name: nil, keys: [], createdAt: now).write(to: &writer)
        try world.produce(
            world.topics.accounts, partition: 0, key: account.description, value: writer.bytes,
            headers: KafkaHeaders(capacity: 0))

        // Written, and its withdrawal is on its way.
        let late = command(10, .createWebhook(webhook(1)), key: "c")
        try write(webhook(1), as: webhook(1).id, by: late.id, of: late)
        // Undone, and its answer is missing.
        let undone = command(20, .createWebhook(webhook(2)), key: "a")
        try write(webhook(2), as: webhook(2).id, by: undone.id, of: undone)
        try answer(undone, requestedAt: undone.at)
        try write(nil, as: webhook(2).id, by: withdrawal(20, of: undone).id, withdraws: undone)
        // Of two changes the upper one is undone.
        let lower = command(30, .updateWebhook(webhook(3).id, WebhookPatch(description: "lower")))
        let upper = command(31, .updateWebhook(webhook(3).id, WebhookPatch(description: "upper")))
        for (revision, description, by, withdraws) in [
            (1, nil, command(29, .deleteAccount).id, nil), (2, "lower", lower.id, nil), (3, "upper", upper.id, nil),
            (4, "lower", withdrawal(31, of: upper).id, upper),
        ] as [(Int, String?, CommandID, Command?)] {
            var state = webhook(3, description: description)
            state.revision = revision
            try write(state, as: state.id, by: by, withdraws: withdraws)
        }
        // Another request with its key was told.
        let shared = command(40, .createWebhook(webhook(4)), key: "b")
        try write(webhook(4), as: webhook(4).id, by: shared.id, of: shared)
        try answer(shared, requestedAt: shared.at.adding(milliseconds: 5))
        // Behind a record that nobody could read: what it was before nobody knows.
        var changed = webhook(5)
        changed.revision = 2
        let unread = command(50, .updateWebhook(webhook(5).id, WebhookPatch(url: "https://example.com/")))
        try write(changed, as: changed.id, by: unread.id)

        let process = try Process(world)
        func shown(_ number: UInt32) -> Webhook? { process.view.read { $0.webhooks[webhook(number).id] } }
        #expect([1, 2, 3, 4, 5].map { shown($0) != nil } == [true, false, true, true, true])
        #expect(try process.send { withdrawal(10, of: late) }.isApplied)
        #expect(shown(1) == nil)
        _ = process.begin(withdrawal(20, of: undone))
        try eventually("the missing answer is given") { try isWithdrawn(undone, world) }
        #expect(try process.send { command(20, .createWebhook(webhook(2)), key: "a") }.isApplied)
        #expect(shown(2) != nil, "carried out, and not answered from memory")
        #expect(try process.send { withdrawal(30, of: lower) }.isApplied)
        #expect(shown(3)?.description == nil && shown(3)?.revision == 5)
        #expect(
            try process.send { withdrawal(40, of: shared) }.isApplied
                && process.send { withdrawal(50, of: unread) }.isApplied)
        #expect(shown(4) != nil && shown(5) != nil)
    }
}
