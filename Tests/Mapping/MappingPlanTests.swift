import Core
import Crypto
import Foundation
import JSON
import Mapping
import Testing

@Suite struct MappingPlanTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static func shippedPlan(_ topic: String) throws -> MappingPlan {
        let file = root.appending(path: "config/mappings/\(topic).json5")
        let compiled = MappingCompiler.compile(
            Array(try Data(contentsOf: file)), file: file.lastPathComponent, topicPrefix: "webhooks.")
        #expect(compiled.faults == [])
        return try #require(compiled.plan)
    }

    private func map(_ record: String, _ plan: MappingPlan) throws -> (event: MappedEvent, body: String)? {
        var writer = JSONWriter()
        let event = try JSONParser().parse(Array(record.utf8)) {
            try plan.map(
                $0, origin: RecordOrigin(topic: plan.topic, partition: 3, offset: 42), into: &writer,
                digest: { EventID(bytes: Digest.sha256($0)) })
        }
        return event.map { ($0, String(decoding: writer.bytes, as: UTF8.self)) }
    }

    private let record = """
        {"eventId":"e1","eventType":"UserCreated","occurredAt":"2024-01-15T12:15:00+03:00","accountId":"acct_000000000000000000000001",
        "payload":{"user":{"id":"usr_1","country":"KE","createdAt":"2024-01-15T09:15:00Z"}}}
        """

    @Test(arguments: [
        ("credential.issued", "learnault.credentials"), ("module.completed", "learnault.modules"),
        ("reward.issued", "learnault.rewards"), ("reward.withdrawn", "learnault.rewards"),
        ("user.created", "learnault.users"),
    ])
    func contractExamplesBecomeExactlyTheDocumentedBodies(name: String, topic: String) throws {
        let examples = Self.root.appending(path: "Tests/System/contract/examples")
        let domain = try String(contentsOf: examples.appending(path: "\(name).domain.json"), encoding: .utf8)
        var expected = JSONWriter()
        try JSONParser().parse(Array(try Data(contentsOf: examples.appending(path: "\(name).webhook.json")))) {
            expected.value($0)
        }
        let mapped = try #require(try map(domain, Self.shippedPlan(topic)))
        #expect(mapped.event.webhookType == name)
        #expect(
            mapped.body.replacing(mapped.event.event.description, with: "evt_000000000000000000000000")
                == String(decoding: expected.bytes, as: UTF8.self))
    }

    @Test func eventIDFollowsTheContract() throws {
        let mapped = try #require(try map(record, Self.shippedPlan("learnault.users")))
        let digest = Digest.sha256(Array("learnault.users\0\0e1\0user.created\0".utf8) + Array("0".utf8))
        #expect(mapped.event.event == EventID(bytes: digest))
        let without = try #require(
            try map(record.replacing("\"eventId\":\"e1\",", with: ""), Self.shippedPlan("learnault.users")))
        #expect(
            without.event.event
                == EventID(
                    bytes: Digest.sha256(Array("learnault.users\0\u{0}3/42\0user.created\0".utf8) + Array("0".utf8))))
    }

    @Test(arguments: [
        ("\"UserCreated\"", "\"UserVanished\"", "event type \"UserVanished\" has no mapping for topic learnault.users"),
        ("\"id\":\"usr_1\",", "", "field userId: nothing at /payload/user/id"),
        ("\"usr_1\"", "7", "field userId (/payload/user/id): expected a string, came integer"),
        ("2024-01-15T09:15:00Z", "yesterday", "field createdAt (/payload/user/createdAt): expected an RFC 3339 time"),
        ("\"accountId\":\"acct_000000000000000000000001\",", "", "no account at /accountId"),
        ("\"eventType\":\"UserCreated\",", "", "the event type at /eventType is missing"),
    ])
    func failuresNameTheFieldAndWhatCame(old: String, new: String, message: String) throws {
        let plan = try Self.shippedPlan("learnault.users")
        let failure = #expect(throws: MappingFailure.self) { try map(record.replacing(old, with: new), plan) }
        #expect(failure?.description.contains(message) == true, "\(failure?.description ?? "")")
    }

    @Test func everyFaultOfAFileIsReportedWithItsKey() {
        let text = """
            { topic: "t", type: "eventType", created: "/at", surprise: 1, audience: { acount: "/a" }, otherwise: "explode",
              events: { A: { type: "user.vanished", data: { x: { from: "/a", kind: "strnig" }, y: { from: "/a", value: 1 }, z: 3,
                t: { template: "a{b}" } } } } }
            """
        let keys = MappingCompiler.compile(Array(text.utf8), file: "f.json5", topicPrefix: "webhooks.").faults.map(
            \.key)
        #expect(
            Set(keys) == [
                "surprise", "type", "audience.acount", "audience.account", "otherwise", "events.A.type",
                "events.A.data.x.kind",
                "events.A.data.y", "events.A.data.z", "events.A.data.t.template",
            ])
    }

    @Test func constantsTemplatesIgnoredTypesAndEveryone() throws {
        let text = """
            { topic: "{prefix}x", type: "/t", created: "/at", audience: "everyone", ignore: ["Session*", "Viewed"],
              events: { C: { type: "credential.issued", data: {
                url: { template: "https://v/{/c/id}/{/n}" }, issuer: { value: "Learnault" }, amount: { from: "/n", kind: "decimal" },
                gone: { from: "/gone", optional: true } } } } }
            """
        let plan = try #require(MappingCompiler.compile(Array(text.utf8), file: "f", topicPrefix: "webhooks.").plan)
        #expect(plan.topic == "webhooks.x")
        #expect(try map("{\"t\":\"SessionStarted\"}", plan) == nil)
        #expect(try map("{\"t\":\"Viewed\"}", plan) == nil)
        let mapped = try #require(
            try map("{\"t\":\"C\",\"at\":\"2024-01-15T10:30:00Z\",\"c\":{\"id\":\"x\"},\"n\":7}", plan))
        #expect(mapped.event.audience == .everyone)
        #expect(
            mapped.body.hasSuffix("\"data\":{\"url\":\"https://v/x/7\",\"issuer\":\"Learnault\",\"amount\":\"7\"}}"))
    }
}
