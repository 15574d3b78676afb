// Records that would end a process each time it reads them are refused, with the place and the cause.
import Core
import JSON
import Testing

@testable import Registry

@Suite struct HostileRecordTests {
    private let start = Timestamp(milliseconds: 1_700_000_000_000)
    private let account = AccountID(high: 1, low: 1)

    private var webhook: Webhook {
        Webhook(
            id: WebhookID(high: 4, low: 1), account: account, url: "https://a.example/", description: nil,
            events: ["*"], isActive: true, version: "1.0", createdAt: start, updatedAt: start, secrets: [])
    }

    private func read(_ webhook: Webhook) throws -> Webhook {
        var writer = JSONWriter()
        webhook.write(to: &writer)
        return try JSONParser().parse(writer.bytes) { try Webhook(json: $0) }
    }

    private func command(_ change: Command.Change) -> Command {
        Command(id: CommandID(high: 3, low: 1), account: account, at: start, notAfter: nil, change: change)
    }

    private func read(_ change: Command.Change) throws -> Command {
        try JSONParser().parse(command(change).json) { try Command(json: $0) }
    }

    private func error(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "none"
        } catch { return "\(error)" }
    }

    @Test(arguments: [Int.max, Int.max - 1, Webhook.mostCount + 1, -1]) func countsThatCannotGrowAreRefused(count: Int)
    {
        for field in ["generation", "revision"] {
            let refusal = "field \(field) is not between 0 and \(Webhook.mostCount)"
            let number = "\"\(field)\":\(count),"
            var writer = JSONWriter()
            webhook.write(to: &writer)
            let record = String(decoding: writer.bytes, as: UTF8.self).replacing("\"\(field)\":1,", with: number)
            #expect(error { _ = try JSONParser().parse(Array(record.utf8)) { try Webhook(json: $0) } } == refusal)
            let command = String(decoding: command(.createWebhook(webhook)).json, as: UTF8.self)
                .replacing("\"\(field)\":1,", with: number)
            #expect(error { _ = try JSONParser().parse(Array(command.utf8)) { try Command(json: $0) } } == refusal)
        }
    }

    /// What is written can be read again.
    @Test func theLargestCountsStayWhereTheyAre() throws {
        var full = webhook
        (full.generation, full.revision) = (Webhook.mostCount, Webhook.mostCount)
        full.nextGeneration()
        full.nextRevision()
        #expect(try read(full) == full)
    }

    @Test func whatACommandMakesIsItsOwnAccounts() throws {
        var other = webhook
        other.account = AccountID(high: 1, low: 2)
        #expect(error { _ = try read(.createWebhook(other)) } == "field webhook is of another account than accountId")
        let made = Account(id: other.account, email: "a@example.com", name: nil, keys: [], createdAt: start)
        #expect(error { _ = try read(.createAccount(made)) } == "field account is of another account than accountId")
        #expect(try read(.createWebhook(webhook)).change == .createWebhook(webhook))
    }

    @Test func offsetsAndCountsThatCannotBeAddedUpAreRefused() throws {
        func replay(_ part: ReplayPart) -> Command.Change {
            .startReplay(
                webhook.id,
                Replay(
                    id: ReplayID(high: 6, low: 1), since: start, until: start, from: start, isDryRun: false,
                    generation: 1, createdAt: start, parts: [part, part, part]))
        }
        let part = ReplayPart(topic: "t", partition: 0, first: 0, next: 0, end: 1 << 48)
        #expect(try read(replay(part)).change == replay(part))
        var hostile = part
        hostile.end = 1 << 53 - 1
        #expect(error { _ = try read(replay(hostile)) }.contains("field next"))
        hostile = part
        hostile.events = 1 << 53 - 1
        #expect(error { _ = try read(replay(hostile)) }.contains("field events"))
        hostile = part
        hostile.unmappable = -1
        #expect(error { _ = try read(replay(hostile)) }.contains("field unmappable"))
    }

    /// An older registry writes none; an ETag that was given out must not come to name another state.
    @Test func aRecordWithoutARevisionGoesAboveWhatIsKnown() throws {
        var writer = JSONWriter()
        webhook.write(to: &writer)
        let text = String(decoding: writer.bytes, as: UTF8.self).replacing(#""revision":1,"#, with: "")
        let old = try JSONParser().parse(Array(text.utf8)) { try Webhook(json: $0) }
        var known = webhook
        known.revision = 6
        var state = RegistryState(webhooksPerAccount: 10)
        let view = RegistryView()
        #expect(state.load(old).revision == 1 && view.put(old).revision == 1)
        state.load(known)
        view.put(known)
        #expect(state.load(old).revision == 7 && view.put(old).revision == 7)
        #expect(state.webhooks[webhook.id]?.revision == 7)
        #expect(view.read { $0.webhooks[webhook.id]?.revision } == 7)
    }
}
