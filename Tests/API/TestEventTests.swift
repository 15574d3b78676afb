// `POST /v1/webhooks/:webhookId/test` over real sockets, with a broker and attempts that do what the test says.
import API
import Core
import Crypto
import HTTPProbe
import Runtime
import Testing

@Suite struct TestEventTests {
    let api: TestAPI
    init() throws { api = try TestAPI() }

    /// Asks and does not wait for the answer.
    private func ask(_ id: String, _ body: String, key: APIKeyText? = nil) throws -> RawConnection {
        let connection = try RawConnection(port: api.server.port, timeoutSeconds: 10)
        connection.send(
            "POST /v1/webhooks/\(id)/test HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \((key ?? api.mine.key).text)\r\n"
                + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        return connection
    }

    /// Asks for the attempt; returns once its time runs, with the moment it ends.
    private func waiting(_ id: String) throws -> (connection: RawConnection, sent: Delivery, deadline: UInt64) {
        let connection = try ask(id, #"{"wait":true}"#)
        try #require(eventually { api.tests.expire(now: 0) != nil })
        return (connection, try #require(api.sink.sent.last), try #require(api.tests.expire(now: 0)))
    }

    private func row(of sent: Delivery, delivered: Bool) -> AttemptRow {
        var row = sampleRow(1, delivered: delivered, type: sent.eventType)
        row.event = sent.event
        return row
    }

    @Test(arguments: [#"{"event":"webhook.test"}"#, "{}", nil, "", #"{"wait":false}"#])
    func sendsATestEvent(_ body: String?) throws {
        let id = try api.register()
        let before = Clock.wallMilliseconds()
        let response = try api.call("POST", "/v1/webhooks/\(id)/test", body)
        #expect(response.status == 202)
        let sent = try #require(api.sink.sent.first)
        #expect(api.sink.sent.count == 1)
        #expect(response.text == #"{"success":true,"data":{"eventId":"\#(sent.event)"}}"#)
        #expect(sent.webhook.description == id && sent.account == api.mine.id)
        #expect(sent.purpose == .test && sent.eventType == "webhook.test" && sent.attempt == 0)
        #expect(sent.generation == 1 && sent.origin.isEmpty && sent.dueAt == nil && sent.traceparent == nil)
        let digest = Digest.sha256(Array("\(sent.event)\0\(id)\0".utf8))
        #expect(sent.id == DeliveryID(bytes: digest))
        let text = String(decoding: sent.body, as: UTF8.self)
        let created = try #require(text.split(separator: "\"").first { $0.hasSuffix("Z") }.map(String.init))
        let at = try #require(Timestamp(rfc3339: created)).milliseconds
        #expect(at > before - 1000 && at <= Clock.wallMilliseconds())
        #expect(
            text == #"{"id":"\#(sent.event)","type":"webhook.test","created":"\#(created)","version":"1.0","#
                + #""data":{"webhookId":"\#(id)","message":"This is a test event. "#
                + #"Your endpoint works if it answers with a 2xx status."}}"#)
    }

    @Test func eachHasAnIdOfItsOwn() throws {
        let id = try api.register()
        for _ in 0..<3 { _ = try api.call("POST", "/v1/webhooks/\(id)/test", "{}") }
        #expect(Set(api.sink.sent.map(\.event)).count == 3)
    }

    @Test func worksOnAnInactiveWebhook() throws {
        let id = try api.register()
        _ = try api.call("PATCH", "/v1/webhooks/\(id)", #"{"isActive":false}"#)
        #expect(try api.call("POST", "/v1/webhooks/\(id)/test", "{}").status == 202)
        #expect(api.sink.sent.count == 1)
    }

    @Test(arguments: [
        (#"{"event":"module.completed"}"#, ["/event"]), (#"{"event":null}"#, ["/event"]),
        (#"{"event":""}"#, ["/event"]), (#"{"wait":"yes"}"#, ["/wait"]), (#"{"events":"webhook.test"}"#, ["/events"]),
        ("[]", [""]),
        (#"{"event":1,"wait":1}"#, ["/event", "/wait"]),
    ])
    func refusesAnotherEvent(_ body: String, _ pointers: [String]) throws {
        let response = try api.call("POST", "/v1/webhooks/\(api.register())/test", body)
        #expect(response.status == 422 && response.code == "VALIDATION_FAILED")
        #expect(response.pointers == pointers)
        #expect(api.sink.sent.isEmpty)
    }

    @Test func refusesWhatIsNoJSON() throws {
        let path = "/v1/webhooks/\(try api.register())/test"
        #expect(try api.call("POST", path, "{").status == 400)
        #expect(try api.call("POST", path, "a=b", headers: [("Content-Type", "text/plain")]).status == 415)
        #expect(try api.call("GET", path).status == 405)
        #expect(api.sink.sent.isEmpty)
    }

    @Test func saysSoWhenTheBrokerDoesNotTakeIt() throws {
        let id = try api.register()
        api.sink.will(.givesUp)
        for body in ["{}", #"{"wait":true}"#] {
            let response = try api.call("POST", "/v1/webhooks/\(id)/test", body)
            #expect(response.status == 503 && response.code == "UNCONFIRMED")
            #expect(response.header("Retry-After") == "1")
        }
    }

    @Test(arguments: [true, false])
    func answersWithTheAttempt(isDelivered: Bool) throws {
        let id = try api.register()
        let (connection, sent, _) = try waiting(id)
        api.tests.saw([sampleRow(2), row(of: sent, delivered: isDelivered), sampleRow(3)])
        let response = try connection.receive()
        let outcome =
            isDelivered
            ? #""status":"delivered","responseCode":200,"responseTime":350"#
            : #""status":"failed","responseCode":null,"responseTime":350,"error":"Connection timeout""#
        #expect(response.status == 200)
        #expect(
            response.text == #"{"success":true,"data":{"eventId":"\#(sent.event)","eventType":"webhook.test","#
                + #""attempt":1,"# + outcome + #","timestamp":"2024-01-15T10:30:16Z"}}"#)
        #expect(api.tests.expire(now: 0) == nil)
    }

    @Test func anAttemptMayBeSeenBeforeTheAcknowledgement() throws {
        let id = try api.register()
        api.sink.will(.saysNothing)
        let connection = try ask(id, #"{"wait":true}"#)
        try #require(eventually { api.sink.sent.count == 1 })
        api.tests.saw([row(of: api.sink.sent[0], delivered: true)])
        #expect(try connection.receive().status == 200)
    }

    @Test func waitsALittleLongerThanAnAttemptLasts() throws {
        let began = Clock.monotonic()
        let (connection, sent, deadline) = try waiting(api.register())
        #expect(deadline >= began + 7_000_000_000 && deadline <= Clock.monotonic() + 7_000_000_000)
        #expect(api.tests.expire(now: deadline - 1) == deadline)
        #expect(api.tests.expire(now: deadline) == nil)
        let response = try connection.receive()
        #expect(response.status == 202)
        #expect(response.json["data"]["eventId"].string == "\(sent.event)")
        // What comes now finds nobody.
        api.tests.saw([row(of: sent, delivered: true)])
    }

    @Test func nobodyWaitsOnceItIsReleased() throws {
        let id = try api.register()
        let (connection, _, _) = try waiting(id)
        api.tests.release()
        #expect(try connection.receive().status == 202)
        #expect(try api.call("POST", "/v1/webhooks/\(id)/test", #"{"wait":true}"#).status == 202)
    }

    @Test func anAccountHasEightAtATime() throws {
        let id = try api.register()
        let foreign = try api.register(key: api.others.key)
        api.sink.will(.saysNothing)
        let eight = try (0..<8).map { _ in try ask(id, "{}") }
        try #require(eventually { api.sink.sent.count == 8 })
        let response = try api.call("POST", "/v1/webhooks/\(id)/test", "{}")
        #expect(response.status == 429 && response.code == "TOO_MANY_TESTS")
        #expect(response.header("Retry-After") == "1")
        #expect(api.sink.sent.count == 8)
        api.sink.will(.acknowledges)
        #expect(try api.call("POST", "/v1/webhooks/\(foreign)/test", "{}", key: api.others.key).status == 202)
        withExtendedLifetime(eight) {}
    }
}
