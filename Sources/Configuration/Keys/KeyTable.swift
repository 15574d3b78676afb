// All keys of the configuration: the one place to add one. The order is the reference file's. After a change here,
// `webhook-bridge config reference > config/bridge.json5` writes that file again; a test compares the two.
internal import Core

enum KeyTable {
    private static func key<Value: Sendable>(
        _ name: String, _ path: any WritableKeyPath<Settings, Value> & Sendable, _ type: ValueType<Value>,
        _ summary: String,
        example: String? = nil
    ) -> KeyEntry {
        .key(ConfigurationKey(name, path, type, summary, example: example))
    }

    private static let hours = ValueType<Int>.integer(1...87_600)
    private static let name = ValueType<String>.text("a name of letters, digits, '.', '_' and '-', 200 at most") {
        text in
        !text.isEmpty && text.utf8.count <= 200 && text.allSatisfy(isNameCharacter) ? text : nil
    }
    private static let networks = ValueType<[String]>.list(
        of: .text("a network as address/prefix, such as \"10.0.0.0/8\" or \"fd00::/8\"", accepts: NetworkText.network),
        "a list of networks as address/prefix")

    static let entries: [KeyEntry] = cluster + stages + listeners + outside + keeping

    private static let cluster: [KeyEntry] = [
        .kafka(
            """
            Properties of librdkafka, passed through under their own names. bootstrap.servers is required. A value may be \
            {"file": "path"}: the content of that file, without white space around it; do that with passwords. What the \
            bridge sets itself (groups, offsets, acknowledgements) is ignored here with a warning.
            """),
        .section(
            "application", intro: "Who this bridge is to the cluster.",
            [
                key(
                    "id", \.applicationID, name,
                    "Its consumer groups are <id>.translate, <id>.deliver and so on; all processes of one bridge share it."
                )
            ]),
        .section(
            "instance", intro: "Who this process is among them.",
            [
                key(
                    "id", \.instanceID, .optional(name),
                    "Static membership: a process that comes back under the same name within the session timeout keeps its "
                        + "partitions. Must differ between processes, so set it by variable or flag.",
                    example: "\"bridge-1\"")
            ]),
        .section(
            "topics", intro: "The bridge's own topics. `webhook-bridge topics create` makes them.",
            [
                key(
                    "prefix", \.topics.prefix,
                    .text("a text of letters, digits, '.', '_' and '-', 200 at most") { text in
                        text.utf8.count <= 200 && text.allSatisfy(isNameCharacter) ? text : nil
                    }, "Every name starts with this."),
                key(
                    "partitions", \.topics.partitions, .integer(1...1024),
                    "Partitions of deliveries, deferred, attempts and dead-letters; retries has eight times as many. The most "
                        + "processes that can share the work. Cannot be changed while there is work in the topics."),
                key(
                    "replicationFactor", \.topics.replicationFactor, .optional(.integer(1...32_767)),
                    "Copies of each partition when the topics are made; null: as many as the cluster has brokers, three at most.",
                    example: "3"),
                .section(
                    "retentionHours",
                    intro:
                        "How long records are kept, in hours (1 to 87600). One number instead of the object means all of them.",
                    shorthand: ConfigurationKey(
                        "", \.topics.retentionHours, retention,
                        "The same number of hours for every topic that is kept by time."),
                    [
                        key("deliveries", \.topics.retentionHours.deliveries, hours, "Bodies on their way out."),
                        key(
                            "deferred", \.topics.retentionHours.deferred, hours, "Not shorter than limits.deferredAge."),
                        key(
                            "retries", \.topics.retentionHours.retries, hours,
                            "Longer than the longest wait of retry.tiers."),
                        key("attempts", \.topics.retentionHours.attempts, hours, "One record per attempt."),
                        key(
                            "dead-letters", \.topics.retentionHours.deadLetters, hours,
                            "What could not be mapped or delivered."),
                        key("notices", \.topics.retentionHours.notices, hours, "Webhooks disabled and enabled."),
                        key(
                            "emails", \.topics.retentionHours.emails, hours,
                            "What the mail role sends, or your own mailer."),
                        key("commands", \.topics.retentionHours.commands, hours, "What is asked of the registry."),
                        key("results", \.topics.retentionHours.results, hours, "And its answers."),
                    ]),
            ]),
    ]

