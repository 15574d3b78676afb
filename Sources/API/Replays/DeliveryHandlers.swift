// `POST /v1/webhooks/:webhookId/deliveries/:eventId/retry`: one event again, as a delivery of its own with all its retries.
internal import Core
internal import Crypto
internal import HTTPServer
internal import JSON
internal import Runtime

struct DeliveryHandlers: Sendable {
    let webhooks: WebhookHandlers
    let keyed: KeyedRequests
    let logs: LogStore
    let sources: any ReplaySource
    let sink: any DeliverySink

    func retry(_ call: APICall) {
        let webhook: Webhook
        let event: EventID
        do throws(APIError) {
            webhook = try webhooks.webhook(of: call)
            guard let named = call.parameters["eventId"].flatMap({ EventID($0) }) else { throw .eventNotFound() }
            event = named
            // Nothing has to be said here, but what is said has to be right.
            if !call.request.body.isEmpty { _ = try RequestBody.read(call.request) { _ in true } }
            guard webhook.isActive else { throw .webhookInactive() }
        } catch {
            return call.respond(error)
        }
        keyed.claim(webhook.id, for: call) { keyed in
            let run = RetryID(
                bytes: keyed.map { Digest.sha256(Array("retry\0\($0.command)".utf8)) } ?? Random.bytes(12))
            let request = Request(event: event, webhook: webhook, run: run, keyed: keyed, call: call)
            // What it was made from may be gone by now; it was sent all the same.
            if keyed?.standing == .sent { return call.respond(.retried(event, request.delivery)) }
            look(request)
        }
    }

    private struct Request: Sendable {
        let event: EventID
        let webhook: Webhook
        let run: RetryID
        let keyed: KeyedRequest?
        let call: APICall

        /// Contract §1: the digest over event id, webhook id and run.
        var delivery: DeliveryID {
            let (high, low) = Digest.prefix(of: Array("\(event)\0\(webhook.id)\0\(run)".utf8))
            return DeliveryID(high: high, low: low)
        }
    }

    private func look(_ request: Request) {
        logs.newest(of: request.event, webhook: request.webhook.id, account: request.call.account) { found in
            switch found {
            case .success(let row):
                // A test event has no source; another test is another event.
                if row?.eventType == TestEvent.type { return end(request, .eventNotFound()) }
                find(request, row?.origin.flatMap { RecordOrigin($0) })
            case .failure(.busy): end(request, .unavailable("Too many log queries wait; try again."))
            case .failure(.unavailable):
                end(request, .unavailable("The log cannot be read now, so the event cannot be found. Try again."))
            }
        }
    }

    private func find(_ request: Request, _ origin: RecordOrigin?) {
        sources.find(request.event, from: origin, for: request.webhook, run: request.run) { found in
            switch found {
            case .success where request.keyed?.standing == .underWay: request.call.respond(.requestUnderWay())
            case .success(let delivery): send(delivery, request)
            case .failure(let fault): end(request, .sourceFault(fault))
            }
        }
    }

    private func send(_ delivery: Delivery, _ request: Request) {
        guard request.keyed?.maySend() ?? true else {
            return end(request, .unavailable("The event was not found in time; try again."))
        }
        sink.send(delivery) { isAcknowledged in
            if isAcknowledged {
                Log.info(
                    "delivery asked for again", .actor("\(Actor.key(request.call.keyID))"),
                    .account("\(request.call.account)"), .webhook("\(delivery.webhook)"),
                    .event("\(delivery.event)"), .delivery("\(delivery.id)"))
            }
            keyed.settle(request.keyed, isSent: isAcknowledged, request.webhook.id, for: request.call) { isSent in
                request.call.respond(
                    isSent ? .retried(delivery.event, delivery.id) : APIError.unconfirmedRetry().response)
            }
        }
    }

    /// Answers a request that sends nothing.
    private func end(_ request: Request, _ error: APIError) {
        keyed.settle(request.keyed, isSent: false, request.webhook.id, for: request.call) { _ in
            request.call.respond(error)
        }
    }
}

extension HTTPServerResponse {
    fileprivate static func retried(_ event: EventID, _ delivery: DeliveryID) -> HTTPServerResponse {
        .data(202) { json in
            json.object { json in
                json.field("eventId", event.description)
                json.field("deliveryId", delivery.description)
            }
        }
    }
}
