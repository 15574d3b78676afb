// The API over real sockets: every documented path answers as documented, and nobody reaches what is not his.
import API
import Core
import Crypto
import Foundation
import HTTPProbe
import Registry
import Runtime
import Synchronization
import Testing

@Suite struct WebhookAPITests {
    let api: TestAPI
    init() throws { api = try TestAPI() }

    @Test func registersAsDocumented() throws {
        let response = try api.call("POST", "/v1/webhooks", TestAPI.registration)
        #expect(response.status == 201)
        #expect(response.json.keys == ["success", "data"])
        #expect(response.json["success"].bool == true)
        let data = response.json["data"]
        #expect(data.keys == ["id", "url", "signingSecret", "events", "createdAt"])
        #expect(data["url"].string == "https://yourapp.com/webhooks/learnault")
        #expect(data["events"].strings == ["module.completed", "reward.issued", "credential.issued"])
        let createdAt = try #require(data["createdAt"].string)
        #expect(createdAt.count == "2024-01-15T10:00:00Z".count && Timestamp(rfc3339: createdAt) != nil)
        let secret = try #require(data["signingSecret"].string)
        #expect(secret.hasPrefix("whsec_"))
        #expect(Data(base64Encoded: String(secret.dropFirst(6)))?.count == 32)

        let id = try #require(data["id"].string.flatMap { WebhookID($0) })
        #expect(response.header("Location") == "/v1/webhooks/\(id)")
        let stored = try #require(api.registry.view.read { $0.webhooks[id] })
        #expect(stored.isActive && stored.generation == 1 && stored.description == "Production webhook")
        let opened = try api.box.open(
            stored.secrets[0].box, keyID: "k1", context: Array("\(api.mine.id)\0\(id)".utf8))
        #expect(String(decoding: opened, as: UTF8.self) == secret)
    }