    private static let stages: [KeyEntry] = [
        key(
            "mappings", \.mappingsFolder, .pathOrUsual,
            "The folder of mapping files, one per domain topic. null: the folder `mappings` beside this file, else "
                + "config/mappings, else the mappings installed with the program.", example: "\"mappings\""),
        key(
            "schemas", \.schemasFolder, .pathOrUsual,
            "The folder of payload schemas, one <event type>.json each, that mapping files are checked against. null: the "
                + "folder `schemas` beside the mappings, else config/schemas, else those installed with the program.",
            example: "\"schemas\""),
        .section(
            "translate", intro: "From domain events to webhooks.",
            [
                key(
                    "startAge", \.translate.startAge, .duration(Milliseconds(0)...Milliseconds.days(3650)),
                    "A partition that was never read starts this far back in time.")
            ]),
        .section(
            "deliver", intro: "The POSTs.",
            [
                key(
                    "threads", \.deliver.threads, .integer(1...64),
                    "Threads of the HTTP engine; one fills about one processor."),
                key(
                    "connectionsPerHost", \.deliver.connectionsPerHost, .integer(1...4096),
                    "Open connections to one host, port and address, which several webhooks may share; a webhook has 16 at most. Where all are taken, the webhooks that wait get the next ones in turn."
                ),
            ]),
        .section(
            "retry", intro: "What happens after a failed attempt.",
            [
                key(
                    "tiers", \.retry.tiers,
                    .list(
                        of: .duration(Milliseconds(1)...Milliseconds.days(30)),
                        "a list of eight durations, none shorter than the one before it",
                        count: Settings.Retry.tierCount),
                    "The waits before retry 1 to 8, each counted from the end of the attempt before. A change applies to what is parked afterwards. After waits were shortened, what is parked stands behind what was parked with the longer one, and is late by up to that, until the latter is through."
                ),
                key(
                    "timeScale", \.retry.timeScale, .number(0...1000),
                    "Multiplies the eight waits and nothing else; for tests and demonstrations. Labels stay those of retry.tiers, and so does what a shorter wait means."
                ),
            ]),
    ]

    private static let listeners: [KeyEntry] = [
        .section(
            "api",
            intro: "The API that the public documentation describes. Put TLS in front of it, or let it speak TLS.",
            [
                key(
                    "listen", \.api.listen, .listen,
                    "Where it listens: 127.0.0.1 is this machine only, 0.0.0.0 every interface; port 0 lets the system choose."
                ),
                key(
                    "publicURL", \.api.publicURL,
                    .optional(
                        .text("https://host[:port][/path], without a slash at the end", accepts: publicURL)),
                    "Where subscribers reach it: the commands in mails to them begin with it. null: they begin with $API.",
                    example: "\"https://api.example.com\""),
                .section(
                    "tls", intro: "Where the API speaks TLS itself, 1.2 or 1.3; read at the start. Both or none.",
                    [
                        key(
                            "certificateFile", \.api.tls.certificateFile, .optional(.path),
                            "PEM: the server's certificate, then those that lead to its authority.",
                            example: "\"api.pem\""),
                        key(
                            "keyFile", \.api.tls.keyFile, .optional(.path),
                            "PEM: the certificate's private key, without a passphrase. Mode 0600.",
                            example: "\"api.key\""),
                    ]),
            ]),
        .section(
            "ops", intro: "For operators: /healthz, /readyz, /metrics. Not for the public.",
            [
                key("listen", \.ops.listen, .listen, "Where it listens."),
                key(
                    "stallWarning", \.ops.stallWarning, .duration(Milliseconds.seconds(1)...Milliseconds.days(1)),
                    "A stage that stands still this long is logged and makes /healthz and /readyz answer 503."),
                key(
                    "stallExit", \.ops.stallExit, .duration(Milliseconds.seconds(2)...Milliseconds.days(1)),
                    "After this long the process ends with exit code 1, so that others take its partitions."),
            ]),
    ]

