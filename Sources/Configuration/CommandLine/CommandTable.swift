// All commands: the one place to add one. A group (`topics`) exists because its commands do.
internal import Core

enum CommandTable {
    static let all: [CommandSpecification] = [
        run, demo, broker, topicsCreate, topicsCheck, accountsCreate, accountsList, accountsRotateKey,
        accountsRevokeKey, accountsDelete, secretsRewrap, configCheck, configReference, configOpenAPI, mappingCheck,
        mappingTry, deadLettersList, deadLettersShow, deadLettersRetry, replay, replayStatus,
        replayCancel,
        listen,
    ]

    private static let run = CommandSpecification(
        words: ["run"], summary: "run the bridge, or some of its roles, in this process",
        details: """
            Reads domain topics, delivers webhooks, retries, keeps the registry and answers the API, until SIGTERM or SIGINT:
            then it finishes what it has begun and exits 0. SIGHUP takes up changed mapping files; where one has a fault the old
            ones stay. To scale, start more processes with the same configuration.

            Roles: \(Role.allCases.map(\.rawValue).joined(separator: ", ")). Without --roles a process has all of them,
            mail only if mail.smtp is set.
            """,
        example: """
            webhook-bridge run --config bridge.json5
            webhook-bridge run --config bridge.json5 --roles deliver,retry --set instance.id=deliver-2
            """,
        options: [
            .config,
            CommandOption(name: "--roles", value: "ROLE,…", summary: "only these roles, separated by commas"),
            .set,
        ]
    ) { options throws(UsageError) in
        .run(RunOptions(configuration: options.configuration, roles: try roles(options)))
    }

    private static let demo = CommandSpecification(
        words: ["demo"], summary: "see it work: everything in one process, no Kafka needed",
        details: """
            Starts an embedded broker, all roles, a receiver that works and one that fails, and sends sample events of the
            documented kinds. Prints a line per delivery as it happens. The waits between retries are shortened, so that the
            failing webhook goes through all eight of them and is disabled within a minute. Ends with a summary.
            """,
        example: "webhook-bridge demo --keep",
        options: [
            CommandOption(
                name: "--keep", value: nil,
                summary: "go on running after the summary; prints the API's address and a key"),
            .set,
        ]
    ) { options throws(UsageError) in
        .demo(DemoOptions(keep: options.has("--keep"), sets: options.configuration.sets))
    }

    private static let broker = CommandSpecification(
        words: ["broker"], summary: "run the embedded broker in a process of its own, for tests",
        details: """
            librdkafka's mock cluster with all topics made. The first line on stdout is its bootstrap address; it runs until
            SIGTERM or SIGINT. It keeps 5 MiB a partition in memory and nothing on disk: for tests, never for production.
            """,
        example: "webhook-bridge broker --config bridge.json5",
        options: [.config.optional, .set]
    ) { options throws(UsageError) in .broker(options.configuration) }

    private static let withDomain = CommandOption(
        name: "--with-domain", value: nil,
        summary: "also the domain topics that the mappings read, where they are missing")

    private static let topicsCreate = CommandSpecification(
        words: ["topics", "create"], summary: "make the bridge's topics; what is there already stays",
        details: """
            Makes every topic of the bridge that is missing, with the partitions, copies and retention of the configuration. Can be
            run again at any time. A topic with a wrong number of partitions is named and left alone: exit code 2. A missing domain
            topic is a warning.
            """,
        example: "webhook-bridge topics create --config bridge.json5",
        options: [.config, withDomain, .set]
    ) { options throws(UsageError) in
        .topicsCreate(TopicsOptions(configuration: options.configuration, withDomain: options.has("--with-domain")))
    }

    private static let topicsCheck = CommandSpecification(
        words: ["topics", "check"], summary: "compare the topics of the cluster with the configuration",
        details: """
            Changes nothing. Names every topic that is missing or has a wrong number of partitions, and how to put it right; exit
            code 2 if there is one. A missing domain topic is a warning.
            """,
        example: "webhook-bridge topics check --config bridge.json5",
        options: [.config, withDomain, .set]
    ) { options throws(UsageError) in
        .topicsCheck(TopicsOptions(configuration: options.configuration, withDomain: options.has("--with-domain")))
    }

