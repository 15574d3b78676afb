import Core
import Foundation
import JSON
import Mapping
import Testing

@Suite struct MappingPlanTests {
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
        let examples = repository.appending(path: "Tests/System/contract/examples")
        let domain = try String(contentsOf: examples.appending(path: "\(name).domain.json"), encoding: .utf8)
        var expected = JSONWriter()
        try JSONParser().parse(Array(try Data(contentsOf: examples.appending(path: "\(name).webhook.json")))) {
            expected.value($0)
        }
        let mapped = try #require(try map(domain, shippedPlan(topic)).first)
        #expect(mapped.type == name)
        #expect(
            mapped.body.replacing(mapped.event.description, with: "evt_000000000000000000000000")
                == String(decoding: expected.bytes, as: UTF8.self))
    }

    @Test func eventIDFollowsTheContract() throws {
        let users = try shippedPlan("learnault.users")
        #expect(try map(record, users).first?.event == eventID("learnault.users", "", "e1", "user.created", "0"))
        let without = record.replacing("\"eventId\":\"e1\",", with: "")
        #expect(try map(without, users).first?.event == eventID("learnault.users", "", "3/42", "user.created", "0"))
        let number = record.replacing("\"e1\"", with: "-17")
        #expect(try map(number, users).first?.event == eventID("learnault.users", "", "-17", "user.created", "0"))
    }

    @Test(arguments: [
        ("\"UserCreated\"", "\"UserVanished\"", "learnault.users.json5: event type \"UserVanished\" has no mapping"),
        ("\"id\":\"usr_1\",", "", "learnault.users.json5: UserCreated: field userId (/payload/user/id): expected"),
        ("\"usr_1\"", "7", "UserCreated: field userId (/payload/user/id): expected a string, came integer"),
        ("2024-01-15T09:15:00Z", "yesterday", "field createdAt (/payload/user/createdAt): expected an RFC 3339 time"),
        ("\"accountId\":\"acct_000000000000000000000001\",", "", "no account at /accountId"),
        ("\"eventType\":\"UserCreated\",", "", "the event type at /eventType is missing"),
        ("\"UserCreated\"", "\"john.doe@example.com\"", "event type \"john.doe?example.com\" has no mapping"),
        ("\"UserCreated\"", "7", "the event type at /eventType must be a text that is not empty, came integer"),
        ("\"e1\"", "{}", "UserCreated: the event's id must be a text that is not empty, or an integer, came object"),
        ("2024-01-15T12:15:00+03:00", "soon", "the time of the event: expected an RFC 3339 time"),
    ])
    func failuresNameTheFieldAndWhatCame(old: String, new: String, message: String) throws {
        let plan = try shippedPlan("learnault.users")
        let said = failure { _ = try map(record.replacing(old, with: new), plan) }
        #expect(said.contains(message), "\(said)")
    }

    @Test func failuresNeverRepeatAValue() throws {
        let plan = try plan(
            data: "x: {from: \"/payload/x\", kind: \"integer\"}, t: {from: \"/payload/t\", kind: \"time\"}")
        for value in ["{\"x\":\"secret@example.com\"}", "{\"x\":1,\"t\":\"secret@example.com\"}"] {
            #expect(!failure { _ = try map(payload: value, plan) }.contains("secret"))
        }
    }

    @Test func ignoredTypesEveryoneAndPrefix() throws {
        let text = """
            { topic: "{prefix}x", type: "/t", created: "/at", audience: "everyone", ignore: ["Session*", "Viewed"],
              events: { C: { type: "credential.issued", data: { issuer: { value: "Learnault" } } } } }
            """
        let plan = try #require(MappingCompiler.compile(Array(text.utf8), file: "f", topicPrefix: "webhooks.").plan)
        #expect(plan.topic == "webhooks.x")
        #expect(plan.webhookTypes == ["credential.issued"])
        #expect(try map("{\"t\":\"SessionStarted\"}", plan) == [])
        #expect(try map("{\"t\":\"Viewed\"}", plan) == [])
        #expect(failure { _ = try map("{\"t\":\"Viewed2\"}", plan) }.contains("no mapping"))
        #expect(try map("{\"t\":\"C\",\"at\":\"2024-01-15T10:30:00Z\"}", plan).first?.audience == .everyone)
    }

    @Test func otherwiseIgnorePassesUnknownTypesOver() throws {
        let plan = try plan(
            head: "otherwise: \"ignore\",", events: "A: {type: \"user.updated\", data: {x: {value: 1}}}")
        #expect(try map("{\"type\":\"Z\"}", plan) == [])
    }

    @Test func oneRecordYieldsSeveralEventsEachUnderItsConditions() throws {
        let plan = try plan(
            events: """
                A: [
                  { type: "module.completed", when: {"/payload/passed": true}, data: { m: "/payload/m" } },
                  { type: "module.failed", when: {"/payload/passed": false}, data: { m: "/payload/m" } },
                  { type: "milestone.reached", when: {"/payload/count": [10, 50]}, data: { n: "/payload/count" } },
                  { type: "milestone.reached", when: {"/payload/bonus": {exists: true}}, data: { b: "/payload/bonus" } },
                ]
                """)
        func types(_ payload: String) throws -> [(String, EventID)] {
            try map(
                "{\"type\":\"A\",\"id\":\"1\",\"at\":\"2024-01-15T10:30:00Z\",\"accountId\":\"a\",\"payload\":\(payload)}",
                plan
            ).map { ($0.type, $0.event) }
        }
        let all = try types("{\"m\":1,\"passed\":true,\"count\":50,\"bonus\":{}}")
        #expect(all.map(\.0) == ["module.completed", "milestone.reached", "milestone.reached"])
        // The index is the place in the file's list, so an id does not depend on what else held.
        #expect(all[1].1 == eventID("t", "", "1", "milestone.reached", "2"))
        #expect(all[2].1 == eventID("t", "", "1", "milestone.reached", "3"))
        #expect(try types("{\"m\":1,\"passed\":false,\"count\":11}").map(\.0) == ["module.failed"])
        #expect(try types("{\"m\":1}").isEmpty)
        // All or nothing: the second event's fault leaves none of the first.
        let said = failure { _ = try types("{\"passed\":true,\"count\":10}") }
        #expect(said.hasSuffix("field m (/payload/m): expected any value, came nothing"))
    }

    @Test func bodiesOfOneRecordStandApart() throws {
        let plan = try plan(
            events:
                "A: [{type: \"user.updated\", data: {a: \"/payload/a\"}}, {type: \"user.deleted\", data: {b: \"/payload/b\"}}]"
        )
        let mapped = try map(
            "{\"type\":\"A\",\"id\":\"1\",\"at\":\"2024-01-15T10:30:00Z\",\"accountId\":\"a\",\"payload\":{\"a\":1,\"b\":2}}",
            plan)
        #expect(mapped.map(\.data) == ["{\"a\":1}", "{\"b\":2}"])
        #expect(mapped.allSatisfy { $0.body.hasPrefix("{\"id\":\"\($0.event)\",\"type\":\"\($0.type)\"") })
    }

    @Test func aMapperKeepsNothingOfTheRecordBefore() throws {
        let mapper = Mapper()
        let plan = try plan(
            data: "a: {from: \"/payload/a\", optional: true}, b: {from: \"/payload/b\", optional: true}")
        func data(_ payload: String) throws -> String? {
            let record =
                "{\"type\":\"A\",\"id\":\"1\",\"at\":\"2024-01-15T10:30:00Z\",\"accountId\":\"a\",\"payload\":\(payload)}"
            return try map(Array(record.utf8), plan, with: mapper).first?.data
        }
        #expect(try data("{\"a\":1,\"b\":2}") == "{\"a\":1,\"b\":2}")
        #expect(try data("{\"b\":3}") == "{\"b\":3}")
        #expect(throws: MappingFailure.self) { try data("{\"b\":") }
        #expect(mapper.events.isEmpty)
        #expect(try data("{\"a\":4}") == "{\"a\":4}")
    }

    @Test func thePluginMakesAnEventForEachResult() throws {
        let plan = try plan(events: "A: { plugin: \"graded-batch\" }")
        func run(_ results: String) throws -> [Mapped] {
            try map(
                """
                {"type":"A","id":"b1","at":"2024-01-15T10:30:00Z","accountId":"a","payload":{"module":{"id":"mod_1","title":"T"},
                "completedAt":"2024-01-15T11:30:00+01:00","results":\(results)}}
                """, plan)
        }
        let mapped = try run(
            "[{\"userId\":\"u1\",\"score\":92},{\"userId\":\"u2\",\"score\":41,\"reason\":\"below 70\"},{\"userId\":\"u3\",\"score\":80}]"
        )
        #expect(mapped.map(\.type) == ["module.completed", "module.failed", "module.completed"])
        #expect(
            mapped[1].data
                == "{\"userId\":\"u2\",\"moduleId\":\"mod_1\",\"moduleTitle\":\"T\",\"score\":41,\"reason\":\"below 70\",\"failedAt\":\"2024-01-15T10:30:00Z\"}"
        )
        #expect(mapped[1].event == eventID("t", "", "b1", "module.failed", "1"))
        #expect(mapped[2].event == eventID("t", "", "b1", "module.completed", "2"))
        let odd = failure { _ = try run("[{\"userId\":\"u1\",\"score\":92,\"reason\":5}]") }
        #expect(odd == "t.json5: A: /payload/results/0/reason: expected a string, came integer")
        #expect(plan.webhookTypes == ["module.completed", "module.failed"])
        let said = failure { _ = try run("[{\"userId\":\"u1\",\"score\":1},{\"userId\":\"u2\",\"score\":\"x\"}]") }
        #expect(said == "t.json5: A: /payload/results/1/score: expected an integer, came string")
    }
}
