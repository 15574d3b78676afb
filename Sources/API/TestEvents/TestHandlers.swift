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

struct TestHandlers: Sendable {
    let webhooks: WebhookHandlers
    let keyed: KeyedRequests
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
        keyed.claim(webhook.id, for: call) { keyed in
            guard let keyed else { return send(EventID(bytes: Random.bytes(12)), webhook, request, nil, call) }
            let event = EventID(bytes: Digest.sha256(Array("test\0\(keyed.command)".utf8)))
            switch keyed.standing {
            case .sends: send(event, webhook, request, keyed, call)
            case .underWay: if !tests.join(event, for: call) { call.respond(.requestUnderWay()) }
            case .sent: answer(event, webhook, request, call)
            }
        }
    }

    /// What the first request sent.
    private func answer(_ event: EventID, _ webhook: Webhook, _ request: TestRequest, _ call: APICall) {
        guard request.waits else { return call.respond(.testAccepted(event)) }
        // Looked for while somebody waits, so that it is not missed between the two.
        tests.wait(for: event, call)
        logs.newest(of: event, webhook: webhook.id, account: call.account) { found in
            if case .success(let row?) = found { tests.saw([row]) }
        }
    }

    private func send(
        _ event: EventID, _ webhook: Webhook, _ request: TestRequest, _ keyed: KeyedRequest?, _ call: APICall
    ) {
        Log.info(
            "test event asked for", .actor("\(Actor.key(call.keyID))"), .account("\(call.account)"),
            .webhook("\(webhook.id)"), .event("\(event)"))
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        var settle: TestEvents.Settle?
        if let keyed {
            settle = { [requests = self.keyed] isSent, then in
                requests.settle(keyed, isSent: isSent, webhook.id, for: call, then: then)
            }
        }
        tests.send(
            TestEvent.delivery(event, to: webhook, at: now), waits: request.waits, for: call, settle: settle)
    }
}
