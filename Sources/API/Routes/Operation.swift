// What a client can know of one route: how it is asked and what it can answer. Values without behaviour: the router, the
// OpenAPI document, the metrics' labels and the generated tests are made from them.

package struct Operation: Sendable {
    package enum Method: String, Sendable, CaseIterable {
        case get = "GET", post = "POST", patch = "PATCH", delete = "DELETE"
    }

    /// The raw value is the document's `operationId`.
    package enum Name: String, Sendable, CaseIterable {
        case createWebhook, listWebhooks, getWebhook, updateWebhook, deleteWebhook, listAttempts, testWebhook,
            rotateSecret
        case startReplay, getReplay, cancelReplay, retryDelivery, listEventTypes, getIPRanges, getOpenAPI
    }

    package struct Parameter: Sendable {
        package enum Place: String, Sendable { case query, header }

        package let name: String
        package let place: Place
        package let summary: String
        package let schema: JSONLiteral
    }

    package struct Body: Sendable {
        /// One of ``Schemas/all``.
        package let schema: String
        package let isRequired: Bool
        package let example: JSONLiteral
    }

    package struct Answer: Sendable {
        package let status: Int
        package let summary: String
        /// One of ``Schemas/all``; nil: no body.
        package var schema: String?
        /// Of ``APIDocument``'s header components.
        package var headers: [String] = []
    }

    package let name: Name
    package let method: Method
    /// `/v1/webhooks/:webhookId`
    package let path: String
    package let summary: String
    package var details = ""
    /// Answered without a key.
    package var isOpen = false
    package var parameters: [Parameter] = []
    package var body: Body?
    package let answers: [Answer]
    /// Beyond those that ``allErrors`` adds to every route of its kind.
    package var errors: [ErrorCode] = []

    /// The names in the path, in its order.
    package var pathParameters: [String] {
        path.split(separator: "/").filter { $0.hasPrefix(":") }.map { String($0.dropFirst()) }
    }

    /// Every error this route can answer.
    package var allErrors: [ErrorCode] {
        var codes: [ErrorCode] = [.badRequest, .payloadTooLarge, .requestHeadersTooLarge, .unsupportedTransferEncoding]
        if !isOpen { codes += [.unauthorized, .rateLimited] }
        if !pathParameters.isEmpty { codes.append(.notFound) }
        if body != nil { codes += [.invalidJSON, .unsupportedMediaType, .validationFailed] }
        if parameters.contains(where: { $0.place == .header }) { codes.append(.invalidHeader) }
        // Whatever asks the registry for something.
        if errors.contains(.unconfirmed) { codes.append(.carriedOut) }
        codes.append(.unavailable)
        return ErrorCode.allCases.filter { codes.contains($0) || errors.contains($0) }
    }

    /// `/v1/webhooks/{webhookId}`, as OpenAPI writes it.
    package var template: String {
        path.split(separator: "/").map { $0.hasPrefix(":") ? "/{\($0.dropFirst())}" : "/\($0)" }.joined()
    }
}
