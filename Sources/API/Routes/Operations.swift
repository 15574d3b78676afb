// The table of routes: each method of each path, with what it takes and what it answers. The one place to add a route; its
// handler is named in `APIServer.handler(of:)`. `config/openapi.json` is made from here: `webhook-bridge config openapi`.
internal import Core

package enum Operations {
    /// In the order of the documentation.
    package static let all: [Operation] = webhooks + deliveries + replays + reference

    package static func operation(_ name: Operation.Name) -> Operation { all.first { $0.name == name }! }

    // MARK: What several take

    private static let idempotencyKey = Operation.Parameter(
        name: "Idempotency-Key", place: .header,
        summary:
            "1 to 255 printable ASCII characters of your choice, new for each change. The same request with the same key is "
            + "answered as the first was.",
        schema: ["type": "string"])
    private static let ifMatch = Operation.Parameter(
        name: "If-Match", place: .header,
        summary:
            "The `ETag` of the webhook as you know it: the request is carried out only while it still is so. `*`: in any case.",
        schema: ["type": "string"])

    private static let webhook = Operation.Answer(
        status: 200, summary: "The webhook.", schema: "WebhookAnswer", headers: ["ETag"])

    // MARK: Webhooks

    private static let webhooks: [Operation] = [
        Operation(
            name: .createWebhook, method: .post, path: "/v1/webhooks", summary: "Register a webhook",
            details: "The signing secret is in this answer and never again. An account has ten webhooks at most.",
            parameters: [idempotencyKey],
            body: Operation.Body(schema: "NewWebhook", isRequired: true, example: Schemas.registration),
            answers: [
                Operation.Answer(
                    status: 201, summary: "Registered.", schema: "CreatedWebhookAnswer", headers: ["Location", "ETag"])
            ], errors: [.webhookLimitReached, .idempotencyKeyReused, .unconfirmed]),
        Operation(
            name: .listWebhooks, method: .get, path: "/v1/webhooks", summary: "List your webhooks",
            answers: [Operation.Answer(status: 200, summary: "All of them, at most ten.", schema: "WebhookList")]),
        Operation(
            name: .getWebhook, method: .get, path: "/v1/webhooks/:webhookId", summary: "One webhook and how it fares",
            answers: [
                Operation.Answer(
                    status: 200, summary: "The webhook with its health.", schema: "WebhookWithHealth", headers: ["ETag"]
                )
            ], errors: [.webhookNotFound]),
        Operation(
            name: .updateWebhook, method: .patch, path: "/v1/webhooks/:webhookId", summary: "Change a webhook",
            details: "What is left out stays. A webhook that was disabled is switched on again by `isActive: true`.",
            parameters: [idempotencyKey, ifMatch],
            body: Operation.Body(
                schema: "WebhookPatch", isRequired: true,
                example: ["events": ["module.completed", "reward.issued"], "isActive": true]),
            answers: [webhook], errors: [.webhookNotFound, .preconditionFailed, .idempotencyKeyReused, .unconfirmed]),
        Operation(
            name: .deleteWebhook, method: .delete, path: "/v1/webhooks/:webhookId", summary: "Delete a webhook",
            details: "Nothing more is sent to it, also not what waits.", parameters: [idempotencyKey, ifMatch],
            answers: [Operation.Answer(status: 204, summary: "Deleted.")],
            errors: [.webhookNotFound, .preconditionFailed, .idempotencyKeyReused, .unconfirmed]),
        Operation(
            name: .rotateSecret, method: .post, path: "/v1/webhooks/:webhookId/rotate-secret",
            summary: "Make a new signing secret",
            details:
                "The new secret is in this answer and never again. For `overlapSeconds` the old one goes on signing "
                + "`X-Learnault-Signature`, and `webhook-signature` carries both.",
            parameters: [idempotencyKey, ifMatch],
            body: Operation.Body(schema: "RotateSecret", isRequired: false, example: ["overlapSeconds": 86_400]),
            answers: [
                Operation.Answer(
                    status: 200, summary: "The new secret.", schema: "RotatedSecretAnswer", headers: ["ETag"])
            ], errors: [.webhookNotFound, .preconditionFailed, .idempotencyKeyReused, .unconfirmed]),
    ]

    // MARK: Deliveries

    private static let deliveries: [Operation] = [
        Operation(
            name: .testWebhook, method: .post, path: "/v1/webhooks/:webhookId/test", summary: "Send a test event",
            details: "One attempt, which counts nowhere; an inactive webhook is tested as well.",
            parameters: [idempotencyKey, ifMatch],
            body: Operation.Body(schema: "Test", isRequired: false, example: ["event": "webhook.test"]),
            answers: [
                Operation.Answer(
                    status: 200, summary: "With `wait`: the attempt's log entry.", schema: "TestAttemptAnswer"),
                Operation.Answer(
                    status: 202, summary: "The test event is on its way.", schema: "TestAcceptedAnswer"),
            ], errors: [.webhookNotFound, .preconditionFailed, .idempotencyKeyReused, .tooManyTests, .unconfirmed]),
        Operation(
            name: .listAttempts, method: .get, path: "/v1/webhooks/:webhookId/logs", summary: "The delivery log",
            details: "A record for each attempt, newest first.", parameters: logParameters,
            answers: [Operation.Answer(status: 200, summary: "A page of it.", schema: "LogAnswer")],
            errors: [.invalidParameter, .webhookNotFound]),
        Operation(
            name: .retryDelivery, method: .post, path: "/v1/webhooks/:webhookId/deliveries/:eventId/retry",
            summary: "Send one event again", details: "A delivery of its own with all its retries.",
            parameters: [idempotencyKey, ifMatch],
            body: Operation.Body(schema: "Nothing", isRequired: false, example: [:]),
            answers: [Operation.Answer(status: 202, summary: "It is on its way.", schema: "RetryAnswer")],
            errors: [
                .webhookNotFound, .eventNotFound, .webhookInactive, .eventExpired, .preconditionFailed,
                .idempotencyKeyReused, .unconfirmed,
            ]),
    ]

    private static let logParameters: [Operation.Parameter] = [
        query("limit", "Entries on a page.", ["type": "integer", "minimum": 1, "maximum": 100, "default": 50]),
        query("page", "Which page.", ["type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1]),
        query("status", "Only attempts that ended so.", ["type": "string", "enum": ["delivered", "failed"]]),
        query(
            "eventType", "Only events of this type.",
            ["type": "string", "enum": .list(EventTypes.all.map { .text($0.name) })]),
        query("since", "Attempts begun at this time or later.", ["type": "string", "format": "date-time"]),
        query("until", "Attempts begun before this time.", ["type": "string", "format": "date-time"]),
    ]

    private static func query(_ name: String, _ summary: String, _ schema: JSONLiteral) -> Operation.Parameter {
        Operation.Parameter(name: name, place: .query, summary: summary, schema: schema)
    }

    // MARK: Replays

    private static let replays: [Operation] = [
        Operation(
            name: .startReplay, method: .post, path: "/v1/webhooks/:webhookId/replay",
            summary: "Send a time range of events again",
            details: "One at a time for each webhook. With `dryRun` it is counted and nothing is sent.",
            parameters: [idempotencyKey, ifMatch],
            body: Operation.Body(
                schema: "NewReplay", isRequired: true, example: ["since": "2024-01-15T10:30:00Z", "dryRun": true]),
            answers: [
                Operation.Answer(status: 202, summary: "It has begun.", schema: "ReplayAnswer", headers: ["Location"])
            ],
            errors: [
                .webhookNotFound, .webhookInactive, .replayRunning, .replayTooWide, .preconditionFailed,
                .idempotencyKeyReused, .unconfirmed,
            ]),
        Operation(
            name: .getReplay, method: .get, path: "/v1/webhooks/:webhookId/replays/:replayId",
            summary: "How far a replay is",
            answers: [Operation.Answer(status: 200, summary: "The replay.", schema: "ReplayAnswer")],
            errors: [.webhookNotFound, .replayNotFound]),
        Operation(
            name: .cancelReplay, method: .delete, path: "/v1/webhooks/:webhookId/replays/:replayId",
            summary: "Cancel a replay", details: "What of it still waits is dropped.",
            parameters: [idempotencyKey, ifMatch],
            answers: [Operation.Answer(status: 204, summary: "It has ended.")],
            errors: [.webhookNotFound, .replayNotFound, .preconditionFailed, .idempotencyKeyReused, .unconfirmed]),
    ]

    // MARK: What is the same for everybody

    private static let reference: [Operation] = [
        Operation(
            name: .listEventTypes, method: .get, path: "/v1/event-types", summary: "The event types",
            details: "Each with its description, the JSON Schema of its body and an example.",
            answers: [Operation.Answer(status: 200, summary: "All of them.", schema: "EventTypesAnswer")]),
        Operation(
            name: .getIPRanges, method: .get, path: "/v1/ip-ranges", summary: "Where webhooks come from",
            answers: [Operation.Answer(status: 200, summary: "The networks.", schema: "IPRangesAnswer")]),
        Operation(
            name: .getOpenAPI, method: .get, path: "/v1/openapi.json", summary: "This document", isOpen: true,
            answers: [Operation.Answer(status: 200, summary: "OpenAPI 3.1.", schema: "OpenAPI")]),
    ]
}