    private static let outside: [KeyEntry] = [
        .section(
            "egress", intro: "Which endpoints may be reached, and how.",
            [
                key("allowHTTP", \.egress.allowHTTP, .boolean, "Take webhooks whose URL is http:// and not https://."),
                key(
                    "allowNetworks", \.egress.allowNetworks, networks,
                    "Networks to allow although the built-in list denies them (private, loopback and special addresses). They "
                        + "win over denyNetworks too, never over the bridge's own listeners.",
                    example: "[\"10.20.0.0/16\"]"),
                key(
                    "denyNetworks", \.egress.denyNetworks, networks, "Networks to deny beside the built-in list.",
                    example: "[\"203.0.113.0/24\"]"),
                key(
                    "sourceAddress", \.egress.sourceAddresses, .sourceAddresses,
                    "The local address that connections are made from, or one IPv4 and one IPv6 address with a comma between; "
                        + "for a family without one, and where it is null, the system chooses.",
                    example: "\"198.51.100.7,2001:db8::7\""),
                key(
                    "nameservers", \.egress.nameservers,
                    .list(
                        of: .text("an address or address:port", accepts: { NetworkText.isNameserver($0) ? $0 : nil }),
                        "a list of addresses or address:port"),
                    "DNS servers to ask; none: those of the system.",
                    example: "[\"192.0.2.53\", \"[2001:db8::53]:5353\"]"),
                key(
                    "timeoutMilliseconds", \.egress.timeoutMilliseconds, .integer(100...60_000),
                    "The time an attempt has in all: DNS, connect, TLS, request and response head. The documentation promises 5000."
                ),
                key(
                    "caFile", \.egress.caFile, .optional(.path),
                    "A PEM file of certificate authorities to trust beside the system's.",
                    example: "\"internal-ca.pem\""),
                .section(
                    "ipRanges",
                    intro:
                        "The networks that POSTs come from, for subscribers who allow-list them: GET /v1/ip-ranges tells them, "
                        + "nothing else reads them. As the public documentation has them.",
                    [
                        key("production", \.egress.ipRanges.production, networks, "Of the production platform."),
                        key("testnet", \.egress.ipRanges.testnet, networks, "Of the test platform."),
                    ]),
            ]),
        .section(
            "limits", intro: "What one customer may cost.",
            [
                key(
                    "webhooksPerAccount", \.limits.webhooksPerAccount, .integer(1...100_000),
                    "Webhooks an account may have."),
                key(
                    "eventsPerSecond", \.limits.eventsPerSecond, .integer(0...1_000_000),
                    "POSTs a second to one webhook, with a burst of five; what is over it waits. 0: no limit."),
                key(
                    "payloadBytes", \.limits.payloadBytes, .integer(1024...16_777_216),
                    "The longest body; a longer one is a dead letter."),
                key(
                    "deferredAge", \.limits.deferredAge, .duration(Milliseconds.minutes(1)...Milliseconds.days(365)),
                    "What has waited for its rate this long is dead-lettered."),
                key(
                    "requestsPerMinute", \.limits.requestsPerMinute, .integer(0...100_000_000),
                    "API requests a minute for one key, in each process. 0: no limit."),
                key(
                    "authFailuresPerMinute", \.limits.authFailuresPerMinute, .integer(0...100_000_000),
                    "Failed authentications a minute from one address before it is answered 429; never blocks a valid key. 0: no limit."
                ),
            ]),
    ]