    @Test func tellsWherePostsComeFrom() throws {
        #expect(
            try api.call("GET", "/v1/ip-ranges").text
                == #"{"success":true,"data":{"production":["52.85.83.0/27","54.85.83.0/27"],"testnet":["52.85.84.0/27","54.85.84.0/27"]}}"#
        )
        #expect(try api.call("POST", "/v1/ip-ranges").status == 405)
    }

    @Test func commandsCarryTheirDeadline() throws {
        _ = try api.register()
        let command = try #require(api.registry.commands.withLock { $0.last })
        #expect(command.account == api.mine.id)
        #expect(command.notAfter == command.at.adding(milliseconds: 2500))
    }

    @Test func fillsInWhatIsLeftOut() throws {
        let response = try api.call("POST", "/v1/webhooks", #"{"url":"https://a.example/","events":["*","module.*"]}"#)
        #expect(response.status == 201)
        let id = try #require(response.json["data"]["id"].string)
        let webhook = try api.call("GET", "/v1/webhooks/\(id)").json["data"]
        #expect(webhook["isActive"].bool == true)
        #expect(webhook["version"].string == "1.0")
        #expect(webhook["description"].isNull)
    }

    @Test func listsAndGetsWithoutSecrets() throws {
        #expect(try api.call("GET", "/v1/webhooks").text == #"{"success":true,"data":[]}"#)
        let first = try api.register()
        let second = try api.register()
        let list = try api.call("GET", "/v1/webhooks")
        #expect(list.status == 200)
        #expect(list.json["data"].count == 2)
        #expect(Set(list.json["data"].elements.map { $0["id"].string }) == [first, second])
        #expect(!list.text.contains("whsec_") && !list.text.lowercased().contains("secret"))
        let one = try api.call("GET", "/v1/webhooks/\(first)")
        #expect(
            one.json["data"].keys == [
                "id", "url", "description", "events", "isActive", "version", "createdAt", "updatedAt", "health",
            ])
        let head = try api.call("HEAD", "/v1/webhooks/\(first)")
        #expect(head.status == 200 && head.header("Content-Length") == "\(one.body.count)")
    }

    @Test func updatesAsDocumented() throws {
        let id = try api.register()
        let body = #"{"events": ["module.completed", "reward.issued"], "isActive": true}"#
        let response = try api.call("PATCH", "/v1/webhooks/\(id)", body)
        #expect(response.status == 200)
        #expect(response.json["success"].bool == true)
        #expect(response.json["data"]["events"].strings == ["module.completed", "reward.issued"])

        let off = try api.call(
            "PATCH", "/v1/webhooks/\(id)", #"{"isActive":false,"description":null,"url":"https://b.example/x"}"#)
        #expect(off.json["data"]["isActive"].bool == false)
        #expect(off.json["data"]["description"].isNull)
        #expect(off.json["data"]["url"].string == "https://b.example/x")
        #expect(off.json["data"]["events"].strings == ["module.completed", "reward.issued"])
        let before = api.registry.commands.withLock { $0.count }
        #expect(try api.call("PATCH", "/v1/webhooks/\(id)", "{}").json == off.json)
        #expect(api.registry.commands.withLock { $0.count } == before)
    }

    @Test func showsWhyItWasDisabled() throws {
        let id = try api.register()
        let order = DisableOrder(
            generation: 1, reason: "8 retries failed", failedAttempts: 9, lastError: "HTTP 500",
            failingSince: sampleTime)
        api.registry.apply(
            Command(
                id: sampleID(1), account: api.mine.id, at: sampleTime, notAfter: nil,
                change: .disableWebhook(WebhookID(id)!, order)))
        let webhook = try api.call("GET", "/v1/webhooks/\(id)").json["data"]
        #expect(webhook["isActive"].bool == false)
        #expect(webhook["disabledReason"].string == "8 retries failed")
        #expect(webhook["disabledAt"].string == "2024-01-15T10:30:15Z")
        let enabled = try api.call("PATCH", "/v1/webhooks/\(id)", #"{"isActive":true}"#).json["data"]
        #expect(enabled["isActive"].bool == true && !enabled.keys.contains("disabledReason"))
    }

    @Test func deletes() throws {
        let id = try api.register()
        let response = try api.call("DELETE", "/v1/webhooks/\(id)")
        #expect(response.status == 204 && response.body.isEmpty)
        for method in ["GET", "DELETE"] {
            let gone = try api.call(method, "/v1/webhooks/\(id)")
            #expect(gone.status == 404 && gone.code == "WEBHOOK_NOT_FOUND")
        }
    }

    @Test func refusesTheEleventhWebhook() throws {
        for _ in 0..<10 { _ = try api.register() }
        let response = try api.call("POST", "/v1/webhooks", TestAPI.registration)
        #expect(response.status == 409)
        #expect(response.json.keys == ["success", "status", "error"])
        #expect(response.json["success"].bool == false)
        #expect(response.json["status"].string == "error")
        #expect(response.code == "WEBHOOK_LIMIT_REACHED")
        #expect(response.json["error"]["details"]["limit"].int == 10)
        #expect(try api.call("GET", "/v1/webhooks").json["data"].count == 10)
        #expect(try api.call("POST", "/v1/webhooks", TestAPI.registration, key: api.others.key).status == 201)
    }

    @Test func saysSoWhenAWriteIsNotConfirmed() throws {
        let id = try api.register()
        api.registry.unconfirmed.store(true, ordering: .relaxed)
        for (method, path, body) in [
            ("POST", "/v1/webhooks", TestAPI.registration), ("PATCH", "/v1/webhooks/\(id)", #"{"isActive":false}"#),
            ("DELETE", "/v1/webhooks/\(id)", nil),
        ] {
            let response = try api.call(method, path, body)
            #expect(response.status == 503 && response.code == "UNCONFIRMED")
        }
    }

    @Test func othersWebhooksDoNotExist() throws {
        let id = try api.register()
        let before = try api.call("GET", "/v1/webhooks/\(id)").text
        for (method, path, body) in [
            ("GET", "/v1/webhooks/\(id)", nil), ("PATCH", "/v1/webhooks/\(id)", #"{"isActive":false}"#),
            ("DELETE", "/v1/webhooks/\(id)", nil), ("GET", "/v1/webhooks/\(id)/logs", nil),
            ("POST", "/v1/webhooks/\(id)/test", nil),
        ] {
            let response = try api.call(method, path, body, key: api.others.key)
            #expect(response.status == 404 && response.code == "WEBHOOK_NOT_FOUND", "\(method) \(path)")
        }
        #expect(try api.call("GET", "/v1/webhooks", key: api.others.key).json["data"].count == 0)
        #expect(try api.call("GET", "/v1/webhooks/\(id)").text == before)
    }

    @Test(arguments: [
        "wh_12345", "wh_00000000000000000000000A", "acct_000000000000000000000001", "%00", "%zz", "..", "",
    ])
    func idsThatAreNoneAreNotFound(_ id: String) throws {
        #expect(try api.call("GET", "/v1/webhooks/\(id)").status == 404)
    }
}

@Suite struct APIAccessTests {
    let api: TestAPI
    init() throws { api = try TestAPI() }

    @Test func wantsAKey() throws {
        let response = try probe(port: api.server.port, "GET", "/v1/webhooks")
        #expect(response.status == 401 && response.code == "UNAUTHORIZED")
        #expect(response.header("WWW-Authenticate") == "Bearer")
    }

    @Test func refusesKeysThatAreNotValid() throws {
        let key = api.mine.key.text
        let expired = api.registry.account(3, expiresAt: sampleTime).key.text
        for authorization in [
            "Bearer", "Bearer ", "Basic \(key)", key, "Bearer \(key)x", "Bearer \(key.dropLast())", "Bearer x\(key)",
            "Bearer \(APIKeyText.generate(.live).text)", "Bearer \(expired)", "Bearer \(key) \(key)",
        ] {
            let response = try probe(
                port: api.server.port, "GET", "/v1/webhooks", headers: [("Authorization", authorization)])
            #expect(response.status == 401, "\(authorization.prefix(8))")
            #expect(response.header("WWW-Authenticate")?.hasPrefix("Bearer") == true)
            #expect(!response.text.contains(key))
        }
        let spelled = try probe(
            port: api.server.port, "GET", "/v1/webhooks", headers: [("authorization", "bearer  \(key)")])
        #expect(spelled.status == 200)
    }

    @Test func knowsItsPathsAndMethods() throws {
        #expect(try api.call("GET", "/v1/nothing").code == "NOT_FOUND")
        #expect(try api.call("GET", "/v1/webhooks/").status == 404)
        let wrong = try api.call("PUT", "/v1/webhooks")
        #expect(wrong.status == 405 && wrong.code == "METHOD_NOT_ALLOWED")
        #expect(wrong.header("Allow") == "POST, GET")
        #expect(try api.call("POST", "/v1/webhooks/\(api.register())/logs", "{}").header("Allow") == "GET")
    }

    @Test func wantsJSON() throws {
        for (type, status) in [
            ("application/json", 201), ("Application/JSON; charset=UTF-8", 201), ("text/plain", 415),
            ("application/x-www-form-urlencoded", 415), ("application/json; charset=latin1", 415), ("", 415),
        ] {
            let response = try api.call("POST", "/v1/webhooks", TestAPI.registration, headers: [("Content-Type", type)])
            #expect(response.status == status, "\(type)")
        }
    }

    @Test func refusesWhatTheServerRefusesInItsOwnShape() throws {
        let connection = try RawConnection(port: api.server.port)
        connection.send("POST /v1/webhooks HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n")
        let response = try connection.receive()
        #expect(response.status == 413 && response.code == "PAYLOAD_TOO_LARGE")
        #expect(response.json["status"].string == "error")
    }
}

@Suite struct APIKeyTextTests {
    @Test(arguments: APIKeyText.Mode.allCases) func makesKeysItReads(_ mode: APIKeyText.Mode) {
        let key = APIKeyText.generate(mode)
        #expect(key.text.hasPrefix("lnk_\(mode.rawValue)_") && key.text.utf8.count == 55)
        #expect(key.id.count == 8 && key.text.dropFirst(9).hasPrefix(key.id))
        #expect(key.hash.count == 64)
        #expect(APIKeyText(key.text) == key)
        #expect(APIKeyText.generate(mode) != key)
    }

    @Test func noticesEveryWrongCharacter() {
        let text = APIKeyText.generate(.live).text
        for index in text.indices {
            var wrong = text
            wrong.replaceSubrange(index...index, with: text[index] == "a" ? "b" : "a")
            #expect(APIKeyText(wrong) == nil)
        }
        for wrong in [
            "", "lnk_live_", text + "0", String(text.dropLast()), " " + text, "lnk_prod_" + text.dropFirst(9),
        ] {
            #expect(APIKeyText(wrong) == nil)
        }
    }
}
