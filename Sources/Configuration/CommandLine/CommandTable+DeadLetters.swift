// The commands about dead letters.
internal import Core

extension CommandTable {
    private static let position = CommandOperand(
        form: "PARTITION/OFFSET", summary: "a letter, as `dead-letters list` names it", isRequired: true,
        isRepeatable: false)

    private static let filters = [
        CommandOption(name: "--topic", value: "TOPIC", summary: "only what came from this domain topic"),
        CommandOption(name: "--webhook", value: "wh_…", summary: "only deliveries to this webhook"),
        CommandOption(name: "--reason", value: "REASON", summary: "only this reason, for instance unmappable"),
        CommandOption(name: "--event", value: "evt_…", summary: "only this event"),
        CommandOption(
            name: "--since", value: "TIME",
            summary: "only what was written since a time, 2024-01-15T10:30:00Z, or for an age, 24h"),
    ]
    private static let mostListed = 10_000
    private static let listed = 50

    static let deadLettersList = CommandSpecification(
        words: ["dead-letters", "list"], summary: "what could not be mapped or delivered, and why",
        details: """
            A line for each letter, the newest last: where it stands on the topic dead-letters, which is
            its name for show and retry, when it was written, why, and what it was made from: the domain
            record's topic/partition/offset, or the webhook of a delivery that was given up. Then how many
            there are for each reason. Payloads are not shown. A terminal gets times and messages cut to
            its width; files, pipes and --json get them whole.

            Reasons: \(DeadLetterReason.allCases.prefix(4).map(\.rawValue).joined(separator: ", ")),
            \(DeadLetterReason.allCases.dropFirst(4).map(\.rawValue).joined(separator: ", ")).

            --json writes an object a line with letter, writtenAt, reason, message, origin, webhookId,
            accountId, eventId, eventType, attempt, bytes and originalBytes; null is for what is unknown.
            """,
        example: """
            webhook-bridge dead-letters list --config bridge.json5 --since 24h
            webhook-bridge dead-letters list --config bridge.json5 --reason unmappable --json
            """,
        options: [.config] + filters + [
            CommandOption(
                name: "--limit", value: "N", summary: "no more than the newest N, \(listed) if none is given"),
            CommandOption(name: "--json", value: nil, summary: "a JSON object a line, for scripts"),
            .set,
        ]
    ) { options throws(UsageError) in
        let text = options.value("--limit") ?? "\(listed)"
        guard let limit = Int(text), (1...mostListed).contains(limit) else {
            throw options.error("--limit: '\(text)' is not a number from 1 to \(mostListed)")
        }
        return .deadLettersList(
            DeadLetterListOptions(
                configuration: options.configuration, filter: try filter(options), limit: limit,
                asJSON: options.has("--json")))
    }

    static let deadLettersShow = CommandSpecification(
        words: ["dead-letters", "show"], summary: "one dead letter with its headers and its value",
        details: """
            Writes the headers, a line each, an empty line, and the value as it is: the original bytes of
            a record, or the body of a delivery that was given up. Bytes in headers that are no text are
            written \\xff. A record's own headers are there as source.NAME, its key as source-key, its
            time as source-timestamp.

            A record longer than 64 KiB and than limits.payloadBytes is kept up to its first 64 KiB, with
            its length in the header size; of headers 64 are kept with 32 KiB together, and a key up to
            16 KiB. The record itself is where the header origin says.
            """,
        example: """
            webhook-bridge dead-letters show 3/12 --config bridge.json5
            webhook-bridge dead-letters show 3/12 --config bridge.json5 --value > record.json
            """,
        operand: position,
        options: [
            .config, CommandOption(name: "--value", value: nil, summary: "only the value, byte for byte"), .set,
        ]
    ) { options throws(UsageError) in
        .deadLettersShow(
            DeadLetterShowOptions(
                configuration: options.configuration, position: try positions(options)[0],
                valueOnly: options.has("--value")))
    }

