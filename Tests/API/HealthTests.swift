// What `GET /v1/webhooks/:id` says of a webhook's deliveries: the lane at the last attempt that was read of.
import API
import Core
import Foundation
import HTTPProbe
import JSON
import Runtime
import Testing

private func report(_ number: Int, _ state: LaneState = .failing) -> LaneReport {
    let at = sampleTime.adding(milliseconds: Int64(number) * 1000)
    return LaneReport(
        state: state, queued: number, deferred: 70, nextProbeAt: at.adding(milliseconds: 5000),
        lastSuccessAt: sampleTime, lastError: "HTTP 500", lastErrorAt: at, p50: 12, p99: 340, at: at)
}

extension LogStore {
    fileprivate func lane(_ webhook: Int = 1, account: Int = 7) throws -> LaneReport? {
        let answer = Guarded<Result<LaneReport?, LogStoreError>?>(nil)
        let answered = EventFD()
        lane(webhook: sampleID(webhook), account: sampleID(account)) { result in
            answer.withLock { $0 = result }
            answered.signal()
        }
        answered.wait(milliseconds: 5000)
        return try #require(answer.withLock { $0 }).get()
    }
}

@Suite struct LaneStoreTests {
    let directory = TemporaryDirectory()

    private func row(_ number: Int, webhook: Int = 1, lane: LaneReport?) -> AttemptRow {
        var row = sampleRow(number, webhook: webhook)
        row.lane = lane
        return row
    }

    @Test func keepsTheLatestOfEachWebhook() throws {
        var store = directory.store()
        #expect(try store.lane() == nil)
        let rows = [
            row(1, lane: report(1)), row(2, lane: report(2)), row(3, webhook: 2, lane: report(3, .limited)),
            row(4, lane: nil),
        ]
        #expect(store.write(rows, next: 5))
        #expect(try store.lane() == report(2))
        #expect(try store.lane(2) == report(3, .limited))
        #expect(try store.lane(1, account: 8) == nil)
        #expect(store.write([row(6, lane: LaneReport(state: .healthy, at: sampleTime))], next: 7))
        #expect(try store.lane() == LaneReport(state: .healthy, at: sampleTime))
        #expect(store.write([row(1, lane: report(1))], next: 8))
        #expect(try store.lane() == LaneReport(state: .healthy, at: sampleTime), "what is read again is not newer")
        store.stop()
        store = directory.store()
        defer { store.stop() }
        #expect(try store.lane(2) == report(3, .limited))
    }

    @Test func goesWithItsWebhook() throws {
        let store = directory.store { $0.ageMilliseconds = 86_400_000 }
        defer { store.stop() }
        #expect(store.write([row(1, lane: report(1))], next: 2))
        #expect(eventually { (try? store.page().total) == 0 && (try? store.lane()) == .some(nil) })
        // Its number may be another webhook's next.
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        #expect(store.write([sampleRow(3, webhook: 5, at: now)], next: 4))
        #expect(try store.lane(5) == nil)
    }

    @Test func takesUpAFileOfTheVersionBefore() throws {
        let old = directory.store()
        #expect(old.write([sampleRow(1)], next: 2))
        old.stop()
        try makeVersionTwo()
        let store = directory.store()
        defer { store.stop() }
        #expect(store.resumeOffsets() == [0: 2])
        #expect(try store.page().total == 1)
        #expect(store.write([row(2, lane: report(2))], next: 3))
        #expect(try store.lane() == report(2))
        #expect(!FileManager.default.fileExists(atPath: directory.file + ".damaged"))
    }

    private func makeVersionTwo() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "python3", "-c", "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])",
            directory.file,
            """
            DROP TABLE responses;
            CREATE TABLE two (
              id INTEGER PRIMARY KEY, webhook INTEGER NOT NULL, at INTEGER NOT NULL, delivered INTEGER NOT NULL,
              type INTEGER NOT NULL, attempt INTEGER NOT NULL, code INTEGER, duration INTEGER, error TEXT,
              event BLOB NOT NULL, delivery BLOB NOT NULL, origin TEXT, next_at INTEGER, tier TEXT);
            INSERT INTO two SELECT place, webhook, at, delivered, type, attempt, code, duration, error, event, delivery,
              origin, next_at, tier FROM attempts;
            DROP TABLE attempts;
            ALTER TABLE two RENAME TO attempts;
            CREATE INDEX attempts_of_webhook ON attempts (webhook, at, delivered, type);
            PRAGMA user_version = 2;
            """,
        ]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
    }
}

@Suite struct WebhookHealthTests {
    let api: TestAPI
    init() throws { api = try TestAPI() }

    private static let fields: Set<String> = [
        "state", "queued", "deferred", "nextProbeAt", "lastSuccessAt", "lastError", "lastErrorAt", "p50", "p99", "at",
    ]

