// What is the same for everybody: the event types, the networks webhooks come from, the OpenAPI document.
internal import Core
internal import HTTPServer
internal import JSON

struct ReferenceHandlers: Sendable {
    let ipRanges: Settings.IPRanges

    func networks(_ call: APICall) {
        call.respond(
            .data(200) { json in
                json.object { json in
                    json.field("production", ipRanges.production)
                    json.field("testnet", ipRanges.testnet)
                }
            })
    }

    func eventTypes(_ call: APICall) { call.respond(.json(200, EventCatalogue.answer)) }

    /// It says nothing of anybody, so it may be kept for a while.
    func openAPI() -> HTTPServerResponse {
        HTTPServerResponse(
            status: 200, headers: ["Content-Type": "application/json", "Cache-Control": "public, max-age=300"],
            body: OpenAPIDocument.bytes)
    }
}