    private static let configCheck = CommandSpecification(
        words: ["config", "check"], summary: "list everything that is wrong with a configuration",
        details: """
            Reads the file, the BRIDGE_… variables and --set as `run` would, and the files they name. Every fault is a line with
            its place, key and cause; exit code 2 if there is one. Otherwise the settings in force are printed, without secrets.
            """,
        example: "webhook-bridge config check --config bridge.json5",
        options: [.config, .set]
    ) { options throws(UsageError) in .configCheck(options.configuration) }

    private static let configReference = CommandSpecification(
        words: ["config", "reference"],
        summary: "print a configuration file with every key, its default and what it is for",
        details: "The file to start from.",
        example: "webhook-bridge config reference > bridge.json5",
        options: []
    ) { options throws(UsageError) in .configReference }

    private static let configOpenAPI = CommandSpecification(
        words: ["config", "openapi"], summary: "print the API's OpenAPI 3.1 document",
        details: "For client generators and API tools. A running bridge serves the same at GET /v1/openapi.json.",
        example: "webhook-bridge config openapi > openapi.json",
        options: []
    ) { options throws(UsageError) in .configOpenAPI }

    private static let mappingCheck = CommandSpecification(
        words: ["mapping", "check"], summary: "list everything that is wrong with the mapping files",
        details:
            "Compiles every file of the mappings' folder against the payload schemas. Exit code 2 if one has a fault.",
        example: "webhook-bridge mapping check --config bridge.json5",
        options: [.config, .set]
    ) { options throws(UsageError) in .mappingCheck(options.configuration) }

    private static let mappingTry = CommandSpecification(
        words: ["mapping", "try"], summary: "see which webhook body a domain record becomes",
        details: """
            Reads one domain record from stdin and writes the body to stdout, exactly as it would be posted. Where the record
            cannot be mapped the reason goes to stderr, as it would into its dead letter: exit code 1. A record that the
            mapping passes over writes nothing, and one that becomes several events a line for each. What comes in headers, as
            in a binary CloudEvent, is given by --header: ce_type=ModuleCompleted.
            """,
        example: "webhook-bridge mapping try --config bridge.json5 --topic learnault.modules < record.json",
        options: [
            .config, .topic,
            CommandOption(
                name: "--header", value: "name=value", summary: "a header of the record; may be repeated",
                isRepeatable: true),
            .set,
        ]
    ) { options throws(UsageError) in
        var headers: [MappingTryOptions.Header] = []
        for text in options.values["--header"] ?? [] {
            guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
                throw options.error("--header: '\(text)' is not name=value")
            }
            headers.append(.init(name: String(text[..<equals]), value: String(text[text.index(after: equals)...])))
        }
        return .mappingTry(
            MappingTryOptions(
                configuration: options.configuration, topic: options.value("--topic") ?? "", headers: headers))
    }

    private static let listen = CommandSpecification(
        words: ["listen"], summary: "a receiver on this machine that verifies webhooks and prints them",
        details: """
            For developers of subscribers: listens on 127.0.0.1, checks both signatures of every POST with the secret, prints
            headers and body, and answers 200, or 401 where a signature is wrong. SIGINT ends it.
            """,
        example: "webhook-bridge listen --port 9000 --secret whsec_…",
        options: [
            CommandOption(
                name: "--port", value: "N", summary: "the port, 9000 if none is given; 0 lets the system choose"),
            CommandOption(
                name: "--secret", value: "whsec_…", summary: "the webhook's secret, as registration answered it",
                isRequired: true),
        ]
    ) { options throws(UsageError) in
        let port = options.value("--port") ?? "9000"
        guard let number = UInt16(port) else { throw options.error("--port: '\(port)' is not a port from 0 to 65535") }
        let secret = options.value("--secret") ?? ""
        guard secret.hasPrefix("whsec_") else { throw options.error("--secret: a secret starts with whsec_") }
        return .listen(ListenOptions(port: number, secret: secret))
    }

    private static func roles(_ options: ParsedOptions) throws(UsageError) -> [Role]? {
        guard let text = options.value("--roles") else { return nil }
        var wanted: Set<Role> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let name = ValueInput.trimmed(part)
            guard let role = Role(rawValue: name) else {
                let known = Role.allCases.map(\.rawValue)
                throw options.error(
                    "--roles: there is no role '\(name)'; the roles are \(known.joined(separator: ", "))",
                    hint: Suggestion.text(for: name, in: known))
            }
            wanted.insert(role)
        }
        return Role.allCases.filter(wanted.contains)
    }
}
