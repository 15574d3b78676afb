import Core
import Mapping
import Testing

/// The same domain event in every envelope becomes the same body.
@Suite struct EnvelopeTests {
    private static let account = "acct_000000000000000000000001"
    private static let payload = "{\"user\":{\"id\":\"usr_1\"}}"
    private static let expected = "{\"userId\":\"usr_1\"}"
    private static let whole =
        "{\"type\":\"UserUpdated\",\"id\":\"e1\",\"at\":\"2024-01-15T10:30:00Z\",\"accountId\":\"\(account)\",\"payload\":\(payload)}"

    private func plan(_ envelope: String? = nil, audience: String = "{account: \"/accountId\"}", head: String = "")
        throws -> MappingPlan
    {
        let named = envelope.map { "envelope: \($0)," } ?? ""
        let text = """
            { topic: "t", \(named) \(head) audience: \(audience),
              events: { UserUpdated: { type: "user.updated", data: { userId: "/payload/user/id" } } } }
            """
        let compiled = MappingCompiler.compile(Array(text.utf8), file: "t.json5", topicPrefix: "webhooks.")
        #expect(compiled.faults == [])
        return try #require(compiled.plan)
    }

    private static let plainHead = "type: \"/type\", id: \"/id\", created: \"/at\","

    private func check(
        _ mapped: [Mapped], source: String = "", id: String = "e1", created: String = "2024-01-15T10:30:00Z"
    ) {
        #expect(mapped.count == 1)
        #expect(mapped.first?.data == Self.expected)
        #expect(mapped.first?.audience == .account(AccountID(Self.account)!))
        #expect(mapped.first?.event == eventID("t", source, id, "user.updated", "0"))
        #expect(mapped.first?.body.contains("\"created\":\"\(created)\"") == true)
    }

    // MARK: CloudEvents

    private func structured(
        type: String = "UserUpdated", account: String? = "\"accountid\":\"\(account)\",", data: String = payload,
        more: String = ""
    ) -> String {
        """
        {"specversion":"1.0","id":"e1","source":"/lms","type":"\(type)","time":"2024-01-15T11:30:00+01:00",\(account ?? "")\(more)
        "data":\(data)}
        """
    }

    @Test(arguments: ["UserUpdated", "io.learnault.UserUpdated", "user.updated", "io.learnault.user.updated"])
    func structuredCloudEvents(type: String) throws {
        check(try map(structured(type: type), plan(head: Self.plainHead)), source: "/lms")
        check(try map(structured(type: type), plan("\"cloudevents\"")), source: "/lms")
    }

