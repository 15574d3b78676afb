// The API's answers in the contract's shapes (§1): data, errors, and everything an error can be in one place.
internal import Core
package import HTTPServer
internal import JSON
internal import Registry

/// An error answer: the code for programs, the message for people, the details for both.
struct APIError: Error {
    let status: Int
    let code: String
    let message: String
    var details: @Sendable (inout JSONWriter) -> Void = { _ in }
    var headers: [(String, String)] = []

    var response: HTTPServerResponse {
        let body = JSONWriter.document { json in
            json.field("success", false)
            json.field("status", "error")
            json.object("error") { json in
                json.field("code", code)
                json.field("message", message)
                json.object("details") { details(&$0) }
            }
        }
        var response = HTTPServerResponse.json(status, body)
        for (name, value) in headers { response.headers.append(name, value) }
        return response
    }
}

extension APIError {
    static func notFound() -> APIError {
        APIError(status: 404, code: "NOT_FOUND", message: "There is nothing at this path.")
    }

    static func methodNotAllowed(_ allowed: [String]) -> APIError {
        let list = allowed.joined(separator: ", ")
        return APIError(
            status: 405, code: "METHOD_NOT_ALLOWED", message: "This path answers \(list) only.",
            details: { $0.field("allowed", allowed) }, headers: [("Allow", list)])
    }

    /// One answer for a missing, malformed, unknown, expired or revoked key: which it was helps only a guesser.
    static func unauthorized(hadKey: Bool) -> APIError {
        APIError(
            status: 401, code: "UNAUTHORIZED",
            message: hadKey
                ? "The API key is not valid. Check that it is complete and has not been revoked."
                : "Send your API key as \"Authorization: Bearer <your-api-key>\".",
            headers: [("WWW-Authenticate", hadKey ? "Bearer error=\"invalid_token\"" : "Bearer")])
    }

    /// Also for what belongs to another account.
    static func webhookNotFound() -> APIError {
        APIError(
            status: 404, code: "WEBHOOK_NOT_FOUND",
            message: "There is no webhook with this id in your account. List yours with GET /v1/webhooks.")
    }

    static func unsupportedMediaType() -> APIError {
        APIError(
            status: 415, code: "UNSUPPORTED_MEDIA_TYPE",
            message: "Send the body as UTF-8 JSON with \"Content-Type: application/json\".")
    }

    static func invalidJSON(_ reason: String) -> APIError {
        APIError(
            status: 400, code: "INVALID_JSON", message: "The body is not valid JSON.",
            details: { $0.field("reason", reason) })
    }

    /// Well-formed JSON whose contents are wrong: 422, with every fault at once.
    static func invalidBody(_ faults: [Fault]) -> APIError {
        APIError(
            status: 422, code: "VALIDATION_FAILED",
            message: "The body has \(counted(faults)). See error.details.errors.",
            details: { $0.faults(faults, place: "pointer") })
    }

    static func invalidQuery(_ faults: [Fault]) -> APIError {
        APIError(
            status: 400, code: "INVALID_PARAMETER",
            message: "The query has \(counted(faults)). See error.details.errors.",
            details: { $0.faults(faults, place: "parameter") })
    }

    private static func counted(_ faults: [Fault]) -> String {
        faults.count == 1 ? "a fault" : "\(faults.count) faults"
    }

    static func unconfirmed() -> APIError {
        APIError(
            status: 503, code: "UNCONFIRMED",
            message: "The change could not be confirmed in time. It has not happened and will not; try again.",
            headers: [("Retry-After", "1")])
    }

    /// The registry has said so, and what it wrote has not come to this process.
    static func carriedOut() -> APIError {
        APIError(
            status: 503, code: ErrorCode.carriedOut.rawValue,
            message:
                "The change was carried out, but its result cannot be shown yet. Read it again before you repeat it.",
            headers: [("Retry-After", "1")])
    }

    /// A test event is no write of the registry's, which could refuse it when it is late.
    static func unconfirmedTest() -> APIError {
        APIError(
            status: 503, code: "UNCONFIRMED",
            message: "It could not be confirmed in time that the test event is on its way. Try again.",
            headers: [("Retry-After", "1")])
    }

    static func tooManyTests() -> APIError {
        APIError(
            status: 429, code: "TOO_MANY_TESTS",
            message: "Too many test events of your account are under way. Wait for their answers, then try again.",
            headers: [("Retry-After", "1")])
    }

    static func unavailable(_ message: String) -> APIError {
        APIError(status: 503, code: "UNAVAILABLE", message: message, headers: [("Retry-After", "1")])
    }

    /// What the registry refused. The limit is 409: the request is well formed and allowed, it conflicts with what the
    /// account has now, and deleting a webhook mends it.
    static func refused(_ refusal: Refusal, webhooksPerAccount: Int) -> APIError {
        switch refusal {
        case .webhookLimitReached:
            APIError(
                status: 409, code: refusal.rawValue,
                message:
                    "Your account has \(webhooksPerAccount) webhooks already, which is the most it may have. Delete one first.",
                details: { $0.field("limit", webhooksPerAccount) })
        case .webhookNotFound: webhookNotFound()
        // The account went while its request was under way.
        case .accountNotFound: unauthorized(hadKey: true)
        // A replay made for the webhook before it was switched off and on again, of which this process had not heard: the same
        // request will be right in a moment.
        case .tooLate, .olderGeneration, .withdrawn: unconfirmed()
        case .webhookInactive: webhookInactive()
        case .replayRunning: replayRunning(nil)
        case .replayNotFound: replayNotFound()
        case .preconditionFailed: preconditionFailed()
        case .keyReused: keyReused()
        // Of commands that the API does not send; a webhook's id is random.
        case .accountExists, .webhookExists, .replayEnded, .apiKeyNotFound, .secretChanged:
            unavailable("The change conflicts with a newer state and was not made. Read that, then decide anew.")
        }
    }
}

/// One thing wrong with a request.
struct Fault: Equatable, Sendable {
    /// A JSON Pointer into the body, or the name of a query parameter.
    let place: String
    /// What is wrong and what would be right; never a part of the value.
    let message: String
}

extension JSONWriter {
    fileprivate mutating func faults(_ faults: [Fault], place: StaticString) {
        key("errors")
        beginArray()
        for fault in faults {
            object { json in
                json.field(place, fault.place)
                json.field("message", fault.message)
            }
        }
        endArray()
    }
}

extension HTTPServerResponse {
    package static func json(_ status: Int, _ body: [UInt8]) -> HTTPServerResponse {
        HTTPServerResponse(
            status: status,
            // Answers are about one account, and the 201 carries a secret.
            headers: ["Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"], body: body)
    }

    /// What the HTTP server refuses itself, in the API's shape.
    static func refusal(_ refusal: HTTPRefusal) -> HTTPServerResponse {
        let code =
            switch refusal {
            case .badRequest: "BAD_REQUEST"
            case .unsupportedTransferEncoding: "UNSUPPORTED_TRANSFER_ENCODING"
            case .bodyTooLarge: "PAYLOAD_TOO_LARGE"
            case .headTooLarge, .tooManyHeaders: "REQUEST_HEADERS_TOO_LARGE"
            case .unavailable: "UNAVAILABLE"
            }
        return APIError(status: refusal.status, code: code, message: refusal.text).response
    }
}
