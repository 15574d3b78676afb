// Webhooks and attempts as the API writes them. A signing secret has one place here: the answer that made it.
internal import Core
internal import HTTPServer
internal import JSON

extension JSONWriter {
    /// A webhook in list, get and patch.
    /// - Parameter more: members that follow its own.
    mutating func webhook(_ webhook: Webhook, _ more: (inout JSONWriter) -> Void = { _ in }) {
        object { json in
            json.field("id", webhook.id.description)
            json.field("url", webhook.url)
            json.field("description", webhook.description)
            json.field("events", webhook.events)
            json.field("isActive", webhook.isActive)
            json.field("version", webhook.version)
            json.field("createdAt", webhook.createdAt.secondsText)
            json.field("updatedAt", webhook.updatedAt.secondsText)
            if let disabled = webhook.disabled {
                json.field("disabledReason", disabled.reason)
                json.field("disabledAt", disabled.at.secondsText)
            }
            more(&json)
        }
    }

    /// A log entry, as documented; of a failed attempt and a test also what the endpoint answered.
    mutating func logEntry(_ row: AttemptRow) {
        object { json in
            json.field("eventId", row.event.description)
            json.field("eventType", row.eventType)
            json.field("attempt", row.attempt)
            json.field("status", row.isDelivered ? "delivered" : "failed")
            json.key("responseCode")
            if let code = row.responseCode { json.integer(code) } else { json.null() }
            if let time = row.responseTime { json.field("responseTime", time) }
            if !row.isDelivered, let error = row.error { json.field("error", error) }
            json.field("timestamp", row.at.secondsText)
            if let response = row.response {
                json.object("responseHeaders") { json in
                    for header in response.headers {
                        json.key(header.name)
                        json.string(header.value)
                    }
                }
                json.field("responseBody", response.body)
            }
        }
    }
}

extension HTTPServerResponse {
    /// `{"success":true,"data":…}`
    static func data(_ status: Int, _ value: (inout JSONWriter) -> Void) -> HTTPServerResponse {
        .json(
            status,
            JSONWriter.document { json in
                json.field("success", true)
                json.key("data")
                value(&json)
            })
    }

    /// The documented answer to a registration: the only one with the signing secret.
    static func created(_ webhook: Webhook, signingSecret: String) -> HTTPServerResponse {
        var response = data(201) { json in
            json.object { json in
                json.field("id", webhook.id.description)
                json.field("url", webhook.url)
                json.field("signingSecret", signingSecret)
                json.field("events", webhook.events)
                json.field("createdAt", webhook.createdAt.secondsText)
            }
        }
        response.headers.append("Location", "/v1/webhooks/\(webhook.id)")
        return response
    }

    /// The documented log, which is shaped differently from the rest.
    static func logs(_ page: LogPage, number: Int, limit: Int) -> HTTPServerResponse {
        .json(
            200,
            JSONWriter.document { json in
                json.field("status", "success")
                json.key("data")
                json.beginArray()
                for row in page.rows { json.logEntry(row) }
                json.endArray()
                json.object("pagination") { json in
                    json.field("page", number)
                    json.field("limit", limit)
                    json.field("total", page.total)
                }
            })
    }
}
