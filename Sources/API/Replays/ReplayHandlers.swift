// `…/replay` and `…/replays/:replayId`: a time range again, its progress, its end.
internal import Core
internal import Crypto
internal import HTTPServer
internal import JSON
internal import Runtime

struct ReplayHandlers: Sendable {
    let webhooks: WebhookHandlers
    let sources: any ReplaySource
    let waits: ReplayWaits

    func start(_ call: APICall) {
        let webhook: Webhook
        let request: ReplayRequest
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        do throws(APIError) {
            webhook = try webhooks.webhook(of: call)
            request = try RequestBody.read(call.request) { ReplayRequest(&$0, now: now) }
            // The registry has the last word; asked here, nothing has to be looked up first. With an idempotency key it has
            // the first word too: what hinders a new replay may be the one that the same request has started.
            guard webhook.isActive || hasKey(call) else { throw .webhookInactive() }
            if let running = webhook.runningReplay, !hasKey(call) { throw .replayRunning(running.id) }
        } catch {
            return call.respond(error)
        }
        sources.plan(since: request.since, until: request.until) { found in
            switch found {
            case .success(let plan): start(request, plan, webhook, call)
            case .failure(let fault): call.respond(.sourceFault(fault))
            }
        }
    }

    private func start(_ request: ReplayRequest, _ plan: ReplayPlan, _ webhook: Webhook, _ call: APICall) {
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let replay = Replay(
            id: ReplayID(bytes: Random.bytes(12)), since: request.since, until: request.until, from: plan.from,
            isDryRun: request.isDryRun, generation: webhook.generation, createdAt: now, parts: plan.parts)
        webhooks.send(
            .startReplay(webhook.id, replay), at: now, for: call,
            then: { applied in
                let replay = applied.webhook?.replays.last ?? replay
                guard replay.isDryRun else { return call.respond(.replay(202, replay, of: webhook.id)) }
                waits.add(replay, of: webhook.id) { call.respond(.replay(202, $0, of: webhook.id)) }
            })
    }

    func show(_ call: APICall) {
        do throws(APIError) {
            let webhook = try webhooks.webhook(of: call)
            call.respond(.replay(200, try replay(of: call, webhook), of: webhook.id))
        } catch {
            call.respond(error)
        }
    }

    func cancel(_ call: APICall) {
        let webhook: WebhookID
        let replay: ReplayID
        do throws(APIError) {
            webhook = try webhooks.target(of: call)
            guard let id = call.parameters["replayId"].flatMap({ ReplayID($0) }) else { throw .replayNotFound() }
            if !hasKey(call) { _ = try self.replay(of: call, webhooks.webhook(of: call)) }
            replay = id
        } catch {
            return call.respond(error)
        }
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        webhooks.send(.cancelReplay(webhook, replay), at: now, for: call) { _ in HTTPServerResponse(status: 204) }
    }

    private func hasKey(_ call: APICall) -> Bool { call.request.headers[WriteGuards.keyHeader] != nil }

    private func replay(of call: APICall, _ webhook: Webhook) throws(APIError) -> Replay {
        guard let replay = call.parameters["replayId"].flatMap({ ReplayID($0) }).flatMap({ webhook.replay($0) }) else {
            throw .replayNotFound()
        }
        return replay
    }
}

extension HTTPServerResponse {
    static func replay(_ status: Int, _ replay: Replay, of webhook: WebhookID) -> HTTPServerResponse {
        var response = data(status) { json in
            json.object { json in
                json.field("id", replay.id.description)
                json.field("status", replay.status.rawValue)
                if let reason = replay.reason { json.field("reason", reason) }
                json.field("dryRun", replay.isDryRun)
                json.field("since", replay.since.description)
                json.field("until", replay.until.description)
                json.field("from", replay.from.description)
                json.field("createdAt", replay.createdAt.secondsText)
                if let endedAt = replay.endedAt { json.field("endedAt", endedAt.secondsText) }
                let counts = replay.counts
                json.object("counts") { json in
                    json.field("records", counts.records)
                    json.field("read", counts.read)
                    json.field("events", counts.events)
                    json.field("unmappable", counts.unmappable)
                }
            }
        }
        if status == 202 { response.headers.append("Location", "/v1/webhooks/\(webhook)/replays/\(replay.id)") }
        return response
    }
}
