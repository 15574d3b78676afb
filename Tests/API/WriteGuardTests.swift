// `Idempotency-Key`, `If-Match` and rotations over real sockets.
import API
import Core
import Crypto
import Foundation
import HTTPProbe
import Registry
import Runtime
import Synchronization
import Testing

@Suite struct IdempotencyTests {
    let api: TestAPI
    init() throws { api = try TestAPI() }

    private func call(
        _ method: String, _ path: String, _ body: String? = nil, key: String, as caller: APIKeyText? = nil
    ) throws -> ProbeResponse {
        try probe(
            port: api.server.port, method, path,
            headers: [
                ("Authorization", "Bearer \((caller ?? api.mine.key).text)"), ("Idempotency-Key", key),
                ("Content-Type", "application/json"),
            ], body: body)
    }

    @Test func aRepeatedRegistrationIsAnsweredLiterallyAgain() throws {
        let first = try call("POST", "/v1/webhooks", TestAPI.registration, key: "one")
        #expect(first.status == 201)
        let again = try call("POST", "/v1/webhooks", TestAPI.registration, key: "one")
        #expect(again.status == 201 && again.text == first.text)
        #expect(again.header("Location") == first.header("Location") && again.header("ETag") == first.header("ETag"))
        #expect(try api.call("GET", "/v1/webhooks").json["data"].count == 1)
        let id = try #require(first.json["data"]["id"].string)
        _ = try api.call("PATCH", "/v1/webhooks/\(id)", #"{"url":"https://b.example/","events":["*"]}"#)
        #expect(try call("POST", "/v1/webhooks", TestAPI.registration, key: "one").text == first.text)
        _ = try api.call("DELETE", "/v1/webhooks/\(id)")
        #expect(try call("POST", "/v1/webhooks", TestAPI.registration, key: "one").text == first.text)
        let commands = api.registry.commands.withLock { $0.filter { $0.fingerprint != nil } }
        #expect(Set(commands.map(\.id)).count == 1 && Set(commands.map(\.fingerprint)).count == 1)
    }

    @Test func aKeyBelongsToOneRequestOfOneAccount() throws {
        let first = try call("POST", "/v1/webhooks", TestAPI.registration, key: "one")
        let id = try #require(first.json["data"]["id"].string)
        let others: [(String, String, String?)] = [
            ("POST", "/v1/webhooks", TestAPI.registration + " "), ("PATCH", "/v1/webhooks/\(id)", "{}"),
            ("DELETE", "/v1/webhooks/\(id)", nil),
        ]
        for (method, path, body) in others {
            let response = try call(method, path, body, key: "one")
            #expect(response.status == 422 && response.code == "IDEMPOTENCY_KEY_REUSED", "\(method) \(path)")
        }
        #expect(try call("POST", "/v1/webhooks", TestAPI.registration, key: "one", as: api.others.key).status == 201)
        #expect(try call("POST", "/v1/webhooks", TestAPI.registration, key: "two").status == 201)
        #expect(try api.call("GET", "/v1/webhooks").json["data"].count == 2)
    }

    @Test func changesAndDeletionsAreRepeatedToo() throws {
        let id = try api.register()
        let patch = #"{"description":"changed"}"#
        let first = try call("PATCH", "/v1/webhooks/\(id)", patch, key: "patch")
        #expect(first.status == 200)
        _ = try api.call("PATCH", "/v1/webhooks/\(id)", #"{"description":"changed again"}"#)
        #expect(try call("PATCH", "/v1/webhooks/\(id)", patch, key: "patch").text == first.text)
        #expect(try api.call("GET", "/v1/webhooks/\(id)").json["data"]["description"].string == "changed again")
        #expect(try call("DELETE", "/v1/webhooks/\(id)", key: "delete").status == 204)
        #expect(try call("DELETE", "/v1/webhooks/\(id)", key: "delete").status == 204, "though it is gone")
        #expect(try call("DELETE", "/v1/webhooks/\(id)", key: "another").status == 404)
        #expect(try call("PATCH", "/v1/webhooks/\(id)", patch, key: "patch").text == first.text)
        #expect(try call("DELETE", "/v1/webhooks/\(id)", key: "delete", as: api.others.key).status == 404)
    }

    /// Nothing was carried out, and the state that is meant now is not part of what the key belongs to.
    @Test func aPreconditionThatFailedIsNotHeldAgainstTheKey() throws {
        let id = try api.register()
        func patch(_ tag: String) throws -> ProbeResponse {
            try api.call(
                "PATCH", "/v1/webhooks/\(id)", #"{"description":"changed"}"#,
                headers: [("Content-Type", "application/json"), ("Idempotency-Key", "one"), ("If-Match", tag)])
        }
        let first = try patch("\"7\"")
        #expect(first.status == 412 && first.code == "PRECONDITION_FAILED")
        let next = try patch("\"1\"")
        #expect(next.status == 200 && next.header("etag") == "\"2\"")
        #expect(try patch("\"1\"").text == next.text, "what was carried out is")
    }

    @Test func whatWasCarriedOutAndIsNotShownIsNotSaidNotToHaveHappened() throws {
        let id = try api.register()
        api.registry.forced.withLock { $0 = .unseen }
        let patched = try api.call("PATCH", "/v1/webhooks/\(id)", #"{"description":"changed"}"#)
        #expect(patched.status == 503 && patched.code == "CARRIED_OUT")
        #expect(patched.header("retry-after") == "1" && !patched.text.contains("not happened"))
        // A registry from before there were receipts repeats its answer without what it left.
        api.registry.forced.withLock { $0 = .applied(CommandEffect()) }
        #expect(try call("POST", "/v1/webhooks", TestAPI.registration, key: "two").code == "CARRIED_OUT")
    }

    /// The webhook was switched off and on again, and this process has not heard of it.
    @Test(arguments: [Refusal.olderGeneration, .tooLate]) func whatIsRightInAMomentIsToBeTriedAgain(why: Refusal) throws
    {
        let id = try api.register()
        api.registry.forced.withLock { $0 = .refused(why) }
        let since = Timestamp(milliseconds: Clock.wallMilliseconds() - 3_600_000).description
        let answer = try api.call("POST", "/v1/webhooks/\(id)/replay", #"{"since":"\#(since)"}"#)
        #expect(answer.status == 503 && answer.code == "UNCONFIRMED", "\(answer.text)")
    }

    /// Also those that no command of the API's can meet: `TestAPI.call` looks every code up in the table of routes.
    @Test(arguments: [
        Refusal.accountExists, .webhookExists, .replayEnded, .apiKeyNotFound, .secretChanged,
    ]) func refusalsThatNobodyShouldMeetHaveACodeOfTheTable(why: Refusal) throws {
        let id = try api.register()
        api.registry.forced.withLock { $0 = .refused(why) }
        let answer = try api.call("PATCH", "/v1/webhooks/\(id)", #"{"description":"changed"}"#)
        #expect(answer.status == 503 && answer.code == "UNAVAILABLE", "\(answer.text)")
    }

    @Test func aTestIsSentOnce() throws {
        let id = try api.register()
        let first = try call("POST", "/v1/webhooks/\(id)/test", key: "test")
        let again = try call("POST", "/v1/webhooks/\(id)/test", key: "test")
        #expect(first.status == 202 && again.status == 202 && first.text == again.text)
        #expect(api.sink.sent.count == 1)
        #expect(try call("POST", "/v1/webhooks/\(id)/test", "{}", key: "test").code == "IDEMPOTENCY_KEY_REUSED")
        #expect(try call("POST", "/v1/webhooks/\(id)/test", key: "test 2").text != first.text)
        #expect(api.sink.sent.count == 2)
    }

    /// Neither how old the first request is counts, nor that its attempt was not seen yet, nor which process is asked.
    @Test func aTestThatTheBrokerHasIsNotSentAgainHoweverLate() throws {
        let id = try api.register()
        let second = try TestAPI(beside: api)
        let path = "/v1/webhooks/\(id)/test"
        let first = try call("POST", path, key: "test")
        #expect(first.status == 202)
        api.registry.addedAge.store(60_000, ordering: .relaxed)
        #expect(try call("POST", path, key: "test").text == first.text)
        let again = try second.call("POST", path, "", headers: [("Idempotency-Key", "test")])
        #expect(again.status == 202 && again.text == first.text)
        #expect(api.sink.sent.count == 1 && second.sink.sent.isEmpty)
    }

    /// While the first may still be sending nobody else is; what it has to be told is not made up.
    @Test func aTestIsSentByAnotherProcessOnceTheFirstHasHadItsTime() throws {
        let id = try api.register()
        let second = try TestAPI(beside: api)
        let path = "/v1/webhooks/\(id)/test"
        api.sink.will(.saysNothing)
        let asker = try ask(path, "{}", key: "test")
        try #require(eventually { api.sink.sent.count == 1 })
        func again() throws -> ProbeResponse {
            try second.call("POST", path, "{}", headers: [("Idempotency-Key", "test")])
        }
        let early = try again()
        #expect(early.status == 503 && early.code == "UNCONFIRMED" && early.header("Retry-After") == "1")
        #expect(second.sink.sent.isEmpty)
        api.registry.addedAge.store(60_000, ordering: .relaxed)
        #expect(try again().status == 202)
        #expect(second.sink.sent.map(\.event) == api.sink.sent.map(\.event))
        #expect(try again().status == 202 && second.sink.sent.count == 1)
        withExtendedLifetime(asker) {}
    }

    @Test func aTestThatWasGivenUpIsSentByTheNextRequest() throws {
        let id = try api.register()
        let path = "/v1/webhooks/\(id)/test"
        api.sink.will(.givesUp)
        #expect(try call("POST", path, key: "test").code == "UNCONFIRMED")
        api.sink.will(.acknowledges)
        #expect(try call("POST", path, key: "test").status == 202)
        #expect(api.sink.sent.count == 2 && Set(api.sink.sent.map(\.event)).count == 1)
    }

    /// A test that cannot be remembered as sent is not told to be; this process knows all the same.
    @Test func nobodyIsToldOfATestThatIsNotRemembered() throws {
        let id = try api.register()
        let path = "/v1/webhooks/\(id)/test"
        let notes = Atomic(0)
        api.registry.isLost.withLock { isLost in
            isLost = { command in
                guard case .noteRequest = command.change else { return false }
                return notes.wrappingAdd(1, ordering: .relaxed).newValue == 2
            }
        }
        #expect(try call("POST", path, key: "test").code == "UNCONFIRMED")
        #expect(try call("POST", path, key: "test").status == 202)
        #expect(api.sink.sent.count == 1)
    }

    /// The endpoint hangs: whoever asks again with the same key waits with the first, and both are told of the one attempt.
    @Test func aRepeatedTestWaitsWithTheFirst() throws {
        let id = try api.register()
        let path = "/v1/webhooks/\(id)/test"
        let first = try ask(path, #"{"wait":true}"#, key: "test")
        try #require(eventually { api.tests.expire(now: 0) != nil })
        let deadline = api.tests.expire(now: 0)
        api.registry.addedAge.store(4_500, ordering: .relaxed)
        let again = try ask(path, #"{"wait":true}"#, key: "test")
        try #require(eventually { api.tests.askers == 2 })
        #expect(api.tests.expire(now: 0) == deadline, "nor does anybody wait longer for it")
        let sent = try #require(api.sink.sent.first)
        var row = sampleRow(1, type: sent.eventType)
        row.event = sent.event
        api.tests.saw([row])
        let answers = try [first.receive(), again.receive()]
        #expect(answers[0].status == 200 && answers[0].text == answers[1].text)
        #expect(api.sink.sent.count == 1)
        // Later, and with the attempt in the log of another process.
        let second = try TestAPI(beside: api)
        row.webhook = try #require(WebhookID(id))
        row.account = api.mine.id
        #expect(second.logs.write([row], next: 2))
        let late = try second.call("POST", path, #"{"wait":true}"#, headers: [("Idempotency-Key", "test")])
        #expect(late.status == 200 && second.sink.sent.isEmpty)
    }

    /// Asks and does not wait for the answer.
    private func ask(_ path: String, _ body: String, key: String) throws -> RawConnection {
        let connection = try RawConnection(port: api.server.port, timeoutSeconds: 10)
        connection.send(
            "POST \(path) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(api.mine.key.text)\r\n"
                + "Idempotency-Key: \(key)\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        return connection
    }

    @Test func aReplayIsStartedOnce() throws {
        let id = try api.register()
        let since = Timestamp(milliseconds: Clock.wallMilliseconds() - 3_600_000).description
        let body = #"{"since":"\#(since)"}"#
        let first = try call("POST", "/v1/webhooks/\(id)/replay", body, key: "replay")
        #expect(first.status == 202)
        #expect(try call("POST", "/v1/webhooks/\(id)/replay", body, key: "replay").text == first.text)
        #expect(try call("POST", "/v1/webhooks/\(id)/replay", body, key: "another").code == "REPLAY_RUNNING")
        #expect(api.registry.view.read { $0.webhooks[WebhookID(id)!]?.replays.count } == 1)
        let replay = try #require(first.json["data"]["id"].string)
        for _ in 0..<2 {
            #expect(try call("DELETE", "/v1/webhooks/\(id)/replays/\(replay)", key: "cancel").status == 204)
        }
    }

    @Test func aRotationIsOne() throws {
        let id = try api.register()
        let first = try call("POST", "/v1/webhooks/\(id)/rotate-secret", key: "rotate")
        let again = try call("POST", "/v1/webhooks/\(id)/rotate-secret", key: "rotate")
        #expect(first.status == 200 && again.text == first.text)
        #expect(api.registry.view.read { $0.webhooks[WebhookID(id)!]?.secrets.count } == 2)
    }

    @Test(arguments: ["", String(repeating: "k", count: 256), "k\u{e9}", "k\u{7f}"])
    func keysThatAreNoneAreRefused(_ key: String) throws {
        let response = try call("POST", "/v1/webhooks", TestAPI.registration, key: key)
        #expect(response.status == 400)
        #expect(try api.call("GET", "/v1/webhooks").json["data"].count == 0)
    }
}

@Suite struct ConditionTests {
    let api: TestAPI
    init() throws { api = try TestAPI() }

    private func call(_ method: String, _ path: String, _ body: String? = nil, ifMatch: String) throws -> ProbeResponse
    {
        try api.call(
            method, path, body ?? "{}", headers: [("Content-Type", "application/json"), ("If-Match", ifMatch)])
    }

    @Test func everyAnswerWithAWebhookNamesItsState() throws {
        let made = try api.call("POST", "/v1/webhooks", TestAPI.registration)
        let id = try #require(made.json["data"]["id"].string)
        let tag = try #require(made.header("ETag"))
        #expect(try api.call("GET", "/v1/webhooks/\(id)").header("ETag") == tag)
        #expect(try api.call("PATCH", "/v1/webhooks/\(id)", "{}").header("ETag") == tag)
        let changed = try api.call("PATCH", "/v1/webhooks/\(id)", #"{"description":"new"}"#)
        let next = try #require(changed.header("ETag"))
        #expect(next != tag)
        #expect(try api.call("GET", "/v1/webhooks/\(id)").header("ETag") == next)
    }

    @Test func aChangeIsForTheStateThatWasRead() throws {
        let id = try api.register()
        let path = "/v1/webhooks/\(id)"
        let tag = try #require(try api.call("GET", path).header("ETag"))
        let first = try call("PATCH", path, #"{"description":"mine"}"#, ifMatch: tag)
        #expect(first.status == 200)
        let late = try call("PATCH", path, #"{"description":"theirs"}"#, ifMatch: tag)
        #expect(late.status == 412 && late.code == "PRECONDITION_FAILED")
        #expect(try call("DELETE", path, ifMatch: tag).status == 412)
        #expect(try call("PATCH", path, ifMatch: tag).status == 412, "also of a change that changes nothing")
        #expect(try call("PATCH", path, #"{"description":"a"}"#, ifMatch: "W/\(first.header("ETag")!)").status == 412)
        #expect(try call("PATCH", path, #"{"description":"a"}"#, ifMatch: "\"another\"").status == 412)
        #expect(try api.call("GET", path).json["data"]["description"].string == "mine")
        let either = try call("PATCH", path, #"{"description":"b"}"#, ifMatch: "\"x\", \(first.header("ETag")!)")
        #expect(either.status == 200)
        #expect(try call("PATCH", path, #"{"description":"c"}"#, ifMatch: "*").status == 200)
        for none in ["\"a,b\"", "\"a,b\", W/\"c,\"", "\"\"", "\"x\",, \"y\",", "\"\u{e9}\""] {
            let response = try call("PATCH", path, #"{"description":"d"}"#, ifMatch: none)
            #expect(response.status == 412, "\(none)")
        }
        for wrong in ["2", "\"2", "", "2, *", ",", "\"a\" \"b\"", "\"a b\"", "w/\"a\"", "W/ \"a\""] {
            let response = try call("PATCH", path, #"{"description":"d"}"#, ifMatch: wrong)
            #expect(response.status == 400 && response.code == "INVALID_HEADER", "\(wrong)")
        }
        #expect(try call("DELETE", path, ifMatch: "*").status == 204)
        #expect(try call("DELETE", path, ifMatch: "*").status == 404)
    }
}

@Suite struct ConditionOfEachWriteTests {
    let api: TestAPI
    init() throws { api = try TestAPI() }

    /// Registration aside, there is a state that each write can be for.
    static let writes = Operations.all.filter { $0.method != .get && !$0.pathParameters.isEmpty }

    @Test(arguments: writes, [nil, "key"]) func isKept(_ operation: API.Operation, _ key: String?) throws {
        let id = try api.register()
        let since = Timestamp(milliseconds: Clock.wallMilliseconds() - 3_600_000)
        let replay = try api.call("POST", "/v1/webhooks/\(id)/replay", "{\"since\":\"\(since)\"}")
        if operation.name == .startReplay {
            let running = try #require(replay.json["data"]["id"].string)
            _ = try api.call("DELETE", "/v1/webhooks/\(id)/replays/\(running)")
        }
        let event = EventID(bytes: Random.bytes(12))
        api.source.will(
            find: .success(
                Delivery(
                    webhook: try #require(WebhookID(id)), account: api.mine.id, event: event,
                    eventType: "module.completed", id: DeliveryID(bytes: Random.bytes(12)), generation: 1,
                    purpose: .replay, origin: "", body: [])))
        let objects = [
            "webhookId": id, "replayId": replay.json["data"]["id"].string ?? "", "eventId": event.description,
        ]
        let path = operation.path.split(separator: "/").map { part in
            part.hasPrefix(":") ? "/\(objects[String(part.dropFirst())] ?? "")" : "/\(part)"
        }.joined()
        let body =
            operation.name == .startReplay
            ? "{\"since\":\"\(since)\"}" : operation.body.map { String(decoding: $0.example.bytes, as: UTF8.self) }
        func ask(_ ifMatch: String, _ number: Int) throws -> ProbeResponse {
            var headers = [("Content-Type", "application/json"), ("If-Match", ifMatch)]
            if let key { headers.append(("Idempotency-Key", "\(key) \(number)")) }
            return try api.call(operation.method.rawValue, path, body ?? "", headers: headers)
        }
        #expect(operation.parameters.contains { $0.name == "If-Match" })
        let (before, tag) = try state(id)
        let late = try ask("\"77\"", 1)
        #expect(late.status == 412 && late.code == "PRECONDITION_FAILED", "\(late.text)")
        let wrong = try ask("77", 2)
        #expect(wrong.status == 400 && wrong.code == "INVALID_HEADER", "\(wrong.text)")
        #expect(try state(id).webhook == before && api.sink.sent.isEmpty)
        let right = try ask(tag, 3)
        #expect(right.status < 300, "\(right.text)")
    }

    private func state(_ id: String) throws -> (webhook: Webhook?, tag: String) {
        let tag = try #require(try api.call("GET", "/v1/webhooks/\(id)").header("ETag"))
        let webhook = try #require(WebhookID(id))
        return (api.registry.view.read { $0.webhooks[webhook] }, tag)
    }
}

@Suite struct SecretRotationTests {
    let api: TestAPI
    init() throws { api = try TestAPI() }

    @Test func theNewSecretIsShownAndTheOldOneStays() throws {
        let id = try api.register()
        let before = Timestamp(milliseconds: Clock.wallMilliseconds())
        let response = try api.call("POST", "/v1/webhooks/\(id)/rotate-secret", #"{"overlapSeconds":600.0}"#)
        #expect(response.status == 200)
        let data = response.json["data"]
        #expect(data.keys == ["id", "signingSecret", "createdAt", "previousSecretExpiresAt"])
        let webhook = try #require(api.registry.view.read { $0.webhooks[WebhookID(id)!] })
        #expect(webhook.secrets.count == 2)
        let opened = try api.box.open(
            webhook.secrets[0].box, keyID: "k1", context: Array("\(api.mine.id)\0\(id)".utf8))
        #expect(data["signingSecret"].string == String(decoding: opened, as: UTF8.self))
        let end = try #require(webhook.secrets[1].expiresAt)
        #expect(data["previousSecretExpiresAt"].string == end.secondsText)
        #expect(end.milliseconds - before.milliseconds >= 600_000 && end.milliseconds - before.milliseconds < 660_000)
        #expect(response.header("ETag") == "\"2\"")
        #expect(try !api.call("GET", "/v1/webhooks/\(id)").text.contains("whsec_"))
    }

    @Test func withoutABodyADay() throws {
        let id = try api.register()
        _ = try api.call("POST", "/v1/webhooks/\(id)/rotate-secret")
        let secrets = try #require(api.registry.view.read { $0.webhooks[WebhookID(id)!]?.secrets })
        #expect(secrets[1].expiresAt == secrets[0].createdAt.adding(milliseconds: 86_400_000))
        let last = try api.call("POST", "/v1/webhooks/\(id)/rotate-secret", #"{"overlapSeconds":0}"#)
        #expect(api.registry.view.read { $0.webhooks[WebhookID(id)!]?.secrets.count } == 1)
        #expect(last.json["data"]["previousSecretExpiresAt"].string == last.json["data"]["createdAt"].string)
    }

    @Test(arguments: [
        #"{"overlapSeconds":-1}"#, #"{"overlapSeconds":604801}"#, #"{"overlapSeconds":1.5}"#,
        #"{"overlapSeconds":"60"}"#, #"{"overlapSeconds":null}"#,
    ])
    func overlapsThatAreNoneAreRefused(_ body: String) throws {
        let id = try api.register()
        let response = try api.call("POST", "/v1/webhooks/\(id)/rotate-secret", body)
        #expect(response.status == 422 && response.pointers == ["/overlapSeconds"])
        #expect(api.registry.view.read { $0.webhooks[WebhookID(id)!]?.secrets.count } == 1)
    }

    /// To JSON Schema it is one.
    @Test(arguments: ["316.0", "3.16e2"]) func aWholeNumberMayHaveAFraction(_ number: String) throws {
        let id = try api.register()
        let response = try api.call("POST", "/v1/webhooks/\(id)/rotate-secret", "{\"overlapSeconds\":\(number)}")
        #expect(response.status == 200)
        let secrets = try #require(api.registry.view.read { $0.webhooks[WebhookID(id)!]?.secrets })
        #expect(secrets[1].expiresAt == secrets[0].createdAt.adding(milliseconds: 316_000))
    }

    @Test func nobodyElsesSecretIsRotated() throws {
        let id = try api.register()
        let response = try api.call("POST", "/v1/webhooks/\(id)/rotate-secret", key: api.others.key)
        #expect(response.status == 404)
        #expect(api.registry.view.read { $0.webhooks[WebhookID(id)!]?.secrets.count } == 1)
    }
}
