// The shapes of bodies, named as in the OpenAPI document. What is checked is written in the handlers
// (`WebhookFields`, `LogQuery`, `ReplayRequest`); tests hold the two together.
internal import Core

enum Schemas {
    /// In the document's order.
    static let all: [(name: String, value: JSONLiteral)] = parts + requests + answers

    private static let answers: [(name: String, value: JSONLiteral)] = [
        ("CreatedWebhookAnswer", data("CreatedWebhook")), ("WebhookAnswer", data("Webhook")),
        ("WebhookWithHealth", data("HealthyWebhook")), ("WebhookList", list("Webhook")),
        ("RotatedSecretAnswer", data("RotatedSecret")), ("TestAcceptedAnswer", data("TestAccepted")),
        ("TestAttemptAnswer", data("LogEntry")), ("RetryAnswer", data("RetriedDelivery")),
        ("ReplayAnswer", data("Replay")), ("EventTypesAnswer", list("EventType")),
        ("IPRangesAnswer", data("IPRanges")), ("LogAnswer", logAnswer), ("OpenAPI", openAPI), ("Error", error),
    ]

    private static let openAPI: JSONLiteral = [
        "type": "object", "description": "An OpenAPI 3.1 document.",
        "properties": ["openapi": ["type": "string", "pattern": "^3\\.1\\."]], "required": ["openapi"],
    ]

    /// The documentation's example.
    static let registration: JSONLiteral = [
        "url": "https://yourapp.com/webhooks/learnault", "description": "Production webhook",
        "events": ["module.completed", "reward.issued", "credential.issued"], "isActive": true, "version": "1.0",
    ]

    // MARK: Making schemas

    static func reference(_ name: String) -> JSONLiteral { ["$ref": .text("#/components/schemas/\(name)")] }

    private static func object(
        _ properties: JSONLiteral, required: [String]? = nil, _ description: String = ""
    ) -> JSONLiteral {
        guard case .object(let members) = properties else { preconditionFailure("an object's members") }
        var schema: [(name: String, value: JSONLiteral)] = [("type", "object")]
        if !description.isEmpty { schema.append(("description", .text(description))) }
        schema.append(("properties", properties))
        let names = required ?? members.map { $0.name }
        if !names.isEmpty { schema.append(("required", .list(names.map { .text($0) }))) }
        schema.append(("additionalProperties", false))
        return .object(schema)
    }

    private static func data(_ name: String) -> JSONLiteral {
        object(["success": ["const": true], "data": reference(name)])
    }

    private static func list(_ name: String) -> JSONLiteral {
        object(["success": ["const": true], "data": ["type": "array", "items": reference(name)]])
    }

    static func id(_ prefix: String) -> JSONLiteral {
        ["type": "string", "pattern": .text("^\(prefix)_[0-9a-f]{24}$")]
    }

    private static let time: JSONLiteral = ["type": "string", "format": "date-time"]
    private static let timeOrNull: JSONLiteral = ["type": ["string", "null"], "format": "date-time"]
    private static let count: JSONLiteral = ["type": "integer", "minimum": 0]
    private static let millisecondsOrNull: JSONLiteral = ["type": ["integer", "null"], "minimum": 0]
    private static let secret: JSONLiteral = [
        "type": "string", "pattern": "^whsec_[A-Za-z0-9+/]{43}=$", "description": "Shown here and never again.",
    ]
    private static let eventTypeName: JSONLiteral = [
        "type": "string", "enum": .list(EventTypes.all.map { .text($0.name) }),
    ]

    // MARK: Parts

    /// Types, families and `*`.
    static let subscribable: [String] = {
        var families: [String] = []
        for type in EventTypes.all.map(\.name) {
            let family = "\(type.prefix { $0 != "." }).*"
            if !families.contains(family) { families.append(family) }
        }
        return EventTypes.all.map(\.name) + families + ["*"]
    }()

    private static let url: JSONLiteral = [
        "type": "string", "format": "uri", "maxLength": .integer(EndpointURL.maximumBytes),
        "pattern":
            "^https://([A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?\\.){1,5}[A-Za-z]{2,24}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~!$&'()*+,;=:@/-]*)?(\\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)?$",
        "description":
            "An HTTPS URL with a public host name; the pattern shows the usual form. A public address in place of the name is taken as well. No user, no fragment, no inner names.",
        "examples": ["https://yourapp.com/webhooks/learnault"],
    ]
    private static let description: JSONLiteral = [
        "type": ["string", "null"], "maxLength": .integer(WebhookFields.maxDescription),
    ]
    private static let events: JSONLiteral = [
        "type": "array", "minItems": 1, "maxItems": .integer(WebhookFields.maxEvents), "uniqueItems": true,
        "items": reference("Subscription"),
    ]

    private static let webhookMembers: [(name: String, value: JSONLiteral)] = [
        ("id", id("wh")), ("url", ["type": "string"]), ("description", description), ("events", events),
        ("isActive", ["type": "boolean"]), ("version", ["const": "1.0"]), ("createdAt", time), ("updatedAt", time),
        ("disabledReason", ["type": "string", "description": "Why it was switched off for you, if it was."]),
        ("disabledAt", time),
    ]
    private static let webhookRequired = webhookMembers.dropLast(2).map { $0.name }

