// Every `error.code` of the API, the status it comes with, and what it means.

package enum ErrorCode: String, Sendable, CaseIterable {
    case badRequest = "BAD_REQUEST"
    case invalidJSON = "INVALID_JSON"
    case invalidParameter = "INVALID_PARAMETER"
    case invalidHeader = "INVALID_HEADER"
    case unauthorized = "UNAUTHORIZED"
    case notFound = "NOT_FOUND"
    case webhookNotFound = "WEBHOOK_NOT_FOUND"
    case replayNotFound = "REPLAY_NOT_FOUND"
    case eventNotFound = "EVENT_NOT_FOUND"
    case methodNotAllowed = "METHOD_NOT_ALLOWED"
    case webhookLimitReached = "WEBHOOK_LIMIT_REACHED"
    case webhookInactive = "WEBHOOK_INACTIVE"
    case replayRunning = "REPLAY_RUNNING"
    case eventExpired = "EVENT_EXPIRED"
    case preconditionFailed = "PRECONDITION_FAILED"
    case payloadTooLarge = "PAYLOAD_TOO_LARGE"
    case unsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE"
    case validationFailed = "VALIDATION_FAILED"
    case replayTooWide = "REPLAY_TOO_WIDE"
    case idempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED"
    case rateLimited = "RATE_LIMITED"
    case tooManyTests = "TOO_MANY_TESTS"
    case requestHeadersTooLarge = "REQUEST_HEADERS_TOO_LARGE"
    case unsupportedTransferEncoding = "UNSUPPORTED_TRANSFER_ENCODING"
    case unconfirmed = "UNCONFIRMED"
    case carriedOut = "CARRIED_OUT"
    case unavailable = "UNAVAILABLE"

    package var status: Int {
        switch self {
        case .badRequest, .invalidJSON, .invalidParameter, .invalidHeader, .unsupportedTransferEncoding: 400
        case .unauthorized: 401
        case .notFound, .webhookNotFound, .replayNotFound, .eventNotFound: 404
        case .methodNotAllowed: 405
        case .webhookLimitReached, .webhookInactive, .replayRunning: 409
        case .eventExpired: 410
        case .preconditionFailed: 412
        case .payloadTooLarge: 413
        case .unsupportedMediaType: 415
        case .validationFailed, .replayTooWide, .idempotencyKeyReused: 422
        case .rateLimited, .tooManyTests: 429
        case .requestHeadersTooLarge: 431
        case .unconfirmed, .carriedOut, .unavailable: 503
        }
    }

    /// For whoever reads the OpenAPI document.
    package var summary: String {
        switch self {
        case .badRequest: "The request is not well-formed HTTP."
        case .invalidJSON: "The body is not JSON; `details.reason` says what is wrong."
        case .invalidParameter: "The query has faults; `details.errors` names them all."
        case .invalidHeader: "`Idempotency-Key` or `If-Match` cannot be understood."
        case .unauthorized: "There is no API key, or it is not valid."
        case .notFound: "There is nothing at this path."
        case .webhookNotFound: "Your account has no webhook with this id."
        case .replayNotFound: "The webhook has no replay with this id; the newest are remembered."
        case .eventNotFound: "Nothing is known of this event for this webhook."
        case .methodNotAllowed: "The path answers other methods; `Allow` names them."
        case .webhookLimitReached: "The account has as many webhooks as it may have."
        case .webhookInactive: "The webhook is not active, so nothing is sent to it."
        case .replayRunning: "A replay of this webhook is running; there is one at a time."
        case .eventExpired: "What the event was made from is not kept any more."
        case .preconditionFailed: "The webhook is not as `If-Match` says; read it again."
        case .payloadTooLarge: "The body is larger than 1 MiB."
        case .unsupportedMediaType: "The body is not declared as UTF-8 `application/json`."
        case .validationFailed: "The body has faults; `details.errors` names them all by JSON Pointers."
        case .replayTooWide: "The range lies in more partitions than a replay may read."
        case .idempotencyKeyReused: "The `Idempotency-Key` came with another request before."
        case .rateLimited:
            "Too many requests of this key, or too many failed authentications from this address; wait for `Retry-After`."
        case .tooManyTests: "Too many test events of the account are under way."
        case .requestHeadersTooLarge: "The request's header fields are too many or too large."
        case .unsupportedTransferEncoding: "A transfer encoding other than `chunked`."
        case .unconfirmed: "It could not be confirmed in time; a change has not happened then and will not. Try again."
        case .carriedOut: "The change was carried out, but its result cannot be shown yet; read it again."
        case .unavailable: "It cannot be answered now; try again."
        }
    }
}
