// What the two emails say: that a webhook is about to be disabled, and that it was. Every step is a command to paste.
internal import Core

extension EmailOrder {
    func page(account: AccountID, api: String?) -> EmailPage {
        let commands = EmailCommands(webhook: webhook, api: api)
        var page = EmailPage(
            subject: "", heading: "", lead: "", facts: facts, stepsTitle: "", steps: [], notes: [],
            footer: "This was sent to the address of account \(account), which owns the webhook.")
        switch template {
        case .disabled:
            page.subject = "Your Learnault webhook \(webhook) was disabled"
            page.heading = "Your webhook was disabled"
            page.lead =
                "An event could not be delivered to your webhook: all \(failedAttempts) attempts failed. So the webhook "
                + "was disabled, and nothing more is sent to it until you enable it again."
            page.stepsTitle = "Once your endpoint works again"
            page.steps = [
                EmailPage.Step(
                    title: "Test it",
                    text: "Sends one webhook.test event, also while the webhook is disabled, and answers how it went.",
                    command: commands.test),
                EmailPage.Step(
                    title: "Enable the webhook", text: "Events that happen from then on are delivered as before.",
                    command: commands.enable),
                EmailPage.Step(
                    title: "Replay what was missed",
                    text:
                        "Sends what happened since the failures began. Events keep their ids, so that your endpoint knows "
                        + "those it has seen. With \"dryRun\":true added it only counts them.",
                    command: commands.replay(since: replaySince)),
            ]
        case .failing:
            page.subject = "Your Learnault webhook \(webhook) is failing"
            page.heading = "Your webhook is failing"
            page.lead =
                "An event could not be delivered to your webhook: \(failedAttempts) attempts failed. One more is made at "
                + "\(Self.people(lastAttemptAt ?? at)). If that fails too, the webhook is disabled, and nothing more is "
                + "sent to it."
            page.stepsTitle = "To keep it"
            page.steps = [
                EmailPage.Step(
                    title: "See what went wrong", text: "The log has every attempt and its error.",
                    command: commands.failures),
                EmailPage.Step(
                    title: "Test your endpoint", text: "Sends one webhook.test event and answers how it went.",
                    command: commands.test),
            ]
            page.notes.append(
                "Once your endpoint answers again nothing more is to be done: what waits is delivered when its next attempt "
                    + "is due.")
        }
        page.notes.append(commands.legend)
        return page
    }

    private var facts: [EmailPage.Fact] {
        var facts = [
            EmailPage.Fact(label: "Webhook", value: webhook.description),
            EmailPage.Fact(label: "Endpoint", value: Self.shown(url)),
            EmailPage.Fact(label: "Failing since", value: Self.people(failingSince)),
            EmailPage.Fact(label: "Failed attempts", value: "\(failedAttempts)"),
            EmailPage.Fact(label: "Last error", value: lastError),
        ]
        switch template {
        case .disabled: facts.append(EmailPage.Fact(label: "Disabled", value: Self.people(at)))
        case .failing: facts.append(EmailPage.Fact(label: "Final attempt", value: Self.people(lastAttemptAt ?? at)))
        }
        return facts
    }

    /// An event is on its topic a little before its first attempt; five minutes are the contract's slack elsewhere too.
    private var replaySince: Timestamp { failingSince.adding(milliseconds: -300_000) }

    /// A query may carry a credential, and mail is read by many machines on its way.
    private static func shown(_ url: String) -> String {
        guard let query = url.firstIndex(of: "?") else { return url }
        return url[..<query] + "?…"
    }

    /// `2024-01-17 07:05:35 UTC`
    private static func people(_ time: Timestamp) -> String {
        time.secondsText.dropLast().split(separator: "T").joined(separator: " ") + " UTC"
    }
}

/// The API's calls as lines for a shell, continued so that none has to be broken where it is shown.
private struct EmailCommands {
    let webhook: WebhookID
    let api: String?

    private static let key = "-H \"Authorization: Bearer $KEY\""

    var test: String { post("/test", "'{\"wait\":true}'") }
    var enable: String { call("-X PATCH ", "", "'{\"isActive\":true}'") }
    var failures: String { call("", "/logs?status=failed", nil) }

    func replay(since: Timestamp) -> String {
        let now = "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
        return post("/replay", #""{\"since\":\"\#(since.secondsText)\",\"until\":\"\#(now)\"}""#)
    }

    private func post(_ path: String, _ body: String) -> String { call("-X POST ", path, body) }

    private func call(_ method: String, _ path: String, _ body: String?) -> String {
        var lines = ["curl \(method)\"\(api ?? "$API")/v1/webhooks/\(webhook)\(path)\"", Self.key]
        if let body { lines += ["-H 'Content-Type: application/json'", "-d \(body)"] }
        return lines.joined(separator: " \\\n  ")
    }

    var legend: String {
        let address = api == nil ? " and $API for the API's address" : ""
        return "In the commands, $KEY stands for your API key\(address)."
    }
}