    private static let parts: [(name: String, value: JSONLiteral)] = [
        (
            "Subscription",
            [
                "type": "string", "enum": .list(subscribable.map { .text($0) }),
                "description": "An event type, a family of them such as `module.*`, or `*` for all.",
            ]
        ), ("Webhook", object(.object(webhookMembers), required: webhookRequired)),
        ("HealthyWebhook", healthyWebhook), ("Health", health), ("CreatedWebhook", created),
        (
            "RotatedSecret",
            object(
                ["id": id("wh"), "signingSecret": secret, "createdAt": time, "previousSecretExpiresAt": time],
                required: ["id", "signingSecret", "previousSecretExpiresAt"])
        ), ("LogEntry", logEntry), ("TestAccepted", object(["eventId": id("evt")])),
        ("RetriedDelivery", object(["eventId": id("evt"), "deliveryId": id("dlv")])), ("Replay", replay),
        (
            "EventType",
            object([
                "type": eventTypeName, "description": ["type": "string"],
                "schema": ["type": "object", "description": "The JSON Schema (2020-12) of its body."],
                "example": ["type": "object", "description": "A body."],
            ])
        ),
        (
            "IPRanges",
            object([
                "production": ["type": "array", "items": ["type": "string"]],
                "testnet": ["type": "array", "items": ["type": "string"]],
            ])
        ),
    ]

    private static let healthyWebhook: JSONLiteral = {
        let health: JSONLiteral = ["oneOf": [reference("Health"), ["type": "null"]]]
        var members = webhookMembers
        members.append(("health", health))
        return object(.object(members), required: webhookRequired + ["health"])
    }()

    private static let created = object(
        ["id": id("wh"), "url": ["type": "string"], "signingSecret": secret, "events": events, "createdAt": time])

    private static let health = object(
        [
            "state": ["type": "string", "enum": .list(LaneState.allCases.map { .text($0.rawValue) })],
            "queued": count, "deferred": count, "nextProbeAt": timeOrNull, "lastSuccessAt": timeOrNull,
            "lastError": ["type": ["string", "null"]], "lastErrorAt": timeOrNull,
            "p50": millisecondsOrNull, "p99": millisecondsOrNull, "at": timeOrNull,
        ], "As of the last attempt, which `at` tells; times in milliseconds.")

    private static let logEntry = object(
        [
            "eventId": id("evt"), "eventType": eventTypeName, "attempt": ["type": "integer", "minimum": 1],
            "status": ["type": "string", "enum": ["delivered", "failed"]],
            "responseCode": ["type": ["integer", "null"], "minimum": 100, "maximum": 599],
            "responseTime": ["type": "integer", "minimum": 0, "description": "Milliseconds."],
            "error": ["type": "string"], "timestamp": time,
            "responseHeaders": [
                "type": ["object", "null"], "additionalProperties": ["type": "string"],
                "description": "Of failed attempts and tests.",
            ],
            "responseBody": [
                "type": ["string", "null"], "description": "The beginning of it, of failed attempts and tests.",
            ],
        ], required: ["eventId", "eventType", "attempt", "status", "responseCode", "timestamp"])

    private static let replay = object(
        [
            "id": id("rpl"),
            "status": ["type": "string", "enum": .list(Replay.Status.allCases.map { .text($0.rawValue) })],
            "reason": ["type": "string"], "dryRun": ["type": "boolean"], "since": time, "until": time,
            "from": ["type": "string", "format": "date-time", "description": "Since when nothing is missing."],
            "createdAt": time, "endedAt": time,
            "counts": object(["records": count, "read": count, "events": count, "unmappable": count]),
        ], required: ["id", "status", "dryRun", "since", "until", "from", "createdAt", "counts"])

    private static let logAnswer = object([
        "status": ["const": "success"], "data": ["type": "array", "items": reference("LogEntry")],
        "pagination": object(["page": count, "limit": count, "total": count]),
    ])

    private static let error = object([
        "success": ["const": false], "status": ["const": "error"],
        "error": object([
            "code": ["type": "string", "description": "For programs."],
            "message": ["type": "string", "description": "For people."],
            "details": ["type": "object", "description": "What both may want to know more."],
        ]),
    ])

    // MARK: Requests

    private static let requests: [(name: String, value: JSONLiteral)] = [
        (
            "NewWebhook",
            object(
                [
                    "url": url, "description": description, "events": events,
                    "isActive": ["type": "boolean", "default": true], "version": ["const": "1.0", "default": "1.0"],
                ], required: ["url", "events"])
        ),
        (
            "WebhookPatch",
            object(
                ["url": url, "description": description, "events": events, "isActive": ["type": "boolean"]],
                required: [])
        ),
        (
            "RotateSecret",
            object(
                ["overlapSeconds": ["type": "integer", "minimum": 0, "maximum": 604_800, "default": 86_400]],
                required: [])
        ),
        (
            "Test",
            object(
                [
                    "event": ["const": "webhook.test"],
                    "wait": [
                        "type": "boolean", "default": false, "description": "Answer when the attempt is made.",
                    ],
                ], required: [])
        ),
        (
            "NewReplay",
            object(
                [
                    "since": [
                        "type": "string", "format": "date-time",
                        "description": "In the past, at most 366 days ago.",
                    ],
                    "until": [
                        "type": "string", "format": "date-time",
                        "description": "After `since` and not in the future; now where it is left out.",
                    ],
                    "dryRun": ["type": "boolean", "default": false],
                ], required: ["since"])
        ), ("Nothing", object([:], required: [])),
    ]
}
