// The registry on its loop, on the embedded broker: one order, take-overs, epochs.
import Core
import JSON
import Kafka
import Pipeline
import Registry
import Runtime
import Testing

@Suite(.timeLimit(.minutes(2))) struct RegistryStageTests {
    private let now = Timestamp(milliseconds: Clock.wallMilliseconds())
    private let account = AccountID("acct_000000000000000000000001")!

    private func command(_ number: UInt32, _ change: Command.Change, notAfter: Timestamp? = nil) -> Command {
        Command(id: CommandID(high: 3, low: number), account: account, at: now, notAfter: notAfter, change: change)
    }

    private func webhook(_ number: UInt32) -> Webhook {
        Webhook(
            id: WebhookID(high: 4, low: number), account: account, url: "https://example.com/", description: nil,
            events: ["*"], isActive: true, version: "1.0", createdAt: now, updatedAt: now,
            secrets: [SealedSecret(keyID: "k", box: [1, 2, 3], createdAt: now)])
    }

    @Test func commandsAreAppliedOnceVisibleWhenAnsweredAndSurviveATakeOver() throws {
        let world = try World()
        let caughtUp = Flag()
        let run = {
            try world.run(group: "registry", reading: [world.topics.commands], fetch: KafkaConsumer.noticingEnds) {
                [topics = world.topics, configuration = world.configuration] in
                RegistryStage(
                    topics: topics, configuration: configuration, webhooksPerAccount: 2, payloadBytes: 100_000,
                    producer: $0,
                    onCaughtUp: { caughtUp.set() })
            }
        }
        var stop = try run()
        let view = RegistryView()
        let feed = RegistryFeed(view: view, topics: world.topics)
        try feed.start(world.configuration, sendsCommands: true)
        defer { feed.stop() }
        try eventually("the view is loaded and the registry has caught up") { feed.isLoaded && caughtUp.isSet }
        func send(_ command: Command) throws -> CommandOutcome {
            let seen = Answer()
            feed.send(command) { seen.put($0) }
            try eventually("answered", seconds: 30) { seen.value != nil }
            return try #require(seen.value)
        }
        let made = Account(id: account, email: "a@example.com", name: nil, keys: [], createdAt: now)
        #expect(try send(command(1, .createAccount(made))).isApplied)
        #expect(view.read { $0.accounts.count } == 1, "visible the moment it is answered")
        #expect(try send(command(2, .createWebhook(webhook(1)))).isApplied)
        #expect(try send(command(2, .createWebhook(webhook(1)))).isApplied, "a repeated command is answered again")
        #expect(try send(command(3, .createWebhook(webhook(2)))).isApplied)
        #expect(try send(command(4, .createWebhook(webhook(3)))) == .refused(.webhookLimitReached))
        #expect(
            try send(command(5, .deleteWebhook(webhook(2).id), notAfter: now.adding(milliseconds: -1)))
                == .refused(.tooLate))
        #expect(view.read { $0.webhooks(of: account).map(\.id) } == [webhook(1).id, webhook(2).id])
        let nothing = command(12, .updateWebhook(webhook(1).id, WebhookPatch(description: "told")))
        #expect(try send(nothing).isApplied)
        #expect(try send(command(13, nothing.change)).isApplied, "changes nothing")
        let told = try world.dump((world.topics.results, 1)).last?.value ?? ""
        #expect(told.contains(#""wroteState":false,"revision":2"#), "what a view has to show: \(told)")
        let ended = try replays(send, view)

        stop()
        stop = try run()
        let order = DisableOrder(
            generation: 1, reason: "too many failures", failedAttempts: 9, lastError: "HTTP 500", failingSince: now)
        #expect(try send(command(6, .disableWebhook(webhook(1).id, order))).isApplied, "the state survived")
        #expect(try send(command(6, .disableWebhook(webhook(1).id, order))).isApplied)
        #expect(try send(command(7, .disableWebhook(webhook(1).id, order))) == .refused(.olderGeneration))
        #expect(view.read { $0.webhooks[webhook(1).id]?.isActive } == false)
        #expect(view.read { $0.webhooks[webhook(1).id]?.replays } == ended, "the replays survived")
        let warning = WarnOrder(
            generation: 1, failedAttempts: 8, lastError: "HTTP 500", failingSince: now, lastAttemptAt: now)
        #expect(try send(command(8, .warnWebhook(webhook(2).id, warning))).isApplied)
        #expect(try send(command(9, .warnWebhook(webhook(2).id, warning))).isApplied, "and says nothing twice")
        #expect(view.read { $0.webhooks[webhook(2).id]?.warnedGeneration } == 1)
        let notices = try world.dump((world.topics.notices, 1))
        let emails = try world.dump((world.topics.emails, 1))
        #expect(notices.count == 1 && notices[0].key == webhook(1).id.description)
        #expect(emails.count == 2 && emails.allSatisfy { $0.key == account.description })
        #expect(emails.map { $0.value?.contains("webhook-disabled") } == [true, false], "the warning is another one's")
        let state = try world.dump((world.topics.subscriptions, 1)).filter { record in
            record.key != "epoch" && !replayCommands.contains(record.command ?? "")
        }
        #expect(
            state.count == 5,
            "two creations, a change, a disabling, a warning; refused and repeated commands write nothing")
        #expect(notices[0].timestamp <= state[3].timestamp && emails[0].timestamp <= state[3].timestamp)
        #expect(emails[1].timestamp <= state[4].timestamp)

        #expect(try send(command(10, .deleteAccount)).isApplied)
        try eventually("the view has forgotten it") { view.read { $0.accounts.isEmpty && $0.webhooks.isEmpty } }
        #expect(view.read { $0.wasRemoved(account) && $0.wasRemoved(webhook(1).id) && !$0.wasRemoved(webhook(3).id) })
        stop()
        let erased = try world.dump((world.topics.subscriptions, 1), (world.topics.accounts, 1)).filter {
            $0.value == nil
        }
        #expect(
            Set(erased.map(\.key)) == [webhook(1).id.description, webhook(2).id.description, account.description])
        stop = try run()
        #expect(try send(command(11, .deleteAccount)) == .refused(.accountNotFound), "also for the next owner")
        stop()
    }

    private let replayCommands = Set((20..<26).map { CommandID(high: 3, low: $0).description })

    /// Through both topics and back: what the view shows is what was asked for.
    private func replays(_ send: (Command) throws -> CommandOutcome, _ view: RegistryView) throws -> [Replay] {
        let id = webhook(1).id
        func shown() -> [Replay] { view.read { $0.webhooks[id]?.replays ?? [] } }
        var part = ReplayPart(topic: "learnault.modules", partition: 3, first: 10, next: 10, end: 70)
        var first = Replay(
            id: ReplayID(high: 6, low: 1), since: now.adding(milliseconds: -60_000), until: now,
            from: now.adding(milliseconds: -50_000), isDryRun: true, generation: 1, createdAt: now, parts: [part])
        #expect(try send(command(20, .startReplay(id, first))).isApplied)
        #expect(try send(command(20, .startReplay(id, first))).isApplied, "a repeated command is answered again")
        #expect(shown() == [first] && view.read { $0.replaying } == [id])
        #expect(try send(command(21, .startReplay(id, first))) == .refused(.replayRunning))
        (part.next, part.events, part.unmappable) = (40, 3, 1)
        first.parts = [part]
        first.from = now.adding(milliseconds: -40_000)
        let report = ReplayReport(replay: first.id, generation: 1, parts: [part], from: first.from)
        #expect(try send(command(22, .progressReplay(id, report))).isApplied)
        #expect(shown() == [first])
        #expect(try send(command(23, .finishReplay(id, report, failure: "why"))).isApplied)
        first.end(.failed, reason: "why", at: now)
        #expect(shown() == [first] && view.read { $0.replaying.isEmpty })
        var second = Replay(
            id: ReplayID(high: 6, low: 2), since: first.since, until: now, from: first.since, isDryRun: false,
            generation: 1, createdAt: now, parts: [])
        #expect(try send(command(24, .startReplay(id, second))).isApplied)
        #expect(try send(command(25, .cancelReplay(id, second.id))).isApplied)
        second.end(.cancelled, reason: "cancelled on request", at: now)
        #expect(shown() == [first, second])
        return [first, second]
    }

    @Test func aSupersededOwnersRecordsAreRepairedAndAHigherEpochIsYieldedTo() throws {
        let world = try World()
        func write(_ topic: String, key: String, _ value: [UInt8], epoch: Int?) throws {
            let headers = KafkaHeaders(capacity: 1)
            if let epoch { headers.add("epoch", String(epoch)) }
            try world.produce(topic, partition: 0, key: key, value: value, headers: headers)
        }
        func json(_ webhook: Webhook) -> [UInt8] {
            var writer = JSONWriter()
            webhook.write(to: &writer)
            return writer.bytes
        }
        let made = Account(id: account, email: "a@example.com", name: nil, keys: [], createdAt: now)
        // A registry was killed in the midst of a deletion: one of two records is written.
        var writer = JSONWriter()
        made.write(to: &writer)
        let erasing = command(20, .deleteAccount)
        let headers = KafkaHeaders(capacity: 2)
        headers.add("command-id", erasing.id.description)
        headers.add("continued", "true")
        try write(world.topics.accounts, key: account.description, writer.bytes, epoch: nil)
        try world.produce(
            world.topics.subscriptions, partition: 0, key: webhook(8).id.description, value: json(webhook(8)),
            headers: headers)

        let caughtUp = Flag()
        let stop = try world.run(group: "registry", reading: [world.topics.commands], fetch: KafkaConsumer.noticingEnds)
        {
            [topics = world.topics, configuration = world.configuration] in
            RegistryStage(
                topics: topics, configuration: configuration, webhooksPerAccount: 2, payloadBytes: 100_000,
                producer: $0, onCaughtUp: { caughtUp.set() })
        }
        defer { stop() }
        let view = RegistryView()
        let feed = RegistryFeed(view: view, topics: world.topics)
        try feed.start(world.configuration, sendsCommands: true)
        defer { feed.stop() }
        try eventually("the view is loaded and the registry has caught up") { feed.isLoaded && caughtUp.isSet }
        func send(_ command: Command) throws -> CommandOutcome {
            let seen = Answer()
            feed.send(command) { seen.put($0) }
            try eventually("answered", seconds: 30) { seen.value != nil }
            return try #require(seen.value)
        }
        #expect(try send(erasing).isApplied)
        #expect(view.read { $0.accounts.isEmpty && $0.webhooks.isEmpty }, "what was done by half is done")
        #expect(try send(command(1, .createAccount(made))).isApplied)
        #expect(try send(command(2, .createWebhook(webhook(1)))).isApplied)

        var overwritten = webhook(1)
        overwritten.isActive = false
        for stale in [overwritten, webhook(2)] {
            try write(world.topics.subscriptions, key: stale.id.description, json(stale), epoch: 0)
        }
        func last(_ webhook: Webhook) throws -> World.Record? {
            try world.dump((world.topics.subscriptions, 1)).last { $0.key == webhook.id.description }
        }
        try eventually("written again as it was, and removed where there was none") {
            let (kept, gone) = (try last(webhook(1)), try last(webhook(2)))
            return kept?.value?.contains("\"isActive\":true") == true && gone.map { $0.value == nil } == true
        }
        try eventually("every view follows") {
            view.read { $0.webhooks[webhook(1).id]?.isActive == true && $0.wasRemoved(webhook(2).id) }
        }

        // An answer of a superseded owner counts for nothing; its successor's comes behind it.
        let stale = CommandResult(command: command(3, .deleteAccount).id, answer: .refused(.tooLate), wroteState: false)
        let seen = Answer()
        try write(world.topics.results, key: account.description, stale.json, epoch: 0)
        #expect(try send(command(3, .createWebhook(webhook(3)))).isApplied)

        let foreign = Array(#"{"epoch":50,"owner":"00000000000000aa"}"#.utf8)
        try write(world.topics.results, key: "epoch", foreign, epoch: nil)
        feed.send(command(4, .deleteWebhook(webhook(3).id))) { seen.put($0) }
        try eventually("taken over again, above the other one") {
            try world.dump((world.topics.accounts, 1)).contains {
                $0.key == "epoch" && $0.value?.contains(#"{"epoch":51,"#) == true
            }
        }
        #expect(try send(command(5, .deleteWebhook(webhook(1).id))).isApplied, "and works")
        try eventually("what came in between has its answer") { seen.value != nil }
        #expect(
            seen.value?.isApplied == true || seen.value == .unconfirmed || seen.value == .unseen,
            "a take-over may take longer than a client waits")
    }

    /// Without a registry: what a client is told by the state alone.
    @Test func aStateRecordConfirmsItsCommandUnlessItsWriterWasSuperseded() throws {
        let world = try World()
        let view = RegistryView()
        let feed = RegistryFeed(view: view, topics: world.topics)
        try feed.start(world.configuration, sendsCommands: true)
        defer { feed.stop() }
        try eventually("the view is loaded") { feed.isLoaded }
        let marker = Array(#"{"epoch":2,"owner":"00000000000000aa"}"#.utf8)
        try world.produce(
            world.topics.subscriptions, partition: 0, key: "epoch", value: marker, headers: KafkaHeaders(capacity: 1))

        func sendAndWrite(_ number: UInt32, epoch: Int, isContinued: Bool) throws -> Answer {
            let seen = Answer()
            let command = command(number, .createWebhook(webhook(number)))
            feed.send(command) { seen.put($0) }
            let headers = KafkaHeaders(capacity: 3)
            headers.add("command-id", command.id.description)
            headers.add("epoch", String(epoch))
            if isContinued { headers.add("continued", "true") }
            var writer = JSONWriter()
            webhook(number).write(to: &writer)
            try world.produce(
                world.topics.subscriptions, partition: 0, key: webhook(number).id.description, value: writer.bytes,
                headers: headers)
            return seen
        }
        let stale = try sendAndWrite(1, epoch: 1, isContinued: false)
        let half = try sendAndWrite(2, epoch: 2, isContinued: true)
        var number: UInt32 = 2
        // A client waits for five seconds, which a busy machine may need for other things.
        try eventually("confirmed by the state") {
            number += 1
            let whole = try sendAndWrite(number, epoch: 2, isContinued: false)
            try eventually("told") { whole.value != nil }
            return whole.value?.isApplied == true
        }
        try eventually("told") { stale.value != nil && half.value != nil }
        #expect(stale.value == .unconfirmed && half.value == .unconfirmed)
        #expect(view.read { $0.webhooks.count } == Int(number), "every view has them all the same")
    }

    private final class Answer: Sendable {
        private let box = Guarded<CommandOutcome?>(nil)
        var value: CommandOutcome? { box.withLock { $0 } }
        func put(_ outcome: CommandOutcome) { box.withLock { $0 = outcome } }
    }
}
