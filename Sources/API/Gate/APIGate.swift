// What stands before the handlers, in this order: the route, the key, the limits. Whatever is answered, now or later, is
// counted on its way out and carries what is left of the key's limit.
internal import Core
internal import HTTPServer
internal import Runtime

struct APIGate: Sendable {
    let table: RouteTable
    let authentication: Authentication
    let limits: RequestLimits
    let metrics: APIMetrics

    func pass(_ request: HTTPServerRequest, _ responder: HTTPResponder) {
        switch table.match(method: request.method, path: request.path) {
        case .none: refuse(.notFound(), responder)
        case .wrongMethod(let allowed): refuse(.methodNotAllowed(allowed), responder)
        case .found(let route, let parameters): pass(request, responder, route, parameters)
        }
    }

    /// What the server refuses itself, before there is a request to route.
    func refusal(_ refusal: HTTPRefusal) -> HTTPServerResponse {
        // That one is made for each request, in case its handler drops it.
        if refusal != .unavailable { metrics.answeredWithoutRoute(status: refusal.status) }
        return .refusal(refusal)
    }

    private func refuse(_ error: APIError, _ responder: HTTPResponder) {
        metrics.answeredWithoutRoute(status: error.status)
        responder.respond(error.response)
    }

    private func pass(
        _ request: HTTPServerRequest, _ responder: HTTPResponder, _ route: Route, _ parameters: [String: String]
    ) {
        let began = Clock.monotonic()
        let counted = HTTPResponder(over: responder) { [metrics, operation = route.operation] response in
            metrics.answered(operation, status: response.status, nanoseconds: Clock.monotonic() - began)
        }
        switch route.handler {
        case .open(let answer): counted.respond(answer())
        case .account(let handler):
            do throws(APIError) {
                let (account, keyID) = try account(of: request, now: began)
                let verdict = limits.request(key: keyID, now: began)
                let limited = HTTPResponder(over: counted) { response in
                    guard let verdict else { return }
                    response.append(verdict, wallMilliseconds: Clock.wallMilliseconds() - elapsed(since: began))
                }
                if let verdict, !verdict.isAllowed {
                    metrics.exceededLimit()
                    return limited.respond(APIError.rateLimited(verdict).response)
                }
                handler(
                    APICall(
                        request: request, parameters: parameters, account: account, keyID: keyID, responder: limited))
            } catch {
                counted.respond(error.response)
            }
        }
    }

    private func elapsed(since began: UInt64) -> Int64 { Int64((Clock.monotonic() - began) / 1_000_000) }

    /// A valid key passes from wherever it comes: the limit on failures is asked only for those that fail.
    private func account(
        of request: HTTPServerRequest, now: UInt64
    ) throws(APIError) -> (account: AccountID, keyID: String) {
        do throws(APIError) {
            return try authentication.account(of: request, now: Timestamp(milliseconds: Clock.wallMilliseconds()))
        } catch {
            let verdict = limits.failure(address: request.remoteAddress, now: now)
            let isLimited = verdict?.isAllowed == false
            metrics.failedToAuthenticate(isLimited: isLimited)
            if let verdict, isLimited { throw .tooManyFailures(verdict) }
            throw error
        }
    }
}