    @Test func cloudEventsMayCarryTheWholeRecordOrTheAccountInside() throws {
        let plan = try plan("[\"plain\", \"cloudevents\"]", head: Self.plainHead)
        check(try map(structured(account: nil, data: Self.whole), plan), source: "/lms")
        check(
            try map(
                structured(account: nil, data: "{\"accountId\":\"\(Self.account)\",\"user\":{\"id\":\"usr_1\"}}"), plan),
            source: "/lms")
        #expect(
            failure { _ = try map(structured(account: nil), plan) }.contains(
                "no account at attribute accountid or /accountId"))
    }

    private static let binary = [
        ("ce_specversion", "1.0"), ("ce_id", "e1"), ("ce_source", "/lms"), ("ce_type", "UserUpdated"),
        ("ce_time", "2024-01-15T10:30:00Z"), ("ce_accountid", account),
        ("content-type", "application/json; charset=utf-8"),
    ]

    @Test func binaryCloudEvents() throws {
        let plan = try plan(head: Self.plainHead)
        check(try map(Self.payload, plan, headers: Self.binary), source: "/lms")
        check(try map(Self.whole, plan, headers: Self.binary), source: "/lms")
        let timeless = Self.binary.filter { $0.0 != "ce_time" }
        check(
            try map(Self.payload, plan, headers: timeless, timestamp: 1_705_310_100_000), source: "/lms",
            created: "2024-01-15T09:15:00Z")
    }

    @Test(arguments: ["specversion", "id", "source", "type", "time"])
    func aCloudEventWithoutWhatItNeedsIsRefusedByName(attribute: String) throws {
        let plan = try plan("\"cloudevents\"")
        let headers = Self.binary.filter { $0.0 != "ce_\(attribute)" }
        let said = failure { _ = try map(Self.payload, plan, headers: headers) }
        #expect(said.contains(attribute == "time" ? "the time of the event is missing" : attribute), "\(said)")
    }

    @Test func whatIsNoJSONCloudEventIsRefused() throws {
        let plan = try plan("\"cloudevents\"")
        let avro = Self.binary.map { $0.0 == "content-type" ? ($0.0, "application/avro") : $0 }
        #expect(failure { _ = try map(Self.payload, plan, headers: avro) }.contains("expected JSON"))
        let old = Self.binary.map { $0.0 == "ce_specversion" ? ($0.0, "0.3") : $0 }
        #expect(failure { _ = try map(Self.payload, plan, headers: old) }.contains("expected 1.0"))
        #expect(failure { _ = try map(structured(more: "\"data_base64\":\"\","), plan) }.contains("data_base64"))
        #expect(failure { _ = try map(Self.whole, plan) }.contains("expected a CloudEvent"))
        let vendor = Self.binary.map { $0.0 == "content-type" ? ($0.0, "application/vnd.learnault+json") : $0 }
        check(try map(Self.payload, plan, headers: vendor), source: "/lms")
    }

    @Test func theTraceContextIsFoundWhereverItTravels() throws {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        let plan = try plan(head: Self.plainHead)
        func traceparent(_ value: String, _ headers: [(String, String)]) throws -> String? {
            let mapper = Mapper()
            let record = OwnedRecord(
                topic: "t", value: Array(value.utf8), headers: headers.map { (Array($0.0.utf8), Array($0.1.utf8)) })
            return record.borrowed { record in
                guard (try? mapper.map(record, by: plan)) != nil else { return nil }
                return mapper.traceparent.map { String(decoding: $0, as: UTF8.self) }
            }
        }
        #expect(try traceparent(Self.whole, [("traceparent", trace)]) == trace)
        #expect(try traceparent(Self.whole, []) == nil)
        #expect(try traceparent(Self.payload, Self.binary + [("ce_traceparent", trace)]) == trace)
        #expect(try traceparent(structured(more: "\"traceparent\":\"\(trace)\","), []) == trace)
    }

    @Test func theAccountIsNeverACoreAttribute() throws {
        // `/payload/account/id` ends like the attribute id, which every CloudEvent has.
        let plan = try plan("\"cloudevents\"", audience: "{account: \"/account/id\"}")
        #expect(failure { _ = try map(structured(account: nil), plan) }.contains("no account at /account/id"))
        check(
            try map(
                structured(
                    account: nil, data: "{\"account\":{\"id\":\"\(Self.account)\"},\"user\":{\"id\":\"usr_1\"}}"), plan),
            source: "/lms")
    }

    @Test func anAccountOfAnotherKindIsNamed() throws {
        let plan = try plan(head: Self.plainHead)
        let record = Self.whole.replacing("\"\(Self.account)\"", with: "42")
        #expect(
            failure { _ = try map(record, plan) }.contains("the account at /accountId: expected a string, came integer")
        )
    }

    @Test func ignoredTypesMayHaveAPrefixToo() throws {
        let plan = try plan(head: Self.plainHead + "ignore: [\"Session*\"],")
        #expect(try map(structured(type: "io.learnault.SessionStarted"), plan) == [])
    }

    @Test func aPayloadMayHaveAMemberPayload() throws {
        let plan = try plan(head: Self.plainHead)
        check(try map(structured(data: "{\"user\":{\"id\":\"usr_1\"},\"payload\":\"b\"}"), plan), source: "/lms")
    }

    // MARK: Confluent's frame

    @Test func framedJSON() throws {
        let frame: [UInt8] = [0, 0, 0, 1, 7]
        check(try map(frame + Array(Self.whole.utf8), plan(head: Self.plainHead)))
        check(try map(frame + Array(Self.whole.utf8), plan("\"confluent-json\"", head: Self.plainHead)))
        check(try map(frame + Array(structured().utf8), plan(head: Self.plainHead)), source: "/lms")
        #expect(failure { _ = try map(frame, plan(head: Self.plainHead)) }.contains("nothing inside"))
        #expect(
            failure { _ = try map(frame + [2, 6, 97], plan(head: Self.plainHead)) }.contains(
                "behind the Confluent frame"))
        let strict = try plan("\"plain\"", head: Self.plainHead)
        #expect(failure { _ = try map(frame + Array(Self.whole.utf8), strict) }.contains("has no confluent-json"))
    }

    // MARK: Debezium's outbox

    private static let routed = [("id", "e1"), ("eventType", "UserUpdated"), ("accountId", account)]

    @Test func routedOutboxEvents() throws {
        let plan = try plan("\"debezium-outbox\"")
        let at: Int64 = 1_705_314_600_000
        check(try map(Self.payload, plan, headers: Self.routed, timestamp: at))
        // As StringConverter, JsonConverter and JsonConverter with schemas leave it.
        let text = "\"\(Self.payload.replacing("\"", with: "\\\""))\""
        check(try map(text, plan, headers: Self.routed, timestamp: at))
        check(
            try map("{\"schema\":{\"type\":\"string\"},\"payload\":\(text)}", plan, headers: Self.routed, timestamp: at)
        )
        #expect(
            failure { _ = try map("\"{\"", plan, headers: Self.routed) }.contains("the text in the payload: not JSON"))
        #expect(failure { _ = try map(Self.payload, plan) }.contains("the event type at header:eventType is missing"))
    }

    @Test func changeEventsOfTheOutboxTable() throws {
        let plan = try plan("\"debezium-outbox\"")
        func change(_ operation: String) -> String {
            """
            {"before":null,"after":{"id":"e1","aggregatetype":"user","aggregateid":"usr_1","type":"UserUpdated","accountId":"\(Self.account)",
            "payload":"\(Self.payload.replacing("\"", with: "\\\""))"},"op":"\(operation)","ts_ms":1}
            """
        }
        check(try map(change("c"), plan, timestamp: 1_705_314_600_000))
        check(try map("{\"schema\":{},\"payload\":\(change("r"))}", plan, timestamp: 1_705_314_600_000))
        // An outbox row is deleted once it was written: nothing new.
        #expect(try map(change("d"), plan) == [])
        #expect(try map("{\"op\":\"t\",\"source\":{\"table\":\"outbox\"}}", plan) == [])
        let framed = try self.plan("[\"confluent-json\", \"debezium-outbox\"]")
        check(try map([0, 0, 0, 0, 1] + Array(change("c").utf8), framed, timestamp: 1_705_314_600_000))
        #expect(try map(change("u"), plan) == [])
    }
}
