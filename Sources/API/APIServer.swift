// The public API: authentication, the table of routes, and the handlers behind it, on one HTTP server.
//
// To come with the deeper API, each at its seam: rate limits and the limit on failed keys (before and behind
// `Authentication`), OpenAPI (from `RouteTable.routes`).
package import Core
package import Crypto
package import HTTPServer
internal import JSON
package import Registry
internal import Runtime

package final class APIServer: Sendable {
    private let server: HTTPServer

    /// The port that is really listened on.
    package var port: Int { server.port }

    /// Listens from now on.
    /// - Parameters:
    ///   - listen: `api.listen`.
    ///   - sources: finds what is to be sent again.
    ///   - deliveries: takes single deliveries to the broker.
    ///   - waits: for those who ask for a replay's preview.
    ///   - ipRanges: `egress.ipRanges`, which `GET /v1/ip-ranges` tells.
    ///   - webhooksPerAccount: `limits.webhooksPerAccount`, for the text of the refusal; the registry enforces it.
    ///   - judgeURL: why an endpoint's URL is refused, completing "/url …"; nil when it is fine.
    /// - Throws: ``HTTPServerError`` with address, cause and mend.
    package init(
        listen: String, view: RegistryView, client: any RegistryClient, logs: LogStore, tests: TestEvents,
        sources: any ReplaySource, deliveries: any DeliverySink, waits: ReplayWaits, secretBox: SecretBox,
        ipRanges: Settings.IPRanges = Settings.IPRanges(), webhooksPerAccount: Int = 10,
        limits: HTTPServerLimits = HTTPServerLimits(),
        judgeURL: @escaping @Sendable (String) -> String?
    ) throws(HTTPServerError) {
        let webhooks = WebhookHandlers(
            view: view, client: client, secretBox: secretBox, fields: WebhookFields(judgeURL: judgeURL),
            webhooksPerAccount: webhooksPerAccount)
        let table = Self.routes(
            webhooks, LogHandlers(webhooks: webhooks, logs: logs),
            TestHandlers(webhooks: webhooks, logs: logs, tests: tests),
            ReplayHandlers(webhooks: webhooks, sources: sources, waits: waits),
            DeliveryHandlers(webhooks: webhooks, logs: logs, sources: sources, sink: deliveries), ipRanges)
        let authentication = Authentication(view: view)
        server = try HTTPServer(listen: listen, limits: limits, refusal: { .refusal($0) }) { request, responder in
            Self.answer(request, responder, table, authentication)
        }
    }

    /// Stops accepting, answers what is in flight, ends the rest after `seconds`.
    package func stop(seconds: Double = 5) { server.stop(seconds: seconds) }

    /// Every path of the API.
    static func routes(
        _ webhooks: WebhookHandlers, _ logs: LogHandlers, _ tests: TestHandlers, _ replays: ReplayHandlers,
        _ deliveries: DeliveryHandlers, _ ipRanges: Settings.IPRanges
    ) -> RouteTable {
        RouteTable(routes: [
            Route(.post, "/v1/webhooks", webhooks.create),
            Route(.get, "/v1/webhooks", webhooks.list),
            Route(.get, "/v1/webhooks/:webhookId", logs.webhook),
            Route(.patch, "/v1/webhooks/:webhookId", webhooks.update),
            Route(.delete, "/v1/webhooks/:webhookId", webhooks.delete),
            Route(.post, "/v1/webhooks/:webhookId/rotate-secret", webhooks.rotateSecret),
            Route(.get, "/v1/webhooks/:webhookId/logs", logs.list),
            Route(.post, "/v1/webhooks/:webhookId/test", tests.send),
            Route(.post, "/v1/webhooks/:webhookId/replay", replays.start),
            Route(.get, "/v1/webhooks/:webhookId/replays/:replayId", replays.show),
            Route(.delete, "/v1/webhooks/:webhookId/replays/:replayId", replays.cancel),
            Route(.post, "/v1/webhooks/:webhookId/deliveries/:eventId/retry", deliveries.retry),
            Route(.get, "/v1/ip-ranges") { call in
                call.respond(
                    .data(200) { json in
                        json.object { json in
                            json.field("production", ipRanges.production)
                            json.field("testnet", ipRanges.testnet)
                        }
                    })
            },
        ])
    }

    private static func answer(
        _ request: HTTPServerRequest, _ responder: HTTPResponder, _ table: RouteTable, _ authentication: Authentication
    ) {
        do throws(APIError) {
            switch table.match(method: request.method, path: request.path) {
            case .none: throw APIError.notFound()
            case .wrongMethod(let allowed): throw APIError.methodNotAllowed(allowed)
            case .found(let route, let parameters):
                let now = Timestamp(milliseconds: Clock.wallMilliseconds())
                let (account, keyID) = try authentication.account(of: request, now: now)
                route.handler(
                    APICall(
                        request: request, parameters: parameters, account: account, keyID: keyID, responder: responder))
            }
        } catch {
            responder.respond(error.response)
        }
    }
}
