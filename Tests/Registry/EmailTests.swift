// What the account is told: both emails whole, in both forms, with nothing of a subscriber's text at work in them.
import Core
import JSON
import Registry
import Testing

@Suite struct EmailTests {
    private let account = AccountID("acct_000000000000000000000001")!
    private let webhook = WebhookID("wh_00000000000000000000002a")!
    private let began = Timestamp(rfc3339: "2024-01-15T10:30:00.412Z")!
    private let ended = Timestamp(rfc3339: "2024-01-17T07:05:35Z")!

    private struct Email {
        var id = ""
        var subject = ""
        var text = ""
        var html = ""
    }

    /// The email that the registry writes for an order to a webhook at this URL.
    private func email(
        _ change: Command.Change, url: String = "https://example.com/hook", generation: Int = 1, api: String? = nil
    ) throws -> Email {
        var state = RegistryState(webhooksPerAccount: 10)
        state.load(Account(id: account, email: "ops@example.com", name: nil, keys: [], createdAt: began))
        state.load(
            Webhook(
                id: webhook, account: account, url: url, description: nil, events: ["*"], isActive: true,
                version: "1.0",
                generation: generation, createdAt: began, updatedAt: began, secrets: []))
        let command = Command(
            id: CommandID(high: 1, low: 1), account: account, at: ended, notAfter: nil, change: change)
        for case .email(let owner, let order) in state.apply(command, now: ended).actions {
            return try order.json(account: owner, api: api).withUnsafeBytes { bytes in
                try JSONParser().parse(bytes) { json in
                    #expect(
                        json["to"]?.string == "ops@example.com" && json["createdAt"]?.string == "2024-01-17T07:05:35Z")
                    #expect(json["accountId"]?.string == account.description)
                    #expect(json["webhookId"]?.string == webhook.description)
                    return Email(
                        id: json["id"]?.string ?? "", subject: json["subject"]?.string ?? "",
                        text: json["text"]?.string ?? "", html: json["html"]?.string ?? "")
                }
            }
        }
        Issue.record("no email")
        return Email()
    }

    private func disable(_ lastError: String = "HTTP 500", generation: Int = 1) -> Command.Change {
        .disableWebhook(
            webhook,
            DisableOrder(
                generation: generation, reason: "too many failures", failedAttempts: 9, lastError: lastError,
                failingSince: began))
    }

    private func warn(_ lastError: String = "HTTP 500", generation: Int = 1) -> Command.Change {
        .warnWebhook(
            webhook,
            WarnOrder(
                generation: generation, failedAttempts: 8, lastError: lastError, failingSince: began,
                lastAttemptAt: ended))
    }

    private let key = "-H \"Authorization: Bearer $KEY\""
    private let json = "-H 'Content-Type: application/json'"

    @Test func aDisabledWebhooksMailSaysWhatHappenedAndWhatToDo() throws {
        let email = try email(disable())
        #expect(email.subject == "Your Learnault webhook \(webhook) was disabled")
        let base = "\"$API/v1/webhooks/\(webhook)"
        for line in [
            "all 9 attempts failed", webhook.description, "https://example.com/hook", "2024-01-15 10:30:00 UTC",
            "2024-01-17 07:05:35 UTC", "HTTP 500", account.description, "https://docs.learnault.io/webhooks",
            "curl -X POST \(base)/test\" \(key) \(json) -d '{\"wait\":true}'",
            "curl -X PATCH \(base)\" \(key) \(json) -d '{\"isActive\":true}'",
            // From five minutes before the first attempt: the event was on its topic before it.
            "curl -X POST \(base)/replay\" \(key) \(json) "
                + "-d \"{\\\"since\\\":\\\"2024-01-15T10:25:00Z\\\",\\\"until\\\":\\\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\\\"}\"",
        ] {
            #expect(unwrapped(email.text).contains(line), "\(line)")
            #expect(unwrapped(email.html).contains(escaped(line)), "\(line)")
        }
    }

    @Test func aFailingWebhooksMailSaysWhatIsLeft() throws {
        let email = try email(warn(), api: "https://api.example.com")
        #expect(email.subject == "Your Learnault webhook \(webhook) is failing")
        for line in [
            "8 attempts failed", "One more is made at 2024-01-17 07:05:35 UTC", "2024-01-15 10:30:00 UTC", "HTTP 500",
            "curl \"https://api.example.com/v1/webhooks/\(webhook)/logs?status=failed\" \(key)",
            "curl -X POST \"https://api.example.com/v1/webhooks/\(webhook)/test\" \(key)",
        ] {
            #expect(unwrapped(email.text).contains(line), "\(line)")
            #expect(unwrapped(email.html).contains(escaped(line)), "\(line)")
        }
        #expect(!email.text.contains("$API") && !email.html.contains("$API"), "the address is known")
    }

    @Test func idsTellTemplatesAndGenerationsApart() throws {
        let ids = try [
            email(disable()), email(warn()), email(disable(generation: 2), generation: 2),
            email(warn(generation: 2), generation: 2),
        ].map(\.id)
        #expect(Set(ids).count == 4 && ids.allSatisfy { EmailID($0) != nil })
        #expect(try email(disable("HTTP 503")).id == ids[0], "a repeated transition repeats it")
    }

    @Test(arguments: [
        "</td><script>alert(1)</script>", "\" onload=\"x", "' onload='x", "&lt;b&gt;", "<!--", "a\u{0}b\u{1B}[2J",
    ])
    func nothingInItIsMarkup(_ hostile: String) throws {
        for change in [disable(hostile), warn(hostile)] {
            let email = try email(change, url: "https://example.com/\(hostile)")
            let plain = try self.email(change.plain)
            // As many tags as without it.
            #expect(email.html.count { $0 == "<" } == plain.html.count { $0 == "<" })
            #expect(email.html.count { $0 == "\"" } == plain.html.count { $0 == "\"" })
            #expect(email.html.unicodeScalars.allSatisfy { $0.value >= 0x20 || $0 == "\n" })
        }
    }

    @Test func aQueryOfTheEndpointStaysAtHome() throws {
        let email = try email(disable(), url: "https://example.com/hook?token=hunter2")
        #expect(!email.text.contains("hunter2") && !email.html.contains("hunter2"))
        #expect(email.text.contains("https://example.com/hook?…"))
    }

    private func unwrapped(_ text: String) -> String {
        text.replacing(" \\\n", with: " ").replacing(" \\<br>", with: " ").replacing("\n", with: " ").split(
            separator: " "
        ).joined(separator: " ")
    }

    private func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;").replacing("'", with: "&#39;")
    }
}

extension Command.Change {
    /// The same order with a harmless error.
    fileprivate var plain: Command.Change {
        switch self {
        case .disableWebhook(let id, var order):
            order.lastError = "x"
            return .disableWebhook(id, order)
        case .warnWebhook(let id, var order):
            order.lastError = "x"
            return .warnWebhook(id, order)
        default: return self
        }
    }
}
