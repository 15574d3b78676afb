// What the registry guarantees to those who write through several processes and after restarts: a repeated request has one
// outcome, a change is for the state that was read; and what a view makes of records that it must not trust.
import Core
import JSON
import Kafka
import Pipeline
import Registry
import Runtime
import Testing

private let now = Timestamp(milliseconds: Clock.wallMilliseconds())
private let account = AccountID("acct_000000000000000000000001")!

private func webhook(_ number: UInt32, description: String? = nil) -> Webhook {
    Webhook(
        id: WebhookID(high: 4, low: number), account: account, url: "https://example.com/", description: description,
        events: ["*"], isActive: true, version: "1.0", createdAt: now, updatedAt: now,
        secrets: [SealedSecret(keyID: "k", box: [1, 2, 3], createdAt: now)])
}

private func json(_ webhook: Webhook) -> [UInt8] {
    var writer = JSONWriter()
    webhook.write(to: &writer)
    return writer.bytes
}

private final class Outcome: Sendable {
    private let box = Guarded<CommandOutcome?>(nil)
    var value: CommandOutcome? { box.withLock { $0 } }
    func put(_ outcome: CommandOutcome) { box.withLock { $0 = outcome } }
}

/// The command of a request with a key, as each process makes it.
private func request(
    _ number: UInt32, _ change: Command.Change, fingerprint: String = String(repeating: "a", count: 64),
    later: Int64 = 0, revisions: [Int]? = nil
) -> Command {
    Command(
        id: CommandID(high: 7, low: number), account: account, at: now.adding(milliseconds: later), notAfter: nil,
        change: change, actor: .key("0aB3dE6f"), fingerprint: fingerprint, revisions: revisions)
}

/// A process with a view, as the API has it.
private final class Process {
    let view = RegistryView()
    let feed: RegistryFeed

    init(_ world: World) throws {
        feed = RegistryFeed(view: view, topics: world.topics)
        try feed.start(world.configuration, sendsCommands: true)
        try eventually("the view is loaded") { [feed] in feed.isLoaded }
    }

    deinit { feed.stop() }

    func begin(_ command: Command) -> Outcome {
        let outcome = Outcome()
        feed.send(command) { outcome.put($0) }
        return outcome
    }

    func send(_ command: Command) throws -> CommandOutcome {
        let outcome = begin(command)
        try eventually("answered") { outcome.value != nil }
        return try #require(outcome.value)
    }
}

