import Core
import Testing

// Names of letters and records, and which letters a filter lets through.

@Suite struct DeadLetterTests {
    @Test(arguments: ["3/12", "0/0", "15/9223372036854775807"])
    func `a position is read as it is written`(text: String) {
        #expect(DeadLetterPosition(text)?.description == text)
    }

    @Test(arguments: ["", "3", "3/", "/3", "3/-1", "3/1/2", "a/1", "3/9223372036854775808", "+1/2", " 1/2"])
    func `anything else is no position`(text: String) { #expect(DeadLetterPosition(text) == nil) }

    @Test func `an origin has a topic in front`() {
        let origin = RecordOrigin("learnault.users/3/12")
        #expect(origin?.topic == "learnault.users" && origin?.partition == 3 && origin?.offset == 12)
        for text in ["3/12", "/3/12", "a/b/3/12", "a/3/x"] { #expect(RecordOrigin(text) == nil) }
    }

    @Test func `a filter lets through what fits all of it`() {
        let webhook = WebhookID("wh_000000000000000000000001")
        let event = EventID("evt_000000000000000000000001")
        let now = Timestamp(milliseconds: 100_000)
        var letter = DeadLetterSummary(position: DeadLetterPosition(partition: 0, offset: 0))
        letter.origin = "learnault.users/3/12"
        letter.reason = DeadLetterReason.retriesSpent.rawValue
        letter.webhook = webhook
        letter.event = event
        letter.writtenAt = Timestamp(milliseconds: 90_000)
        func matches(_ filter: DeadLetterFilter) -> Bool { filter.matches(letter, now: now) }
        #expect(matches(DeadLetterFilter()))
        #expect(
            matches(
                DeadLetterFilter(
                    topic: "learnault.users", webhook: webhook, reason: .retriesSpent, event: event,
                    since: .age(.seconds(10)))))
        #expect(!matches(DeadLetterFilter(topic: "learnault.user")))
        #expect(!matches(DeadLetterFilter(webhook: WebhookID("wh_000000000000000000000002"))))
        #expect(!matches(DeadLetterFilter(reason: .unmappable)))
        #expect(!matches(DeadLetterFilter(event: EventID("evt_000000000000000000000002"))))
        #expect(!matches(DeadLetterFilter(since: .age(.seconds(9)))))
        #expect(!matches(DeadLetterFilter(since: .time(Timestamp(milliseconds: 90_001)))))
    }

    @Test func `since is a time or an age`() {
        #expect(DeadLetterFilter.Since("24h") == .age(.hours(24)))
        #expect(DeadLetterFilter.Since("1970-01-01T00:00:01Z") == .time(Timestamp(milliseconds: 1000)))
        #expect(DeadLetterFilter.Since("yesterday") == nil)
    }
}
