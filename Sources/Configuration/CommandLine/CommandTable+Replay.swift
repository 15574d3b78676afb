// The commands about replays.
internal import Core

extension CommandTable {
    private static let webhook = CommandOption(
        name: "--webhook", value: "wh_…", summary: "whose events, or whose replays", isRequired: true)
    private static let replayID = CommandOption(
        name: "--replay", value: "rpl_…", summary: "this one; without it the newest")

    static let replay = CommandSpecification(
        words: ["replay"], summary: "send a webhook again what happened in a time range",
        details: """
            Translates the domain records of a time range again, with the mapping files of now, for one
            webhook: its account's events of the types it subscribes to, also those older than the webhook.
            The event ids are those of the first time, by which receivers know what they have; the delivery
            ids are new. The range is by the records' Kafka timestamps and ends at the latest now.

            It is run by the process that delivers to the webhook, behind what happens meanwhile and within
            half of the webhook's rate, and goes on after a restart. A webhook has one replay at a time and
            has to be active; one that is switched off or disabled meanwhile ends it.

            Where a topic keeps less than what is asked for, `from` says since when nothing is missing.
            --dry-run sends nothing and waits for the counts. The exit code is 1 where a replay that was
            waited for did not finish.
            """,
        example: """
            webhook-bridge replay --config bridge.json5 --webhook wh_cc6c332d33e76ea0a56ab342 \\
                --since 24h --dry-run
            webhook-bridge replay --config bridge.json5 --webhook wh_cc6c332d33e76ea0a56ab342 \\
                --since 2024-01-15T10:30:00Z --follow
            """,
        options: [
            .config, webhook,
            CommandOption(
                name: "--since", value: "TIME",
                summary: "from this time on, 2024-01-15T10:30:00Z, or for an age, 24h", isRequired: true),
            CommandOption(name: "--until", value: "TIME", summary: "before this time or age; without it until now"),
            CommandOption(name: "--dry-run", value: nil, summary: "send nothing, only count"),
            CommandOption(name: "--follow", value: nil, summary: "stay until its end and say how far it is"),
            .set,
        ]
    ) { options throws(UsageError) in
        guard let since = try time("--since", options) else { throw options.error("'replay' needs --since TIME") }
        return .replay(
            ReplayOptions(
                configuration: options.configuration, webhook: try webhookID(options), since: since,
                until: try time("--until", options), isDryRun: options.has("--dry-run"),
                follows: options.has("--follow")))
    }

    static let replayStatus = CommandSpecification(
        words: ["replay", "status"], summary: "how far a webhook's replays are",
        details: """
            A line for each replay that is remembered of the webhook, the newest last: its status, how many
            records of all accounts were read of how many, and how many events for the webhook were in them.
            """,
        example: "webhook-bridge replay status --config bridge.json5 --webhook wh_cc6c332d33e76ea0a56ab342",
        options: [.config, webhook, replayID, .set]
    ) { options throws(UsageError) in .replayStatus(try choice(options)) }

    static let replayCancel = CommandSpecification(
        words: ["replay", "cancel"], summary: "stop a replay; what it has not delivered is dropped",
        details: """
            Stops the webhook's replay that runs. What of it waits for the webhook's rate is dropped; what
            has been tried and failed is dropped when its retry comes up. One that has ended already is left
            as it is.
            """,
        example: "webhook-bridge replay cancel --config bridge.json5 --webhook wh_cc6c332d33e76ea0a56ab342",
        options: [.config, webhook, replayID, .set]
    ) { options throws(UsageError) in .replayCancel(try choice(options)) }

    private static func choice(_ options: ParsedOptions) throws(UsageError) -> ReplayChoice {
        var replay: ReplayID?
        if let text = options.value("--replay") {
            guard let id = ReplayID(text) else { throw options.error("--replay: '\(text)' is not a replay id") }
            replay = id
        }
        return ReplayChoice(configuration: options.configuration, webhook: try webhookID(options), replay: replay)
    }

    private static func webhookID(_ options: ParsedOptions) throws(UsageError) -> WebhookID {
        let text = options.value("--webhook") ?? ""
        guard let id = WebhookID(text) else { throw options.error("--webhook: '\(text)' is not a webhook id") }
        return id
    }

    private static func time(
        _ name: String, _ options: ParsedOptions
    ) throws(UsageError) -> DeadLetterFilter.Since? {
        guard let text = options.value(name) else { return nil }
        guard let time = DeadLetterFilter.Since(text) else {
            throw options.error(
                "\(name): '\(text)' is neither a time such as 2024-01-15T10:30:00Z nor an age such as 24h")
        }
        return time
    }
}
