// The public API: the gate and the handlers behind it, on one HTTP server.
package import Core
package import Crypto
package import HTTPServer
internal import JSON
package import Registry
internal import Runtime

package final class APIServer: Sendable {
    private let server: HTTPServer
    private let connections: MetricsCollection

    /// The port that is really listened on.
    package var port: Int { server.port }

    /// Listens from now on.
    /// - Parameters:
    ///   - listen: `api.listen`.
    ///   - tls: nil: plain HTTP.
    ///   - sources: finds what is to be sent again.
    ///   - deliveries: takes single deliveries to the broker.
    ///   - waits: for those who ask for a replay's preview.
    ///   - ipRanges: `egress.ipRanges`, which `GET /v1/ip-ranges` tells.
    ///   - limits: `limits`: of webhooks, for the text of the refusal (the registry enforces it); of requests and of failed
    ///     authentications.
    ///   - judgeURL: why an endpoint's URL is refused, completing "/url …"; nil when it is fine.
    /// - Throws: ``HTTPServerError`` with address, cause and mend.
    package init(
        listen: String, tls: HTTPServerTLS? = nil, view: RegistryView, client: any RegistryClient, logs: LogStore,
        tests: TestEvents, sources: any ReplaySource, deliveries: any DeliverySink, waits: ReplayWaits,
        secretBox: SecretBox, ipRanges: Settings.IPRanges = Settings.IPRanges(),
        limits: Settings.Limits = Settings.Limits(), serverLimits: HTTPServerLimits = HTTPServerLimits(),
        judgeURL: @escaping @Sendable (String) -> String?
    ) throws(HTTPServerError) {
        let webhooks = WebhookHandlers(
            view: view, client: client, secretBox: secretBox, fields: WebhookFields(judgeURL: judgeURL),
            webhooksPerAccount: limits.webhooksPerAccount)
        let keyed = KeyedRequests(webhooks: webhooks)
        let handlers = Handlers(
            webhooks: webhooks, logs: LogHandlers(webhooks: webhooks, logs: logs),
            tests: TestHandlers(webhooks: webhooks, keyed: keyed, logs: logs, tests: tests),
            replays: ReplayHandlers(webhooks: webhooks, sources: sources, waits: waits),
            deliveries: DeliveryHandlers(
                webhooks: webhooks, keyed: keyed, logs: logs, sources: sources, sink: deliveries),
            reference: ReferenceHandlers(ipRanges: ipRanges))
        let metrics = APIMetrics()
        let gate = APIGate(
            table: RouteTable(
                routes: Operations.all.map { Route($0, handlers.handler(of: $0.name)) }),
            authentication: Authentication(view: view),
            limits: RequestLimits(
                requestsPerMinute: limits.requestsPerMinute, authFailuresPerMinute: limits.authFailuresPerMinute),
            metrics: metrics)
        let server = try HTTPServer(
            listen: listen, tls: tls, limits: serverLimits, refusal: { gate.refusal($0) }
        ) { request, responder in
            gate.pass(request, responder)
        }
        self.server = server
        connections = metrics.collect { [weak server] in server?.connections ?? 0 }
    }

    /// Stops accepting, answers what is in flight, ends the rest after `seconds`.
    package func stop(seconds: Double = 5) { server.stop(seconds: seconds) }
}

/// Who answers which operation.
private struct Handlers {
    let webhooks: WebhookHandlers
    let logs: LogHandlers
    let tests: TestHandlers
    let replays: ReplayHandlers
    let deliveries: DeliveryHandlers
    let reference: ReferenceHandlers

    func handler(of operation: Operation.Name) -> Route.Handler {
        switch operation {
        case .createWebhook: .account(webhooks.create)
        case .listWebhooks: .account(webhooks.list)
        case .getWebhook: .account(logs.webhook)
        case .updateWebhook: .account(webhooks.update)
        case .deleteWebhook: .account(webhooks.delete)
        case .rotateSecret: .account(webhooks.rotateSecret)
        case .testWebhook: .account(tests.send)
        case .listAttempts: .account(logs.list)
        case .retryDelivery: .account(deliveries.retry)
        case .startReplay: .account(replays.start)
        case .getReplay: .account(replays.show)
        case .cancelReplay: .account(replays.cancel)
        case .listEventTypes: .account(reference.eventTypes)
        case .getIPRanges: .account(reference.networks)
        case .getOpenAPI: .open(reference.openAPI)
        }
    }
}