@Suite(.timeLimit(.minutes(2))) struct RegistryGuardStageTests {
    private let world: World
    private let caughtUp = Flag()

    init() throws { world = try World() }

    private func run() throws -> @Sendable () -> Void {
        try world.run(group: "registry", reading: [world.topics.commands], fetch: KafkaConsumer.noticingEnds) {
            [topics = world.topics, configuration = world.configuration, caughtUp] in
            RegistryStage(
                topics: topics, configuration: configuration, webhooksPerAccount: 10, payloadBytes: 100_000,
                producer: $0, onCaughtUp: { caughtUp.set() })
        }
    }

    @Test func aRequestSentByTwoProcessesAndAfterARestartHasOneOutcome() throws {
        var stop = try run()
        let (one, two) = (try Process(world), try Process(world))
        try eventually("the registry has caught up") { caughtUp.isSet }
        let made = Account(id: account, email: "a@example.com", name: nil, keys: [], createdAt: now)
        let creation = Command(
            id: CommandID(high: 3, low: 1), account: account, at: now, notAfter: nil, change: .createAccount(made))
        #expect(try one.send(creation).isApplied)

        // Each process makes a webhook of its own for the same request; one of them comes to be.
        let outcomes = [
            one.begin(request(1, .createWebhook(webhook(1)))),
            two.begin(request(1, .createWebhook(webhook(2)), later: 1)),
            one.begin(request(1, .createWebhook(webhook(3)), later: 2)),
        ]
        try eventually("all answered") { outcomes.allSatisfy { $0.value != nil } }
        let left: [Webhook?] = outcomes.map { outcome in
            guard case .applied(let effect) = outcome.value else { return nil }
            return effect.webhook
        }
        let first = try #require(left[0])
        #expect(left.allSatisfy { $0 == first }, "\(left)")
        #expect(one.view.read { $0.webhooks.count } == 1)
        try eventually("the other follows") { two.view.read { $0.webhooks[first.id] } == first }
        let foreign = request(1, .createWebhook(webhook(4)), fingerprint: String(repeating: "b", count: 64))
        #expect(try two.send(foreign) == .refused(.keyReused))

        let patch = request(2, .updateWebhook(first.id, WebhookPatch(description: "one")), revisions: [1])
        let patched = try one.send(patch)
        #expect(try two.send(patch) == patched || patched.isApplied)
        let stale = request(3, .updateWebhook(first.id, WebhookPatch(description: "two")), revisions: [1])
        #expect(try two.send(stale) == .refused(.preconditionFailed))
        let deletion = request(4, .deleteWebhook(first.id), revisions: [2])
        #expect(try two.send(deletion).isApplied)
        #expect(two.view.read { $0.webhooks.isEmpty })

        stop()
        stop = try run()
        defer { stop() }
        // Only what stands on `results` can say so now.
        guard case .applied(let effect) = try two.send(request(1, .createWebhook(webhook(5)), later: 3)) else {
            Issue.record("not answered again")
            return
        }
        #expect(effect.webhook == first && effect.requestedAt != now.adding(milliseconds: 3))
        #expect(try one.send(deletion).isApplied, "though it is gone")
        #expect(try one.send(foreign) == .refused(.keyReused))
        #expect(try one.send(stale) == .refused(.preconditionFailed))
        #expect(one.view.read { $0.webhooks.isEmpty } && two.view.read { $0.webhooks.isEmpty })
        let answers = try world.dump((world.topics.results, 1)).filter { $0.value?.contains("receipt") == true }
        #expect(answers.count >= 10)
    }

    /// A registry that was killed between a state record and its answer.
    @Test func aStateRecordTellsWhoRepeatsTheRequest() throws {
        let made = Account(id: account, email: "a@example.com", name: nil, keys: [], createdAt: now)
        var writer = JSONWriter()
        made.write(to: &writer)
        try world.produce(
            world.topics.accounts, partition: 0, key: account.description, value: writer.bytes,
            headers: KafkaHeaders(capacity: 1))
        let first = request(1, .createWebhook(webhook(1)))
        let headers = KafkaHeaders(capacity: 3)
        headers.add("command-id", first.id.description)
        headers.add("fingerprint", try #require(first.fingerprint))
        headers.add("account-id", account.description)
        try world.produce(
            world.topics.subscriptions, partition: 0, key: webhook(1).id.description, value: json(webhook(1)),
            headers: headers)
        let stop = try run()
        defer { stop() }
        let process = try Process(world)
        let again = try process.send(request(1, .createWebhook(webhook(2)), later: 1))
        guard case .applied(let effect) = again else {
            Issue.record("\(again)")
            return
        }
        #expect(effect.webhook == webhook(1))
        let foreign = request(1, .createWebhook(webhook(2)), fingerprint: String(repeating: "b", count: 64))
        #expect(try process.send(foreign) == .refused(.keyReused))
        #expect(process.view.read { $0.webhooks.count } == 1)
    }

    /// Descriptors may run out between the group's consumer and this reader.
    @Test func aRegistryThatCannotReadItsTopicsWaitsAndEndsInOrder() throws {
        let stop = try world.run(group: "registry", reading: [world.topics.commands], fetch: KafkaConsumer.noticingEnds)
        {
            [topics = world.topics, caughtUp] in
            RegistryStage(
                topics: topics, configuration: KafkaConfiguration([("no.such.property", "1")]), webhooksPerAccount: 10,
                payloadBytes: 100_000, producer: $0, onCaughtUp: { caughtUp.set() })
        }
        // It has its partition, and goes on turning until it is asked to end.
        stop()
        #expect(!caughtUp.isSet)
    }

    private func write(_ webhook: Webhook?, key: String, epoch: Int) throws {
        let headers = KafkaHeaders(capacity: 1)
        headers.add("epoch", String(epoch))
        try world.produce(
            world.topics.subscriptions, partition: 0, key: key, value: webhook.map(json) ?? Array("{".utf8),
            headers: headers)
    }

    private func mark(_ epoch: Int) throws {
        let marker = Array(#"{"epoch":\#(epoch),"owner":"00000000000000aa"}"#.utf8)
        try world.produce(
            world.topics.subscriptions, partition: 0, key: "epoch", value: marker, headers: KafkaHeaders(capacity: 1))
    }

    /// Without a registry that would write the state again.
    @Test func aStragglerDoesNotStandOverWhatAViewHas() throws {
        let process = try Process(world)
        try write(webhook(1, description: "old"), key: webhook(1).id.description, epoch: 1)
        try mark(2)
        try write(webhook(1, description: "new"), key: webhook(1).id.description, epoch: 2)
        try write(webhook(1, description: "straggler"), key: webhook(1).id.description, epoch: 1)
        try write(webhook(2, description: "the only one"), key: webhook(2).id.description, epoch: 1)
        try write(webhook(3), key: webhook(3).id.description, epoch: 2)
        try eventually("read so far") { process.view.read { $0.webhooks[webhook(3).id] } != nil }
        #expect(process.view.read { $0.webhooks[webhook(1).id]?.description } == "new")
        #expect(process.view.read { $0.webhooks[webhook(2).id]?.description } == "the only one")
    }

    @Test func aViewThatCouldNotReadARecordIsNotComplete() throws {
        let view = RegistryView()
        let key = Array("wh_000000000000000000000001".utf8)
        #expect(view.confirm(at: 5) && view.confirmedAt == 5)
        key.withUnsafeBytes { view.noteUnread($0) }
        #expect(view.confirmedAt == 0 && !view.confirm(at: 6) && view.confirmedAt == 0)
        Array("wh_000000000000000000000002".utf8).withUnsafeBytes { view.noteRead($0) }
        #expect(!view.confirm(at: 7))
        key.withUnsafeBytes { view.noteRead($0) }
        #expect(view.confirm(at: 8) && view.confirmedAt == 8, "a later record of the key stands for it")

        try write(nil, key: webhook(1).id.description, epoch: 1)
        try write(webhook(2), key: webhook(2).id.description, epoch: 1)
        let process = try Process(world)
        try eventually("read so far") { process.view.read { $0.webhooks[webhook(2).id] } != nil }
        #expect(!process.view.confirm(at: 9), "the feed said so")
        try write(webhook(1), key: webhook(1).id.description, epoch: 1)
        try eventually("complete again") { process.view.confirm(at: 10) }
    }
}
