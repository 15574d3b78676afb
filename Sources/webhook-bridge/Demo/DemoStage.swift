// The demo's play: an account, two webhooks, five events, and the story as the topics tell it.
internal import API
internal import Bridge
internal import Core
internal import Crypto
internal import JSON
internal import Kafka
internal import Registry
internal import Runtime

final class DemoStage {
    private let bridge: Bridge
    private let kafka: KafkaConfiguration
    private let good: DemoReceiver
    private let failing: DemoReceiver
    private var story: DemoStory?
    private var key = ""
    private var goodID = ""
    private var failingID = ""

    private static let storySeconds = 80.0

    init(bridge: Bridge, kafka: KafkaConfiguration) throws(Exit) {
        self.bridge = bridge
        self.kafka = kafka
        good = try DemoReceiver(status: 200)
        failing = try DemoReceiver(status: 500)
    }

    deinit {
        good.stop()
        failing.stop()
    }

    /// - Parameter isOver: whether somebody wants to end it early.
    func play(topics: Topics, until isOver: () -> Bool) throws(Exit) {
        let account = try makeAccount()
        goodID = try register(good, events: ["*"], name: "good receiver")
        failingID = try register(failing, events: ["module.completed"], name: "failing receiver")
        Terminal.print(
            """

            \(goodID)  http://127.0.0.1:\(good.port)/  answers 200, hears of everything
            \(failingID)  http://127.0.0.1:\(failing.port)/  answers 500, hears of module.completed

            Five domain events go to Kafka. The waits of the retries are scaled from 44 h 35 m 35 s to 32 s.

            """)
        let story: DemoStory
        do throws(KafkaError) { story = try DemoStory(kafka, topics) } catch { throw .failure(error.description) }
        self.story = story
        try sendEvents(account: account)
        let expected = DemoStory.Ending(
            good: goodID, failing: failingID, delivered: DemoEvents.all.count + 1, failed: RetrySchedule.tierCount + 1,
            emails: 2)
        let deadline = Clock.monotonic() + UInt64(Self.storySeconds * 1e9)
        while !story.hasEnded(expected) {
            story.read(milliseconds: 50)
            guard !isOver() else { throw .failure("stopped before the story's end") }
            guard Clock.monotonic() < deadline else {
                throw .failure("the story did not come to its end within \(Int(Self.storySeconds)) s")
            }
        }
        summarise(story)
        guard good.faults == 0, failing.faults == 0 else { throw .failure("a receiver found a wrong signature") }
    }

    func follow(until isOver: () -> Bool) {
        while !isOver() { story?.read(milliseconds: 100) }
    }

    private func makeAccount() throws(Exit) -> AccountID {
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let text = APIKeyText.generate(.test)
        key = text.text
        let account = Account(
            id: AccountID(bytes: Random.bytes(12)), email: "developer@example.com", name: "Demo",
            keys: [APIKey(id: text.id, hash: text.hash, createdAt: now)], createdAt: now)
        let command = Command(
            id: CommandID(bytes: Random.bytes(12)), account: account.id, at: now, notAfter: nil,
            change: .createAccount(account), actor: .commandLine)
        let answer = AnswerBox()
        bridge.registry.send(command) { answer.put($0) }
        guard Demo.wait(seconds: 10, { answer.value != nil }), answer.value?.isApplied == true else {
            throw .failure("the registry did not make the account")
        }
        return account.id
    }

    private func register(_ receiver: DemoReceiver, events: [String], name: String) throws(Exit) -> String {
        let body = JSONWriter.document { writer in
            writer.field("url", "http://127.0.0.1:\(receiver.port)/")
            writer.field("description", name)
            writer.field("events", events)
        }
        let answer = try DemoClient.post(port: bridge.apiPort ?? 0, path: "/v1/webhooks", key: key, body: body)
        let made = try? JSONParser().parse(answer.body) { root in
            (id: root["data"]?["id"]?.string, secret: root["data"]?["signingSecret"]?.string)
        }
        guard answer.status == 201, let id = made?.id, let secret = made?.secret else {
            throw .failure("POST /v1/webhooks answered \(answer.status)")
        }
        receiver.secret = secret
        return id
    }

    private func sendEvents(account: AccountID) throws(Exit) {
        let wake = EventFD()
        let producer: KafkaProducer
        do throws(KafkaError) {
            producer = try KafkaProducer(kafka, maxMessageBytes: 1_000_000, wake: wake)
        } catch { throw .failure(error.description) }
        for (index, event) in DemoEvents.all.enumerated() {
            producer.produce(
                producer.topic(event.topic), partition: -1, key: Array(account.description.utf8),
                value: Array(event.record(account: account.description, number: index).utf8),
                headers: KafkaHeaders(capacity: 1), token: 0)
        }
        var acknowledged: [UInt64] = []
        guard
            Demo.wait(
                seconds: 10,
                {
                    producer.poll(acknowledged: &acknowledged)
                    return producer.unacknowledged == 0
                })
        else { throw .failure("the embedded broker did not take the events") }
    }

    private func summarise(_ story: DemoStory) {
        let mails = story.emails.map { "\"\($0)\"" }.joined(separator: ",\n" + String(repeating: " ", count: 34))
        Terminal.print(
            """

            Summary
              delivered   \(story.delivered(to: goodID)) events to \(goodID), \(good.verified) with both signatures verified
              failed      \(story.failed(to: failingID)) attempts for \(failingID): the first and all 8 retries
              disabled    \(failingID), and the account's other webhook was told by a webhook.disabled event
              notice      \(story.notices) on webhooks.notices
              mail        \(story.emails.count) on webhooks.emails: \(mails)
            """)
    }

    func explainKeep(api: Int, ops: Int, bootstrap: String) {
        Terminal.print(
            """

            Still running; Ctrl-C ends it. The API is at http://127.0.0.1:\(api), the ops listener at http://127.0.0.1:\(ops),
            the embedded broker at \(bootstrap). To try the API in another terminal:

              export API=http://127.0.0.1:\(api) KEY=\(key) WEBHOOK=\(failingID)

              curl -H 'Authorization: Bearer \(key)' http://127.0.0.1:\(api)/v1/webhooks
              curl -H 'Authorization: Bearer \(key)' 'http://127.0.0.1:\(api)/v1/webhooks/\(failingID)/logs?limit=3'
              curl -X PATCH -H 'Authorization: Bearer \(key)' -H 'Content-Type: application/json' \\
                   -d '{"isActive":true}' http://127.0.0.1:\(api)/v1/webhooks/\(failingID)

            """)
    }
}

/// An answer that arrives on another thread.
private final class AnswerBox: Sendable {
    private let box = Guarded<CommandOutcome?>(nil)
    var value: CommandOutcome? { box.withLock { $0 } }
    func put(_ outcome: CommandOutcome) { box.withLock { $0 = outcome } }
}
