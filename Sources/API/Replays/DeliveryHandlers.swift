// `POST /v1/webhooks/:webhookId/deliveries/:eventId/retry`: one event again, as a delivery of its own with all its retries.
internal import Core
internal import Crypto
internal import HTTPServer
internal import JSON
internal import Runtime

struct DeliveryHandlers: Sendable {
    let webhooks: WebhookHandlers
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
        webhooks.note(webhook.id, for: call) { noted in retry(event, webhook, noted, call) }
    }

    private func retry(_ event: EventID, _ webhook: Webhook, _ noted: WebhookHandlers.Applied?, _ call: APICall) {
        let run = RetryID(bytes: noted.map { Digest.sha256(Array("retry\0\($0.command)".utf8)) } ?? Random.bytes(12))
        logs.newest(of: event, webhook: webhook.id, account: call.account) { found in
            switch found {
            case .success(let row):
                // A test event has no source; another test is another event.
                if let row, row.eventType == TestEvent.type { return call.respond(.eventNotFound()) }
                // Asked for before with this key: attempted since, or on its way unless it was given up.
                let isUnderWay = noted?.repeats.map { first in
                    !RepeatedRequest.wasGivenUp(first) || row.map { $0.at >= first } ?? false
                }
                find(
                    event, row?.origin.flatMap { RecordOrigin($0) }, webhook, run, isUnderWay: isUnderWay ?? false, call
                )
            case .failure(.busy): call.respond(.unavailable("Too many log queries wait; try again."))
            case .failure(.unavailable):
                call.respond(.unavailable("The log cannot be read now, so the event cannot be found. Try again."))
            }
        }
    }

    private func find(
        _ event: EventID, _ origin: RecordOrigin?, _ webhook: Webhook, _ run: RetryID, isUnderWay: Bool, _ call: APICall
    ) {
        sources.find(event, from: origin, for: webhook, run: run) { found in
            switch found {
            case .success(let delivery) where isUnderWay: call.respond(.retried(delivery.event, delivery.id))
            case .success(let delivery): send(delivery, call)
            case .failure(let fault): call.respond(.sourceFault(fault))
            }
        }
    }

    private func send(_ delivery: Delivery, _ call: APICall) {
        sink.send(delivery) { isAcknowledged in
            guard isAcknowledged else { return call.respond(.unconfirmedRetry()) }
            Log.info(
                "delivery asked for again", .actor("\(Actor.key(call.keyID))"), .account("\(call.account)"),
                .webhook("\(delivery.webhook)"), .event("\(delivery.event)"), .delivery("\(delivery.id)"))
            call.respond(.retried(delivery.event, delivery.id))
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
