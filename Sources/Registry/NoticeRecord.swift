// Notices and emails as records. Their ids are derived from webhook and generation, so that a repeated transition
// repeats the id and never multiplies it.
internal import Core
internal import Crypto
internal import JSON

extension Notice {
    var id: NoticeID {
        NoticeID(bytes: Digest.sha256(Array("notice\0\(kind.rawValue)\0\(webhook)\0\(generation)".utf8)))
    }

    var json: [UInt8] {
        JSONWriter.document { writer in
            writer.field("id", id.description)
            writer.field("type", kind.rawValue)
            writer.field("created", at.secondsText)
            writer.field("accountId", account.description)
            writer.field("webhookId", webhook.description)
            writer.object("data") { writer in
                writer.field("reason", reason)
                writer.field("failedAttempts", failedAttempts)
                writer.field("lastError", lastError)
                writer.field("generation", generation)
            }
        }
    }
}

extension EmailOrder {
    static let template = "webhook-disabled"

    var id: EmailID { EmailID(bytes: Digest.sha256(Array("email\0\(Self.template)\0\(webhook)\0\(generation)".utf8))) }

    func json(account: AccountID) -> [UInt8] {
        JSONWriter.document { writer in
            writer.field("id", id.description)
            writer.field("template", Self.template)
            writer.field("to", address)
            writer.field("subject", subject)
            writer.field("text", text)
            writer.field("html", html)
            writer.field("accountId", account.description)
            writer.field("webhookId", webhook.description)
            writer.field("createdAt", at.secondsText)
        }
    }

    private var subject: String { "Your Learnault webhook \(webhook) was disabled" }

    private var paragraphs: [String] {
        [
            "We could not deliver events to your webhook, so it was disabled and nothing more is sent to it.",
            "Webhook: \(webhook)",
            "Endpoint: \(url)",
            "Failing since: \(order.failingSince.secondsText)",
            "Attempts for the event that was given up: \(order.failedAttempts)",
            "Last error: \(order.lastError)",
        ]
    }

    private var steps: [(label: String, request: String)] {
        [
            ("Test your endpoint", "POST /v1/webhooks/\(webhook)/test"),
            ("Enable the webhook again", "PATCH /v1/webhooks/\(webhook) with {\"isActive\":true}"),
            (
                "Have what was missed sent again",
                "POST /v1/webhooks/\(webhook)/replay with {\"since\":\"\(order.failingSince.secondsText)\"}"
            ),
        ]
    }

    var text: String {
        let list = steps.enumerated().map { "\($0.offset + 1). \($0.element.label):\n   \($0.element.request)" }
        return paragraphs.joined(separator: "\n") + "\n\nOnce your endpoint works again:\n\n"
            + list.joined(separator: "\n") + "\n\nEvery attempt and its answer: GET /v1/webhooks/\(webhook)/logs\n"
    }

    var html: String {
        let facts = paragraphs.dropFirst().map { line -> String in
            let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
            return
                "<tr><th align=\"left\">\(escaped(parts[0]))</th><td>\(escaped(parts.count > 1 ? parts[1] : ""))</td></tr>"
        }
        let list = steps.map { "<li>\(escaped($0.label)):<br><code>\(escaped($0.request))</code></li>" }
        return
            "<!doctype html><html><body style=\"font-family:sans-serif;max-width:40em\"><h1 style=\"font-size:1.3em\">\(escaped(subject))</h1>"
            + "<p>\(escaped(paragraphs[0]))</p><table cellpadding=\"4\">\(facts.joined())</table>"
            + "<p>Once your endpoint works again:</p><ol>\(list.joined())</ol>"
            + "<p>Every attempt and its answer: <code>GET /v1/webhooks/\(webhook)/logs</code></p></body></html>"
    }

    private func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
