// The OpenAPI 3.1 document of the API, made from the table of routes: served at `/v1/openapi.json`, printed by
// `webhook-bridge config openapi`, committed as config/openapi.json.
internal import Core

package enum OpenAPIDocument {
    /// As it is served: on one line.
    package static let bytes: [UInt8] = document.bytes

    /// As it is committed and printed: for people.
    package static var text: String { String(decoding: indented(bytes), as: UTF8.self) }

    private static var document: JSONLiteral {
        [
            "openapi": "3.1.0",
            "info": [
                "title": "Learnault Webhooks", "version": "1.0",
                "description":
                    "Register endpoints, read their delivery logs, have events sent again. https://docs.learnault.io/webhooks",
            ],
            "servers": [["url": "/"]], "security": [["apiKey": []]], "paths": paths,
            "components": [
                "securitySchemes": [
                    "apiKey": [
                        "type": "http", "scheme": "bearer",
                        "description": "Your API key, `lnk_live_…` or `lnk_test_…`.",
                    ]
                ], "parameters": pathParameters, "headers": headers, "responses": sharedResponses,
                "schemas": .object(Schemas.all.map { (name: $0.name, value: $0.value) }),
            ],
        ]
    }

    // MARK: Paths

    private static var paths: JSONLiteral {
        var templates: [String] = []
        for operation in Operations.all where !templates.contains(operation.template) {
            templates.append(operation.template)
        }
        return .object(
            templates.map { template in
                let operations = Operations.all.filter { $0.template == template }
                var members: [(name: String, value: JSONLiteral)] = []
                let names = operations[0].pathParameters
                if !names.isEmpty {
                    members.append(
                        ("parameters", .list(names.map { ["$ref": .text("#/components/parameters/\($0)")] })))
                }
                members += operations.map { ($0.method.rawValue.lowercased(), object(of: $0)) }
                return (name: template, value: .object(members))
            })
    }

    private static func object(of operation: Operation) -> JSONLiteral {
        var members: [(name: String, value: JSONLiteral)] = [
            ("operationId", .text(operation.name.rawValue)), ("summary", .text(operation.summary)),
        ]
        if !operation.details.isEmpty { members.append(("description", .text(operation.details))) }
        if operation.isOpen { members.append(("security", [])) }
        if !operation.parameters.isEmpty { members.append(("parameters", .list(operation.parameters.map(object)))) }
        if let body = operation.body {
            members.append(
                (
                    "requestBody",
                    [
                        "required": .flag(body.isRequired),
                        "content": [
                            "application/json": ["schema": Schemas.reference(body.schema), "example": body.example]
                        ],
                    ]
                ))
        }
        members.append(("responses", .object(responses(of: operation))))
        return .object(members)
    }

    private static func object(of parameter: Operation.Parameter) -> JSONLiteral {
        [
            "name": .text(parameter.name), "in": .text(parameter.place.rawValue),
            "description": .text(parameter.summary), "schema": parameter.schema,
        ]
    }

    private static let pathParameters: JSONLiteral = [
        "webhookId": path("webhookId", Schemas.id("wh"), "The webhook, as registration answered it."),
        "eventId": path("eventId", Schemas.id("evt"), "The event, as its body and the log name it."),
        "replayId": path("replayId", Schemas.id("rpl"), "The replay, as its start answered it."),
    ]

    private static func path(_ name: String, _ schema: JSONLiteral, _ summary: String) -> JSONLiteral {
        [
            "name": .text(name), "in": "path", "required": true, "description": .text(summary), "schema": schema,
        ]
    }

    // MARK: Responses

    private static func responses(of operation: Operation) -> [(name: String, value: JSONLiteral)] {
        let limits = operation.isOpen ? [] : rateLimitHeaders
        var responses = operation.answers.map { answer in
            var members: [(name: String, value: JSONLiteral)] = [("description", .text(answer.summary))]
            let names = answer.headers + limits
            if !names.isEmpty { members.append(("headers", references(names))) }
            if let schema = answer.schema {
                members.append(("content", ["application/json": ["schema": Schemas.reference(schema)]]))
            }
            return (name: "\(answer.status)", value: JSONLiteral.object(members))
        }
        for codes in errors(of: operation) {
            let name = responseName(codes, isOpen: operation.isOpen)
            responses.append(("\(codes[0].status)", ["$ref": .text("#/components/responses/\(name)")]))
        }
        return responses
    }

    /// By status, which is the same within each.
    private static func errors(of operation: Operation) -> [[ErrorCode]] {
        let errors = operation.allErrors
        return Set(errors.map(\.status)).sorted().map { status in errors.filter { $0.status == status } }
    }

    /// Routes with the same errors share a response.
    private static func responseName(_ codes: [ErrorCode], isOpen: Bool) -> String {
        codes.map(\.rawValue).joined(separator: ".") + (isOpen ? ".open" : "")
    }

    private static var sharedResponses: JSONLiteral {
        var responses: [(name: String, value: JSONLiteral)] = []
        for operation in Operations.all {
            for codes in errors(of: operation) {
                let name = responseName(codes, isOpen: operation.isOpen)
                guard !responses.contains(where: { $0.name == name }) else { continue }
                responses.append((name, response(of: codes, operation.isOpen ? [] : rateLimitHeaders)))
            }
        }
        return .object(responses)
    }

    private static func response(of codes: [ErrorCode], _ limits: [String]) -> JSONLiteral {
        let status = codes[0].status
        let text = codes.map { "`\($0.rawValue)`: \($0.summary)" }.joined(separator: "\n\n")
        let code: JSONLiteral = ["enum": .list(codes.map { .text($0.rawValue) })]
        var names = status == 401 ? ["WWW-Authenticate"] : limits
        if status == 429 || status == 503 { names.append("Retry-After") }
        let schema: JSONLiteral = [
            "allOf": [
                Schemas.reference("Error"),
                ["properties": ["error": ["properties": ["code": code]]]],
            ]
        ]
        var members: [(name: String, value: JSONLiteral)] = [("description", .text(text))]
        if !names.isEmpty { members.append(("headers", references(names))) }
        members.append(("content", ["application/json": ["schema": schema]]))
        return .object(members)
    }

    private static let rateLimitHeaders = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]

    private static func references(_ names: [String]) -> JSONLiteral {
        .object(names.map { (name: $0, value: ["$ref": .text("#/components/headers/\($0)")]) })
    }

    private static let headers: JSONLiteral = [
        "X-RateLimit-Limit": header("integer", "Requests a minute that the key has."),
        "X-RateLimit-Remaining": header("integer", "How many of them are left."),
        "X-RateLimit-Reset": header("integer", "When all of them are there again, in seconds since 1970."),
        "Retry-After": header("integer", "Seconds to wait."),
        "WWW-Authenticate": header("string", "`Bearer`."),
        "Location": header("string", "The path of what was made."),
        "ETag": header("string", "The webhook as it is now, for `If-Match`."),
    ]

    private static func header(_ type: String, _ summary: String) -> JSONLiteral {
        ["description": .text(summary), "schema": ["type": .text(type)]]
    }
}
