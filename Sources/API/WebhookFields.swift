// The fields of a webhook as callers send them: what is allowed in each.
internal import Core
internal import JSON

struct NewWebhookFields: Equatable {
    var url: String
    var description: String?
    var events: [String]
    var isActive: Bool
    var version: String
}

/// Reads the documented bodies. `judgeURL` answers why a URL is refused, nil when it is fine.
struct WebhookFields: Sendable {
    static let maxDescription = 512
    static let maxEvents = 64
    static let version = "1.0"

    let judgeURL: @Sendable (String) -> String?

    /// The body of `POST /v1/webhooks`.
    func new(_ body: inout RequestBody) -> NewWebhookFields? {
        let url = url(&body, isRequired: true)
        let description = description(&body)
        let events = events(&body, isRequired: true)
        let isActive = body.boolean("isActive")
        let version = body.string("version")
        if let version, version != Self.version { body.fault("/version", "must be \"\(Self.version)\"") }
        guard let url, let events else { return nil }
        return NewWebhookFields(
            url: url, description: description ?? nil, events: events, isActive: isActive ?? true,
            version: Self.version)
    }

    /// The body of `PATCH /v1/webhooks/:webhookId`.
    func patch(_ body: inout RequestBody) -> WebhookPatch? {
        WebhookPatch(
            url: url(&body, isRequired: false), description: description(&body),
            events: events(&body, isRequired: false), isActive: body.boolean("isActive"))
    }

    private func url(_ body: inout RequestBody, isRequired: Bool) -> String? {
        guard let url = body.string("url", isRequired: isRequired) else { return nil }
        if let cause = judgeURL(url) {
            body.fault("/url", cause)
            return nil
        }
        return url
    }

    /// The inner nil is a null that was sent: no description.
    private func description(_ body: inout RequestBody) -> String?? {
        guard let value = body.member("description") else { return .none }
        if value.isNull { return .some(nil) }
        guard let text = value.string else {
            body.fault("/description", "must be a string or null")
            return .none
        }
        guard text.unicodeScalars.count <= Self.maxDescription else {
            body.fault("/description", "must have at most \(Self.maxDescription) characters")
            return .none
        }
        return text
    }

    private func events(_ body: inout RequestBody, isRequired: Bool) -> [String]? {
        guard let value = body.member("events", isRequired: isRequired) else { return nil }
        guard value.isArray else {
            body.fault("/events", "must be an array of event types")
            return nil
        }
        let elements = value.elements
        guard !elements.isEmpty else {
            body.fault("/events", "must name at least one event type, or \"*\" for all")
            return nil
        }
        guard elements.count <= Self.maxEvents else {
            body.fault("/events", "must have at most \(Self.maxEvents) entries")
            return nil
        }
        var events: [String] = []
        for (index, element) in elements.enumerated() {
            guard let name = element.string else {
                body.fault("/events/\(index)", "must be a string")
                continue
            }
            if !EventTypes.isKnown(name) {
                body.fault(
                    "/events/\(index)",
                    "is not an event type; use a documented one such as \"module.completed\", a family such as \"module.*\", or \"*\""
                )
            } else if events.contains(name) {
                body.fault("/events/\(index)", "is in the list already")
            }
            events.append(name)
        }
        return events
    }
}