    static let deadLettersRetry = CommandSpecification(
        words: ["dead-letters", "retry"], summary: "translate or deliver dead letters again, after a fix",
        details: """
            Translates what was unmappable, had no audience or was too large again, with the mapping files
            of now and the record's own origin, time, key and headers, for the webhooks that are there
            now; none gets a record older than its creation. Deliveries that were given up are sent again
            as a new delivery of the same event with all its retries; their webhook must be active.

            What still cannot be mapped says why; nothing of it is sent, no new letter is made, and the
            exit code is 1. A letter is said to be sent when the broker has it. Letters stay where they
            are: retrying one twice sends it twice, with the same event and delivery ids, by which
            receivers know it. Letters written after the start are left alone.
            """,
        example: """
            webhook-bridge dead-letters retry 3/12 0/7 --config bridge.json5
            webhook-bridge dead-letters retry --all --since 24h --config bridge.json5 --dry-run
            """,
        operand: CommandOperand(
            form: "PARTITION/OFFSET", summary: "letters, as `dead-letters list` names them", isRequired: false,
            isRepeatable: true),
        options: [
            CommandOption(
                name: "--all", value: nil, summary: "instead: every letter that the options below let through"),
            .config,
        ] + filters + [
            CommandOption(name: "--dry-run", value: nil, summary: "send nothing, only say what would be sent"), .set,
        ]
    ) { options throws(UsageError) in
        let selection: DeadLetterRetryOptions.Selection
        if options.has("--all") {
            guard options.operands.isEmpty else { throw options.error("--all goes without PARTITION/OFFSET") }
            selection = .all(try filter(options))
        } else {
            if let given = filters.first(where: { options.value($0.name) != nil }) {
                throw options.error("\(given.name) goes with --all only")
            }
            guard !options.operands.isEmpty else {
                throw options.error("'dead-letters retry' needs PARTITION/OFFSET or --all")
            }
            selection = .positions(try positions(options))
        }
        return .deadLettersRetry(
            DeadLetterRetryOptions(
                configuration: options.configuration, selection: selection, isDryRun: options.has("--dry-run")))
    }

    /// The letters named, each once, in their order on the topic.
    private static func positions(_ options: ParsedOptions) throws(UsageError) -> [DeadLetterPosition] {
        var positions: Set<DeadLetterPosition> = []
        for text in options.operands {
            guard let position = DeadLetterPosition(text) else {
                throw options.error("'\(text)' is not PARTITION/OFFSET, such as 3/12")
            }
            positions.insert(position)
        }
        return positions.sorted()
    }

    private static func filter(_ options: ParsedOptions) throws(UsageError) -> DeadLetterFilter {
        var filter = DeadLetterFilter(topic: options.value("--topic"))
        if let text = options.value("--webhook") {
            guard let id = WebhookID(text) else { throw options.error("--webhook: '\(text)' is not a webhook id") }
            filter.webhook = id
        }
        if let text = options.value("--event") {
            guard let id = EventID(text) else { throw options.error("--event: '\(text)' is not an event id") }
            filter.event = id
        }
        if let text = options.value("--reason") {
            // With dashes it needs no quotes in a shell.
            let known = DeadLetterReason.allCases.map(\.rawValue)
            let words = String(text.map { $0 == "-" ? " " : $0 })
            guard let reason = DeadLetterReason(rawValue: words) else {
                throw options.error(
                    "--reason: there is no reason '\(text)'; the reasons are \(known.joined(separator: ", "))",
                    hint: Suggestion.text(for: words, in: known))
            }
            filter.reason = reason
        }
        if let text = options.value("--since") {
            guard let since = DeadLetterFilter.Since(text) else {
                throw options.error(
                    "--since: '\(text)' is neither a time such as 2024-01-15T10:30:00Z nor an age such as 24h")
            }
            filter.since = since
        }
        return filter
    }
}
