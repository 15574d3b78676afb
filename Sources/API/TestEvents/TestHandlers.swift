// `POST /v1/webhooks/:webhookId/test`: a test event for one webhook, active or not.
internal import Core
internal import Crypto
internal import HTTPServer
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

struct TestHandlers: Sendable {
    let webhooks: WebhookHandlers
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
        let event = EventID(bytes: Random.bytes(12))
        Log.info(
            "test event asked for", .account("\(call.account)"), .key(call.keyID), .webhook("\(webhook.id)"),
            .event("\(event)"))
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        tests.send(TestEvent.delivery(event, to: webhook, at: now), waits: request.waits, for: call)
    }
}
