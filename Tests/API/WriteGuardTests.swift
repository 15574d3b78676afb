// `Idempotency-Key`, `If-Match` and rotations over real sockets.
import API
import Core
import Crypto
import Foundation
import HTTPProbe
import Registry
import Runtime
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
        for wrong in ["2", "\"2", "", "2, *"] {
            let response = try call("PATCH", path, #"{"description":"d"}"#, ifMatch: wrong)
            #expect(response.status == 400 && response.code == "INVALID_HEADER", "\(wrong)")
        }
        #expect(try call("DELETE", path, ifMatch: "*").status == 204)
        #expect(try call("DELETE", path, ifMatch: "*").status == 404)
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

    @Test func nobodyElsesSecretIsRotated() throws {
        let id = try api.register()
        let response = try api.call("POST", "/v1/webhooks/\(id)/rotate-secret", key: api.others.key)
        #expect(response.status == 404)
        #expect(api.registry.view.read { $0.webhooks[WebhookID(id)!]?.secrets.count } == 1)
    }
}
