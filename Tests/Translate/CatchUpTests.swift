// A webhook that was registered with another process: what was translated between its creation and the moment at which this
// process heard of it still goes to it.
import Core
import Mapping
import Registry
import Runtime
import Testing
import Translate

@Suite struct CatchUpTests {
    private let view = RegistryView()
    private let translator: Translator
    private let account = AccountID("acct_000000000000000000000001")!

    private struct Sent: Equatable {
        let webhook: WebhookID
        let id: DeliveryID
        let origin: String
        let generation: Int
        let body: String

        init(_ delivery: borrowing Delivery, _ body: UnsafeRawBufferPointer) {
            webhook = delivery.webhook
            id = delivery.id
            origin = delivery.origin
            generation = delivery.generation
            self.body = String(decoding: body, as: UTF8.self)
        }
    }

    init() throws {
        let text = """
            { topic: "t", type: "/type", id: "/id", created: "/at", audience: {account: "/accountId"},
              events: { A: { type: "user.updated", data: { n: "/payload/n" } } } }
            """
        let plan = try #require(
            MappingCompiler.compile(Array(text.utf8), file: "t.json5", topicPrefix: "webhooks.").plan)
        translator = Translator(
            plans: MappingPlans([plan]), topics: Topics(prefix: "webhooks.", shards: 4), view: view,
            payloadBytes: 1 << 20, keepsRecent: true)
        _ = translator.refresh()
    }

    private func webhook(
        _ number: UInt32, account: AccountID? = nil, events: [String] = ["*"], after milliseconds: Int64 = 0
    ) -> Webhook {
        let now = Timestamp(milliseconds: Clock.wallMilliseconds() + milliseconds)
        return Webhook(
            id: WebhookID(high: 9, low: number), account: account ?? self.account, url: "https://example.com/",
            description: nil, events: events, isActive: true, version: "1.0", createdAt: now, updatedAt: now,
            secrets: [])
    }

    /// - Returns: what was routed at once.
    private func translate(_ number: Int, timestamp: Int64 = -1) -> [Sent] {
        let value = """
            {"type":"A","id":"\(number)","at":"2024-01-15T10:30:00Z","accountId":"\(account)","payload":{"n":\(number)}}
            """
        let record = OwnedRecord(
            topic: "t", partition: 2, offset: Int64(number), timestamp: timestamp, value: Array(value.utf8))
        var sent: [Sent] = []
        record.borrowed { record in
            let key = UnsafeRawBufferPointer(start: nil, count: 0)
            _ = try? translator.translate(record, key: key) { sent.append(Sent($0, $1)) }
        }
        return sent
    }

    private func catchUp() -> [Sent] {
        var sent: [Sent] = []
        translator.catchUp { sent.append(Sent($0, $1)) }
        return sent
    }

    @Test func whatCameBeforeItWasHeardOfIsRoutedOnceAndUnderTheSameIds() {
        let late = webhook(1)
        #expect(translate(1).isEmpty && translate(2).isEmpty)
        view.put(late)
        let known = translate(3)
        #expect(known.map(\.webhook) == [late.id], "what comes now needs no catching up")
        let caughtUp = catchUp()
        #expect(caughtUp.map(\.origin) == ["t/2/1", "t/2/2"])
        #expect(catchUp().isEmpty)
        #expect(caughtUp == [1, 2].flatMap { translate($0) }, "as if it had been known: ids, bodies and all")
        view.put(late)
        #expect(catchUp().isEmpty, "a change of it is no news")
    }

    @Test func whatWasTranslatedBeforeItWasCreatedIsNotForIt() {
        #expect(translate(1).isEmpty)
        view.put(webhook(1, after: 60_000))
        #expect(catchUp().isEmpty)
    }

    @Test func othersHearOfNothing() {
        let old = webhook(1)
        view.put(old)
        #expect(catchUp().isEmpty)
        let (late, unsubscribed) = (webhook(2), webhook(3, events: ["reward.issued"]))
        let foreign = webhook(4, account: AccountID("acct_000000000000000000000002")!)
        #expect(translate(1).map(\.webhook) == [old.id])
        for webhook in [late, unsubscribed, foreign] { view.put(webhook) }
        #expect(catchUp().map(\.webhook) == [late.id])
    }

    @Test func aRecordThatIsTooOldStaysSo() {
        let late = webhook(1)
        #expect(translate(1, timestamp: late.createdAt.milliseconds - 300_001).isEmpty)
        #expect(translate(2, timestamp: late.createdAt.milliseconds - 300_000).isEmpty)
        view.put(late)
        #expect(catchUp().map(\.origin) == ["t/2/2"])
    }
}
