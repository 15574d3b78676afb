// `GET /v1/webhooks/:webhookId`: the webhook, and how its deliveries fare by the last attempt that this process has read of.
internal import Core
internal import HTTPServer
internal import JSON

/// What a webhook's owner is told of its deliveries. A report is as old as the last attempt, which `at` says.
struct WebhookHealth: Equatable {
    let report: LaneReport?
    let state: LaneState

    /// - Parameter report: the lane at the last attempt; nil when nothing was ever sent.
    init(isActive: Bool, report: LaneReport?) {
        var report = report
        if !isActive {
            state = .disabled
            // What had waited became dead letters, and nothing is tried.
            report?.queued = 0
            report?.deferred = 0
            report?.nextProbeAt = nil
        } else {
            // It was switched on since, and nothing has been sent yet that could speak against it.
            state = report.map { $0.state == .disabled ? .healthy : $0.state } ?? .healthy
        }
        self.report = report
    }
}

extension JSONWriter {
    mutating func health(_ health: WebhookHealth) {
        let report = health.report
        object("health") { json in
            json.field("state", health.state.rawValue)
            json.field("queued", report?.queued ?? 0)
            json.field("deferred", report?.deferred ?? 0)
            json.field("nextProbeAt", report?.nextProbeAt?.secondsText)
            json.field("lastSuccessAt", report?.lastSuccessAt?.secondsText)
            json.field("lastError", report?.lastError)
            json.field("lastErrorAt", report?.lastErrorAt?.secondsText)
            json.key("p50")
            if let p50 = report?.p50 { json.integer(p50) } else { json.null() }
            json.key("p99")
            if let p99 = report?.p99 { json.integer(p99) } else { json.null() }
            json.field("at", report?.at.secondsText)
        }
    }
}

extension LogHandlers {
    /// The webhook is answered also while its health cannot be read: that is null then.
    func webhook(_ call: APICall) {
        let webhook: Webhook
        do throws(APIError) { webhook = try webhooks.webhook(of: call) } catch { return call.respond(error) }
        logs.lane(webhook: webhook.id, account: call.account) { found in
            call.respond(
                .data(200) { json in
                    json.webhook(webhook) { json in
                        switch found {
                        case .success(let report):
                            json.health(WebhookHealth(isActive: webhook.isActive, report: report))
                        case .failure:
                            json.key("health")
                            json.null()
                        }
                    }
                }.tagged(webhook))
        }
    }
}
