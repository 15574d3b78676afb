// The widest replay that is planned fits its topics: a command that the broker refuses would hold up all behind it.
import Core
import JSON
import Testing

@testable import Registry

@Suite struct ReplaySizeTests {
    @Test(arguments: [1, 60, 249]) func theWidestPlanFitsACommand(nameBytes: Int) {
        let start = Timestamp(milliseconds: 1_700_000_000_000)
        let huge: Int64 = 1_000_000_000_000_000
        let part = ReplayPart(
            topic: String(repeating: "t", count: nameBytes), partition: .max, first: huge, next: huge, end: huge,
            events: 1_000_000_000_000, unmappable: 1_000_000_000_000)
        func plan(_ count: Int) -> ReplayPlan {
            ReplayPlan(parts: Array(repeating: part, count: count), from: start)
        }
        var most = ReplayPlan.mostParts
        while !plan(most).fitsCommand { most -= 50 }
        #expect(most > 1500, "many partitions fit")
        let replay = Replay(
            id: ReplayID(high: 1, low: 1), since: start, until: start, from: start, isDryRun: false, generation: 1,
            createdAt: start, parts: plan(most).parts)
        let command = Command(
            id: CommandID(high: 1, low: 1), account: AccountID(high: 1, low: 1), at: start, notAfter: nil,
            change: .startReplay(WebhookID(high: 1, low: 1), replay))
        #expect(command.json.count < 950_000, "\(command.json.count) bytes")
    }

    @Test func anAnswersReceiptTellsAReplayByItsCounts() throws {
        let start = Timestamp(milliseconds: 1_700_000_000_000)
        let part = ReplayPart(topic: "t", partition: 0, first: 0, next: 4, end: 10, events: 3, unmappable: 1)
        let replay = Replay(
            id: ReplayID(high: 1, low: 1), since: start, until: start, from: start, isDryRun: false, generation: 1,
            createdAt: start, parts: Array(repeating: part, count: 4000))
        let webhook = Webhook(
            id: WebhookID(high: 4, low: 1), account: AccountID(high: 1, low: 1), url: "https://a.example/",
            description: nil, events: ["*"], isActive: true, version: "1.0", createdAt: start, updatedAt: start,
            secrets: [], replays: [replay])
        let receipt = Receipt(account: webhook.account, fingerprint: "a", at: start, webhook: webhook)
        let result = CommandResult(
            command: CommandID(high: 1, low: 1), answer: .applied, wroteState: true, receipt: receipt)
        #expect(result.json.count < 2000, "\(result.json.count) bytes")
        #expect(try JSONParser().parse(result.json) { try CommandResult(json: $0) } == result)
    }
}