    private func health(_ id: String) throws -> AnyJSON {
        let health = try api.call("GET", "/v1/webhooks/\(id)").json["data"]["health"]
        #expect(health.keys == Self.fields)
        return health
    }

    private func attempt(_ id: String, _ lane: LaneReport, number: Int) throws {
        var row = sampleRow(number)
        row.webhook = try #require(WebhookID(id))
        row.account = api.mine.id
        row.lane = lane
        #expect(api.logs.write([row], next: Int64(number) + 1))
    }

    @Test func isHealthyBeforeAnythingWasSent() throws {
        let health = try health(try api.register())
        #expect(health["state"].string == "healthy")
        #expect(health["queued"].int == 0 && health["deferred"].int == 0)
        for name in Self.fields.subtracting(["state", "queued", "deferred"]) { #expect(health[name].isNull, "\(name)") }
    }

    @Test func tellsTheLaneOfTheLastAttempt() throws {
        let id = try api.register()
        try attempt(id, report(2), number: 1)
        let failing = try health(id)
        #expect(failing["state"].string == "failing")
        #expect(failing["queued"].int == 2 && failing["deferred"].int == 70)
        #expect(failing["p50"].int == 12 && failing["p99"].int == 340)
        #expect(failing["lastError"].string == "HTTP 500")
        #expect(failing["lastErrorAt"].string == "2024-01-15T10:30:17Z")
        #expect(failing["at"].string == "2024-01-15T10:30:17Z")
        #expect(failing["nextProbeAt"].string == "2024-01-15T10:30:22Z")
        #expect(failing["lastSuccessAt"].string == "2024-01-15T10:30:15Z")
        try attempt(id, LaneReport(state: .healthy, at: sampleTime), number: 2)
        #expect(try health(id)["state"].string == "healthy")
        #expect(try health(try api.register())["at"].isNull, "another webhook's is its own")
    }

    @Test func isDisabledWhileInactive() throws {
        let id = try api.register()
        try attempt(id, report(2), number: 1)
        #expect(try api.call("PATCH", "/v1/webhooks/\(id)", #"{"isActive":false}"#).status == 200)
        let off = try health(id)
        #expect(off["state"].string == "disabled")
        #expect(off["queued"].int == 0 && off["deferred"].int == 0 && off["nextProbeAt"].isNull)
        #expect(off["lastError"].string == "HTTP 500")
        // Its last attempt ended when it was off already.
        try attempt(id, report(3, .disabled), number: 2)
        #expect(try api.call("PATCH", "/v1/webhooks/\(id)", #"{"isActive":true}"#).status == 200)
        #expect(try health(id)["state"].string == "healthy")
    }

    @Test func isUnknownWithoutALog() throws {
        let id = try api.register()
        try attempt(id, report(2), number: 1)
        // Behind the store's back, and with more queries than it lets wait.
        api.logs.stop()
        let asked = 256
        for _ in 0..<asked { api.logs.lane(webhook: sampleID(1), account: sampleID(1)) { _ in } }
        let webhook = try api.call("GET", "/v1/webhooks/\(id)").json["data"]
        #expect(webhook["id"].string == id)
        #expect(webhook.keys.contains("health") && webhook["health"].isNull)
    }

    @Test func readsTheLaneOfARecord() throws {
        let record = """
            {"eventId":"evt_000000000000000000000001","eventType":"reward.issued","attempt":2,"status":"failed",\
            "responseCode":500,"responseTime":1250,"error":"HTTP 500","timestamp":"2024-01-15T10:30:15.000Z",\
            "webhookId":"wh_000000000000000000000002","accountId":"acct_000000000000000000000003",\
            "deliveryId":"dlv_000000000000000000000004","lane":{"state":"failing","queued":2,"deferred":70,"inFlight":1,\
            "concurrency":1,"circuitOpen":true,"nextProbeAt":"2024-01-15T10:30:21.250Z","p50":12,"p99":340,\
            "lastSuccessAt":"2024-01-15T10:30:15.000Z","lastError":"HTTP 500",\
            "lastErrorAt":"2024-01-15T10:30:16.250Z"}}
            """
        func lane(_ text: String) throws -> LaneReport? {
            try JSONParser().parse(Array(text.utf8)) { AttemptRow(json: $0, partition: 3, offset: 4) }?.lane
        }
        let at = sampleTime.adding(milliseconds: 1250)
        #expect(
            try lane(record)
                == LaneReport(
                    state: .failing, queued: 2, deferred: 70, nextProbeAt: at.adding(milliseconds: 5000),
                    lastSuccessAt: sampleTime, lastError: "HTTP 500", lastErrorAt: at, p50: 12, p99: 340, at: at))
        #expect(try lane(record.replacingOccurrences(of: "\"failing\"", with: "\"wistful\"")) == nil)
    }
}