    private static let keeping: [KeyEntry] = [
        .section(
            "secrets", intro: "How signing secrets are kept in Kafka: encrypted, with the keys in this file.",
            [
                key(
                    "keyFile", \.secrets.keyFile, .optional(.path),
                    "Required. Make it with: openssl rand 32 > secrets.key; chmod 600 secrets.key. Exactly 32 bytes are one key "
                        + "(its id is \"default\"); else each line is id:base64 of 32 bytes, the first encrypts and all decrypt. "
                        + "Mode 0600.", example: "\"secrets.key\"")
            ]),
        .section(
            "state", intro: "What a process keeps on disk. All of it can be lost.",
            [
                key(
                    "directory", \.state.directory, .path,
                    "The delivery log's store is here; it is rebuilt from the topic `attempts`. One folder per process."
                )
            ]),
        .section(
            "logs", intro: "The delivery log that the API answers from.",
            [
                key("retentionHours", \.logs.retentionHours, hours, "Older entries leave the store."),
                key(
                    "entriesPerWebhook", \.logs.entriesPerWebhook, .integer(1...1_000_000),
                    "And the oldest beyond this many."),
            ]),
        .section(
            "mail",
            intro: "Mail to accounts whose webhooks fail. Off until smtp is set; then `from` is required as well.",
            [
                key(
                    "smtp", \.mail.smtp,
                    .optional(
                        .text(
                            "smtp://host[:port] or smtps://host[:port], without user and password", isEchoed: false,
                            accepts: smtpURL)),
                    "The mail server.", example: "\"smtp://mail.example.com:587\""),
                key(
                    "from", \.mail.from,
                    .optional(.text("an address, such as \"webhooks@example.com\"", accepts: mailAddress)),
                    "The sender.", example: "\"webhooks@example.com\""),
                key(
                    "username", \.mail.username, .optional(.text("a name", accepts: { $0.isEmpty ? nil : $0 })),
                    "Who logs in there, if anybody.", example: "\"bridge\""),
                key(
                    "passwordFile", \.mail.passwordFile, .optional(.path), "The file with that user's password.",
                    example: "\"smtp.password\""),
                key(
                    "requireTLS", \.mail.requireTLS, .boolean,
                    "Send nothing over a connection without TLS: smtps:// has it from the start, smtp:// asks for STARTTLS. false: "
                        + "smtp:// takes TLS where the server offers it."),
                key(
                    "caFile", \.mail.caFile, .optional(.path),
                    "A PEM file of certificate authorities to trust beside the system's.",
                    example: "\"internal-ca.pem\""),
                key(
                    "timeoutMilliseconds", \.mail.timeoutMilliseconds, .integer(1000...600_000),
                    "The time one message has until its content is on the way. The server's answer to that has ten minutes more."
                ),
            ]),
    ]

    /// One number for all, which is how a flag or variable is likely to say it.
    private static let retention = ValueType<Settings.RetentionHours>(
        expectation: hours.expectation,
        read: { input throws(Rejection) in Settings.RetentionHours(all: try hours.read(input)) },
        write: { "\($0.deliveries)" })

    @Sendable private static func smtpURL(_ text: String) -> String? {
        for scheme in ["smtp://", "smtps://"] where text.hasPrefix(scheme) {
            let rest = text.dropFirst(scheme.count)
            let isPlain = rest.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } && !rest.contains("@") && !rest.contains("/")
            return isPlain && !rest.isEmpty ? text : nil
        }
        return nil
    }

    /// It stands in double quotes in a line for a shell.
    @Sendable private static func publicURL(_ text: String) -> String? {
        for scheme in ["https://", "http://"] where text.hasPrefix(scheme) {
            let rest = text.dropFirst(scheme.count)
            let isPlain =
                rest.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } && !rest.contains { "\"\\$`'<>?#@".contains($0) }
            return isPlain && !rest.isEmpty && !rest.hasPrefix("/") && !rest.hasSuffix("/") ? text : nil
        }
        return nil
    }

    @Sendable private static func mailAddress(_ text: String) -> String? { MailAddress.isOne(text) ? text : nil }
}

@Sendable private func isNameCharacter(_ character: Character) -> Bool {
    character.isASCII
        && (character.isLetter || character.isNumber || character == "." || character == "_" || character == "-")
}
