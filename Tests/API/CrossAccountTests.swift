// Made from the table of routes: each route, with every mixture of one's own objects and another account's in its path, says
// that there is nothing, and nothing happens.
import API
import Core
import HTTPProbe
import Registry
import Runtime
import Testing

extension Operation: CustomTestStringConvertible {
    package var testDescription: String { name.rawValue }
}

@Suite struct CrossAccountTests {
    let api: TestAPI
    private let owned: [String: String]
    private let foreign: [String: String]

    init() throws {
        api = try TestAPI()
        owned = try Self.objects(api, api.mine, 1)
        foreign = try Self.objects(api, api.others, 2)
    }

    /// An account's webhook, replay and logged event, by the names of path parameters.
    private static func objects(
        _ api: TestAPI, _ owner: (id: AccountID, key: APIKeyText), _ number: Int
    ) throws -> [String: String] {
        let webhook = try api.register(key: owner.key)
        let since = Timestamp(milliseconds: Clock.wallMilliseconds() - 3_600_000)
        let replay = try api.call(
            "POST", "/v1/webhooks/\(webhook)/replay", "{\"since\":\"\(since)\"}", key: owner.key)
        var row = sampleRow(number)
        row.webhook = try #require(WebhookID(webhook))
        row.account = owner.id
        #expect(api.logs.write([row], next: Int64(number)))
        return [
            "webhookId": webhook, "replayId": try #require(replay.json["data"]["id"].string),
            "eventId": row.event.description,
        ]
    }

    private func path(_ operation: Operation, _ objects: [String: String]) -> String {
        operation.path.split(separator: "/").map { part in
            part.hasPrefix(":") ? "/\(objects[String(part.dropFirst())] ?? "")" : "/\(part)"
        }.joined()
    }

    /// A body the operation takes, where it takes one.
    private func body(_ operation: Operation) -> String? {
        operation.body.map { String(decoding: $0.example.bytes, as: UTF8.self) }
    }

    /// Every way to fill the path in with at least one foreign object.
    private func mixtures(_ names: [String]) -> [[String: String]] {
        (1..<(1 << names.count)).map { bits in
            Dictionary(
                uniqueKeysWithValues: names.enumerated().map { index, name in
                    (name, bits >> index & 1 == 1 ? foreign[name]! : owned[name]!)
                })
        }
    }

    /// All that the two accounts have.
    private var state: [[Webhook]] {
        api.registry.view.read { [$0.webhooks(of: api.mine.id), $0.webhooks(of: api.others.id)] }
    }

    static let withObjects = Operations.all.filter { !$0.pathParameters.isEmpty }
    static let withoutObjects = Operations.all.filter { $0.pathParameters.isEmpty && $0.method == .get }

    @Test(arguments: withObjects) func whatIsAnothersIsNotThere(_ operation: Operation) throws {
        let before = state
        let commands = api.registry.commands.withLock { $0.count }
        for objects in mixtures(operation.pathParameters) {
            let response = try api.call(operation.method.rawValue, path(operation, objects), body(operation))
            #expect(response.status == 404, "\(objects): \(response.text)")
            #expect(!foreign.values.contains { response.text.contains($0) })
        }
        #expect(api.registry.commands.withLock { $0.count } == commands)
        #expect(api.sink.sent.isEmpty)
        #expect(state == before)
    }

    /// With a key the registry is asked, which may have been asked before. Also where the owner has used the same key for the same
    /// request, before and afterwards.
    @Test(arguments: withObjects.filter { $0.method != .get }, [false, true])
    func norWithAnIdempotencyKey(_ operation: Operation, _ ownerFirst: Bool) throws {
        for (number, objects) in mixtures(operation.pathParameters).enumerated() {
            if ownerFirst, objects == foreign {
                let own = try keyed(operation, objects, "key \(number)", api.others.key)
                #expect(own.status != 422, "\(own.text)")
            }
            let (before, sent) = (state, api.sink.sent.count)
            for _ in 0..<2 {
                let response = try keyed(operation, objects, "key \(number)", api.mine.key)
                #expect(response.status == 404, "\(objects): \(response.text)")
                #expect(!foreign.values.contains { response.text.contains($0) })
            }
            #expect(api.sink.sent.count == sent)
            #expect(state == before)
        }
        // Nor is the key used up for its owner.
        let own = try keyed(operation, foreign, "key of its own", api.others.key)
        #expect(own.code != "IDEMPOTENCY_KEY_REUSED")
        if !ownerFirst {
            let mine = try keyed(operation, foreign, "key 0", api.others.key)
            #expect(mine.code != "IDEMPOTENCY_KEY_REUSED")
        }
    }

    private func keyed(
        _ operation: Operation, _ objects: [String: String], _ key: String, _ caller: APIKeyText
    ) throws -> ProbeResponse {
        try api.call(
            operation.method.rawValue, path(operation, objects), body(operation) ?? "", key: caller,
            headers: [("Content-Type", "application/json"), ("Idempotency-Key", key)])
    }

    /// What makes the tests above mean something.
    @Test(arguments: withObjects) func forItsOwnerItIsThere(_ operation: Operation) throws {
        let response = try api.call(
            operation.method.rawValue, path(operation, foreign), body(operation), key: api.others.key)
        #expect(response.code != "WEBHOOK_NOT_FOUND" && response.code != "REPLAY_NOT_FOUND")
        if operation.name == .retryDelivery { #expect(api.source.asked.count == 1) }
    }

    @Test(arguments: withoutObjects) func listsNameNothingOfOthers(_ operation: Operation) throws {
        let response = try api.call("GET", operation.path)
        #expect(response.status == 200)
        #expect(!foreign.values.contains { response.text.contains($0) })
    }
}
