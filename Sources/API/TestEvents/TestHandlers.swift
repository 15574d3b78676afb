// `POST /v1/webhooks/:webhookId/test`: a test event for one webhook, active or not.
internal import Core
internal import Crypto
internal import HTTPServer
internal import JSON
internal import Runtime

/// The body of a test, which may be left out.
struct TestRequest: Equatable {
    var waits = false

    init() {}

    init(_ body: inout RequestBody) {
        if let event = body.string("event"), event != TestEvent.type {
            body.fault("/event", "must be \"\(TestEvent.type)\"")
        }
        waits = body.boolean("wait") ?? false
    }
}

/// A request with an idempotency key that makes no record of the registry's: whether what the first one asked for is on its
/// way, only its process knows.
enum RepeatedRequest {
    /// As long as the sink of deliveries goes on trying: then the asker is told, and the same request is to be carried out.
    private static let patienceMilliseconds: Int64 = 4000

    static func wasGivenUp(_ first: Timestamp) -> Bool {
        Clock.wallMilliseconds() - first.milliseconds > patienceMilliseconds
    }
}

struct TestHandlers: Sendable {
    let webhooks: WebhookHandlers
    let logs: LogStore
    let tests: TestEvents

    func send(_ call: APICall) {
        let webhook: Webhook
        let request: TestRequest
        do throws(APIError) {
            webhook = try webhooks.webhook(of: call)
            request =
                call.request.body.isEmpty ? TestRequest() : try RequestBody.read(call.request) { TestRequest(&$0) }
        } catch {
            return call.respond(error)
        }
        webhooks.note(webhook.id, for: call) { noted in
            guard let noted else { return send(EventID(bytes: Random.bytes(12)), webhook, request, call) }
            let event = EventID(bytes: Digest.sha256(Array("test\0\(noted.command)".utf8)))
            guard let first = noted.repeats else { return send(event, webhook, request, call) }
            logs.newest(of: event, webhook: webhook.id, account: call.account) { found in
                if case .success(let row?) = found {
                    return call.respond(
                        request.waits
                            ? .data(200) { $0.logEntry(row) }
                            : .data(202) { $0.object { $0.field("eventId", event.description) } })
                }
                // The first one has been given up if it is older than its asker's patience; else it is under way.
                guard RepeatedRequest.wasGivenUp(first) else {
                    return call.respond(.data(202) { $0.object { $0.field("eventId", event.description) } })
                }
                send(event, webhook, request, call)
            }
        }
    }

    private func send(_ event: EventID, _ webhook: Webhook, _ request: TestRequest, _ call: APICall) {
        Log.info(
            "test event asked for", .actor("\(Actor.key(call.keyID))"), .account("\(call.account)"),
            .webhook("\(webhook.id)"), .event("\(event)"))
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        tests.send(TestEvent.delivery(event, to: webhook, at: now), waits: request.waits, for: call)
    }
}
