// A broker that stalls right when a change is written: whoever was told that it did not happen stays right.
import Core
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

    @Test func whatLandsAfterItsSenderGaveUpIsUndone() throws {
        // `subscriptions` alone is on the second broker, so that commands are read and answers could be written.
        let world = try World(brokers: 2)
        for plan in world.topics.plans {
            let broker: Int32 = plan.name == world.topics.subscriptions ? 2 : 1
            for partition in 0..<Int32(plan.partitions) {
                world.cluster.place(plan.name, partition: partition, onBroker: broker)
            }
        }
        let caughtUp = Flag()
        let run = {
            try world.run(group: "registry", reading: [world.topics.commands], fetch: KafkaConsumer.noticingEnds) {
                [topics = world.topics, configuration = world.configuration] in
                RegistryStage(
                    topics: topics, configuration: configuration, webhooksPerAccount: 3, payloadBytes: 100_000,
                    producer: $0, onCaughtUp: { caughtUp.set() })
            }
        }
        var stop = try run()
        let view = RegistryView()
        let feed = RegistryFeed(view: view, topics: world.topics)
        try feed.start(world.configuration, sendsCommands: true)
        defer { feed.stop() }
        try eventually("the view is loaded and the registry has caught up") { feed.isLoaded && caughtUp.isSet }
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
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let made = Account(id: account, email: "a@example.com", name: nil, keys: [], createdAt: now)
        #expect(try send { command(1, .createAccount(made)) }.isApplied)
        #expect(try send { command(2, .createWebhook(webhook(1))) }.isApplied)
        #expect(try send { command(3, .createWebhook(webhook(2))) }.isApplied)

        world.cluster.setBroker(2, isUp: false)
        let stalled = [
            begin(command(10, .createWebhook(webhook(3)), key: "a")),
            begin(command(11, .updateWebhook(webhook(1).id, WebhookPatch(description: "late")))),
            begin(command(12, .deleteWebhook(webhook(2).id))),
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

        // The key is free again, also for the next owner, and then it is held.
        stop()
        stop = try run()
        #expect(try send { command(10, .createWebhook(webhook(3)), key: "a") }.isApplied)
        #expect(ids() == [webhook(1).id, webhook(2).id, webhook(3).id])
        #expect(try send { command(10, .createWebhook(webhook(4)), key: "a") }.isApplied, "the same request once more")
        #expect(ids() == [webhook(1).id, webhook(2).id, webhook(3).id])
        #expect(try send { command(10, .createWebhook(webhook(4)), key: "b") } == .refused(.keyReused))
        stop()
    }
}
