// The replay paths over real sockets, with a Kafka that finds what the test says.
import API
import Core
import Crypto
import HTTPProbe
import Registry
import Runtime
import Synchronization
import Testing

@Suite struct ReplayTests {
    let api: TestAPI
    init() throws { api = try TestAPI() }

    private static let part = ReplayPart(topic: "learnault.modules", partition: 2, first: 100, next: 100, end: 160)

    private func ago(_ seconds: Int64) -> Timestamp {
        Timestamp(milliseconds: Clock.wallMilliseconds() - seconds * 1000)
    }

    private func replay(_ id: String, _ body: String) throws -> ProbeResponse {
        try api.call("POST", "/v1/webhooks/\(id)/replay", body)
    }

    private func start(_ id: String) throws -> ProbeResponse { try replay(id, "{\"since\":\"\(ago(3600))\"}") }

    /// Asks for a preview and does not wait for the answer.
    private func preview(_ id: String) throws -> RawConnection {
        let connection = try RawConnection(port: api.server.port, timeoutSeconds: 10)
        let body = "{\"since\":\"\(ago(3600))\",\"dryRun\":true}"
        connection.send(
            "POST /v1/webhooks/\(id)/replay HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(api.mine.key.text)\r\n"
                + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        return connection
    }

    private func webhook(_ id: String) throws -> Webhook {
        let webhook = try #require(WebhookID(id))
        return try #require(api.registry.view.read { $0.webhooks[webhook] })
    }

    private func apply(_ change: Command.Change) -> Answer {
        api.registry.apply(
            Command(
                id: CommandID(bytes: Random.bytes(12)), account: api.mine.id, at: ago(0), notAfter: nil, change: change)
        )
    }

    @Test func isStartedAndToldWithItsCounts() throws {
        let id = try api.register()
        let since = ago(3600)
        let from = ago(1800)
        api.source.will(plan: .success(ReplayPlan(parts: [Self.part], from: from)))
        let before = Clock.wallMilliseconds()
        let response = try replay(id, "{\"since\":\"\(since)\"}")
        #expect(response.status == 202)
        let data = response.json["data"]
        let replay = try #require(data["id"].string)
        #expect(replay.hasPrefix("rpl_") && replay.count == 28)
        #expect(response.header("location") == "/v1/webhooks/\(id)/replays/\(replay)")
        #expect(data["status"].string == "running" && data["dryRun"].bool == false)
        #expect(data["since"].string == since.description && data["from"].string == from.description)
        #expect(data["counts"]["records"].int == 60 && data["counts"]["read"].int == 0)
        #expect(data["counts"]["events"].int == 0 && data["counts"]["unmappable"].int == 0)
        let range = try #require(api.source.ranges.first)
        #expect(range.since == since && range.until.milliseconds >= before)
        #expect(range.until.milliseconds <= Clock.wallMilliseconds())

        var part = Self.part
        (part.next, part.events, part.unmappable) = (160, 7, 1)
        let report = ReplayReport(replay: try #require(ReplayID(replay)), generation: 1, parts: [part])
        #expect(apply(.finishReplay(try webhook(id).id, report, failure: nil)) == .applied)
        let shown = try api.call("GET", "/v1/webhooks/\(id)/replays/\(replay)")
        #expect(shown.status == 200 && shown.json["data"]["status"].string == "finished")
        #expect(shown.json["data"]["counts"]["read"].int == 60 && shown.json["data"]["counts"]["events"].int == 7)
        #expect(shown.json["data"]["counts"]["unmappable"].int == 1)
        #expect(shown.json["data"]["endedAt"].string != nil)
    }

    @Test(arguments: [
        ("{}", ["/since"]), (#"{"since":1}"#, ["/since"]), (#"{"since":"yesterday"}"#, ["/since"]),
        (#"{"since":"2199-01-01T00:00:00Z"}"#, ["/since"]), (#"{"since":"2001-01-01T00:00:00Z"}"#, ["/since"]),
        (#"{"until":"2199-01-01T00:00:00Z","dryRun":"yes","from":1}"#, ["/dryRun", "/from", "/since", "/until"]),
        (#"{"since":"SINCE","until":"SINCE"}"#, ["/until"]), (#"{"since":"SINCE","until":5}"#, ["/until"]),
        ("[]", [""]),
    ])
    func refusesWhatIsWrongAllAtOnce(_ body: String, _ pointers: [String]) throws {
        let text = body.split(separator: "SINCE", omittingEmptySubsequences: false).joined(separator: "\(ago(60))")
        let response = try replay(api.register(), text)
        #expect(response.status == 422 && response.code == "VALIDATION_FAILED")
        #expect(response.pointers == pointers)
        #expect(api.source.ranges.isEmpty)
    }

    @Test func anInactiveWebhookGetsNothing() throws {
        let id = try api.register()
        _ = try api.call("PATCH", "/v1/webhooks/\(id)", #"{"isActive":false}"#)
        let response = try start(id)
        #expect(response.status == 409 && response.code == "WEBHOOK_INACTIVE")
        let retry = try api.call("POST", "/v1/webhooks/\(id)/deliveries/evt_\(String(repeating: "0", count: 24))/retry")
        #expect(retry.status == 409 && retry.code == "WEBHOOK_INACTIVE")
    }

    @Test func aSecondOneIsRefusedUntilTheFirstHasEnded() throws {
        let id = try api.register()
        let first = try #require(try start(id).json["data"]["id"].string)
        let second = try start(id)
        #expect(second.status == 409 && second.code == "REPLAY_RUNNING")
        #expect(second.json["error"]["details"]["replayId"].string == first)
        #expect(try api.call("DELETE", "/v1/webhooks/\(id)/replays/\(first)").status == 204)
        #expect(try api.call("DELETE", "/v1/webhooks/\(id)/replays/\(first)").status == 204)
        let shown = try api.call("GET", "/v1/webhooks/\(id)/replays/\(first)").json["data"]
        #expect(shown["status"].string == "cancelled" && shown["reason"].string == "cancelled on request")
        #expect(try start(id).status == 202)
    }

    @Test func switchingTheWebhookOffEndsIt() throws {
        let id = try api.register()
        let replay = try #require(try start(id).json["data"]["id"].string)
        _ = try api.call("PATCH", "/v1/webhooks/\(id)", #"{"isActive":false}"#)
        let shown = try api.call("GET", "/v1/webhooks/\(id)/replays/\(replay)").json["data"]
        #expect(shown["status"].string == "cancelled")
    }

    @Test func whatBelongsToOthersOrIsUnknownIsNotThere() throws {
        let id = try api.register()
        let replay = try #require(try start(id).json["data"]["id"].string)
        let event = "evt_\(String(repeating: "0", count: 24))"
        for (method, path, body) in [
            ("POST", "replay", "{\"since\":\"\(ago(60))\"}"), ("GET", "replays/\(replay)", nil),
            ("DELETE", "replays/\(replay)", nil), ("POST", "deliveries/\(event)/retry", nil),
        ] as [(String, String, String?)] {
            let response = try api.call(method, "/v1/webhooks/\(id)/\(path)", body, key: api.others.key)
            #expect(response.status == 404 && response.code == "WEBHOOK_NOT_FOUND", "\(method) \(path)")
        }
        for name in ["rpl_\(String(repeating: "0", count: 24))", "x"] {
            #expect(try api.call("GET", "/v1/webhooks/\(id)/replays/\(name)").code == "REPLAY_NOT_FOUND")
            #expect(try api.call("DELETE", "/v1/webhooks/\(id)/replays/\(name)").code == "REPLAY_NOT_FOUND")
        }
        #expect(try api.call("POST", "/v1/webhooks/\(id)/deliveries/x/retry").code == "EVENT_NOT_FOUND")
    }

    @Test(arguments: [ReplayFault.late, .busy])
    func brokersThatDoNotAnswerAre503(_ fault: ReplayFault) throws {
        api.source.will(plan: .failure(fault))
        let response = try start(try api.register())
        #expect(response.status == 503 && response.header("retry-after") == "1")
    }

    @Test func aPreviewIsAnsweredWithItsCountsOnceTheyAreThere() throws {
        let id = try api.register()
        api.source.will(plan: .success(ReplayPlan(parts: [Self.part], from: ago(60))))
        let asked = try preview(id)
        try #require(eventually { (try? webhook(id))?.runningReplay != nil })
        let replay = try #require(try webhook(id).runningReplay)
        #expect(replay.isDryRun)
        // Looked at while it runs: nobody is answered yet.
        try #require(eventually { check(after: 0) != nil })
        var part = Self.part
        (part.next, part.events) = (160, 7)
        let report = ReplayReport(replay: replay.id, generation: 1, parts: [part])
        #expect(apply(.finishReplay(try webhook(id).id, report, failure: nil)) == .applied)
        #expect(check(after: 0) == nil)
        let response = try asked.receive()
        #expect(response.status == 202 && response.json["data"]["status"].string == "finished")
        #expect(response.json["data"]["counts"]["events"].int == 7)
    }

    @Test func aLongPreviewIsAnsweredAsRunning() throws {
        let id = try api.register()
        let asked = try preview(id)
        try #require(eventually { check(after: 0) != nil })
        #expect(check(after: 10_000_000_000) == nil)
        #expect(try asked.receive().json["data"]["status"].string == "running")
    }

    private func check(after nanoseconds: UInt64) -> UInt64? {
        api.waits.check(now: Clock.monotonic() + nanoseconds) { id in api.registry.view.read { $0.webhooks[id] } }
    }

    // MARK: One delivery again

    private func logged(_ id: String, type: String = "module.completed", at: Timestamp? = nil) throws -> EventID {
        var row = sampleRow(1, delivered: true, type: type, at: at)
        row.webhook = try #require(WebhookID(id))
        row.account = api.mine.id
        row.event = EventID(bytes: Random.bytes(12))
        row.origin = type == "webhook.test" ? "" : "learnault.modules/3/1042"
        #expect(api.logs.append([row], offsets: []))
        let (webhook, event) = (row.webhook, row.event)
        let isThere = Guarded(false)
        try #require(
            eventually {
                api.logs.newest(of: event, webhook: webhook, account: api.mine.id) { found in
                    if case .success(.some) = found { isThere.withLock { $0 = true } }
                }
                return isThere.withLock { $0 }
            })
        return row.event
    }

    private func found(_ event: EventID, _ id: String) throws -> Delivery {
        Delivery(
            webhook: try #require(WebhookID(id)), account: api.mine.id, event: event, eventType: "module.completed",
            id: DeliveryID(bytes: Random.bytes(12)), generation: 1, purpose: .replay,
            origin: "learnault.modules/3/1042", body: Array("{}".utf8))
    }

    @Test func aLoggedEventIsSentFromItsSource() throws {
        let id = try api.register()
        let event = try logged(id)
        api.source.will(find: .success(try found(event, id)))
        let response = try api.call("POST", "/v1/webhooks/\(id)/deliveries/\(event)/retry")
        #expect(response.status == 202)
        let delivery = try #require(api.sink.sent.first)
        #expect(
            response.text == #"{"success":true,"data":{"eventId":"\#(event)","deliveryId":"\#(delivery.id)"}}"#)
        let asked = try #require(api.source.asked.first)
        #expect(asked.event == event && asked.origin == RecordOrigin("learnault.modules/3/1042"))
        #expect(api.sink.sent.count == 1)
    }

    @Test func withAKeyItIsSentOnce() throws {
        let id = try api.register()
        let event = EventID(bytes: Random.bytes(12))
        let path = "/v1/webhooks/\(id)/deliveries/\(event)/retry"
        let first = try api.call("POST", path, "{}", headers: [("Idempotency-Key", "one")])
        #expect(first.status == 404)
        #expect(
            try api.call("POST", path, "{}", headers: [("Idempotency-Key", "one")]).status == 404, "still not found")
        api.source.will(find: .success(try found(event, id)))
        let sent = try api.call("POST", path, "{}", headers: [("Idempotency-Key", "two")])
        #expect(sent.status == 202 && api.sink.sent.count == 1)
        #expect(try api.call("POST", path, "{}", headers: [("Idempotency-Key", "two")]).text == sent.text)
        #expect(api.sink.sent.count == 1)
        #expect(try api.call("POST", path, "{ }", headers: [("Idempotency-Key", "two")]).status == 422)
        #expect(try api.call("POST", path, "{}", headers: [("Idempotency-Key", "three")]).status == 202)
        #expect(api.sink.sent.count == 2)
    }

    /// Neither how old the first request is counts, nor that an attempt of it was not seen yet, nor which process is asked.
    @Test func whatTheBrokerHasIsNotSentAgainHoweverLate() throws {
        let id = try api.register()
        let second = try TestAPI(beside: api)
        let event = EventID(bytes: Random.bytes(12))
        let path = "/v1/webhooks/\(id)/deliveries/\(event)/retry"
        api.source.will(find: .success(try found(event, id)))
        second.source.will(find: .failure(.expired))
        let first = try api.call("POST", path, "{}", headers: [("Idempotency-Key", "one")])
        #expect(first.status == 202 && api.sink.sent.count == 1)
        api.registry.addedAge.store(60_000, ordering: .relaxed)
        for process in [api, second] {
            let again = try process.call("POST", path, "{}", headers: [("Idempotency-Key", "one")])
            #expect(again.status == 202 && again.text == first.text)
        }
        #expect(api.sink.sent.count == 1 && second.sink.sent.isEmpty)
    }

    /// The event's own scheduled attempt, which is newer than the request, is not the retry.
    @Test func whatTheBrokerDoesNotHaveIsSentByTheNextRequest() throws {
        let id = try api.register()
        api.sink.will(.givesUp)
        let event = try logged(id, at: ago(-60))
        let path = "/v1/webhooks/\(id)/deliveries/\(event)/retry"
        api.source.will(find: .success(try found(event, id)))
        let first = try api.call("POST", path, "{}", headers: [("Idempotency-Key", "one")])
        #expect(first.status == 503 && first.code == "UNCONFIRMED")
        // Another process cannot know yet that the first has given up.
        let second = try TestAPI(beside: api)
        second.source.will(find: .success(try found(event, id)))
        let other = try second.call("POST", path, "{}", headers: [("Idempotency-Key", "one")])
        #expect(other.status == 503 && other.code == "UNCONFIRMED" && second.sink.sent.isEmpty)
        api.sink.will(.acknowledges)
        let again = try api.call("POST", path, "{}", headers: [("Idempotency-Key", "one")])
        #expect(again.status == 202)
        #expect(api.sink.sent.count == 2 && Set(api.sink.sent.map(\.id)).count == 1)
        #expect(try second.call("POST", path, "{}", headers: [("Idempotency-Key", "one")]).text == again.text)
        #expect(second.sink.sent.isEmpty)
    }

    @Test func whatTheLogDoesNotKnowIsLookedForWithoutItsSource() throws {
        let id = try api.register()
        let event = EventID(bytes: Random.bytes(12))
        let response = try api.call("POST", "/v1/webhooks/\(id)/deliveries/\(event)/retry")
        #expect(response.status == 404 && response.code == "EVENT_NOT_FOUND")
        #expect(api.source.asked.count == 1 && api.source.asked[0].origin == nil)
        #expect(api.sink.sent.isEmpty)
    }

    @Test func whatIsNotKeptIsGone() throws {
        let id = try api.register()
        api.source.will(find: .failure(.expired))
        let response = try api.call("POST", "/v1/webhooks/\(id)/deliveries/\(try logged(id))/retry")
        #expect(response.status == 410 && response.code == "EVENT_EXPIRED")
    }

    @Test func aTestEventIsNotSentAgain() throws {
        let id = try api.register()
        let event = try logged(id, type: "webhook.test")
        let response = try api.call("POST", "/v1/webhooks/\(id)/deliveries/\(event)/retry")
        #expect(response.status == 404 && response.code == "EVENT_NOT_FOUND")
        #expect(api.source.asked.isEmpty)
    }

    @Test func aBrokerThatDoesNotTakeItIs503() throws {
        let id = try api.register()
        let event = EventID(bytes: Random.bytes(12))
        api.source.will(find: .success(try found(event, id)))
        api.sink.will(.givesUp)
        let response = try api.call("POST", "/v1/webhooks/\(id)/deliveries/\(event)/retry")
        #expect(response.status == 503 && response.code == "UNCONFIRMED")
    }
}
