import Core
import Runtime
import Testing

// The command line: every command of the contract, its help, and what is said to who mistypes.
@testable import Configuration

@Suite struct CommandLineTests {
    private func parse(_ line: String) -> Result<Invocation, UsageError> {
        CommandLineParser.parse(line.split(separator: " ").map(String.init))
    }

    private func command(_ line: String) throws -> ProgramCommand { try parse(line).get().command }

    private func complaint(_ line: String) -> String? {
        if case .failure(let error) = parse(line) { return error.description }
        return nil
    }

    private static let file = ConfigurationOptions(path: "c")

    @Test(
        arguments: [
            ("run --config c", .run(RunOptions(configuration: file))),
            (
                "run --config=c --set a=b --set c=d=e",
                .run(RunOptions(configuration: .init(path: "c", sets: ["a=b", "c=d=e"])))
            ),
            (
                "run --roles mail,deliver,mail --config c",
                .run(RunOptions(configuration: file, roles: [.deliver, .mail]))
            ),
            ("demo", .demo(DemoOptions(keep: false, sets: []))),
            ("demo --keep", .demo(DemoOptions(keep: true, sets: []))),
            ("broker", .broker(.init(path: nil))),
            ("broker --config c", .broker(file)),
            (
                "topics create --config c --with-domain",
                .topicsCreate(TopicsOptions(configuration: file, withDomain: true))
            ),
            ("topics check --config c", .topicsCheck(TopicsOptions(configuration: file, withDomain: false))),
            (
                "accounts create --config c --email a@b --name N",
                .accountsCreate(AccountOptions(configuration: file, email: "a@b", name: "N"))
            ),
            (
                "accounts delete --account acct_00112233445566778899aabb --config c",
                .accountsDelete(
                    AccountDeletionOptions(
                        configuration: file, account: AccountID("acct_00112233445566778899aabb")!))
            ),
            ("config check --config c", .configCheck(file)),
            ("config reference", .configReference),
            ("mapping check --config c", .mappingCheck(file)),
            ("mapping try --config c --topic t", .mappingTry(MappingTryOptions(configuration: file, topic: "t"))),
            (
                "dead-letters list --config c",
                .deadLettersList(
                    DeadLetterListOptions(configuration: file, filter: DeadLetterFilter(), limit: 50, asJSON: false))
            ),
            (
                "dead-letters list --config c --topic t --reason no-audience --since 24h --limit 3 --json",
                .deadLettersList(
                    DeadLetterListOptions(
                        configuration: file,
                        filter: DeadLetterFilter(topic: "t", reason: .noAudience, since: .age(.hours(24))), limit: 3,
                        asJSON: true))
            ),
            (
                "dead-letters show 3/12 --value --config c",
                .deadLettersShow(
                    DeadLetterShowOptions(
                        configuration: file, position: DeadLetterPosition(partition: 3, offset: 12), valueOnly: true))
            ),
            (
                "dead-letters retry 3/12 --config c 0/7 3/12",
                .deadLettersRetry(
                    DeadLetterRetryOptions(
                        configuration: file,
                        selection: .positions([
                            DeadLetterPosition(partition: 0, offset: 7), DeadLetterPosition(partition: 3, offset: 12),
                        ]), isDryRun: false))
            ),
            (
                "dead-letters retry --all --dry-run --config c --webhook wh_000000000000000000000001",
                .deadLettersRetry(
                    DeadLetterRetryOptions(
                        configuration: file,
                        selection: .all(DeadLetterFilter(webhook: WebhookID("wh_000000000000000000000001"))),
                        isDryRun: true))
            ),
            ("listen --secret whsec_x", .listen(ListenOptions(port: 9000, secret: "whsec_x"))),
            ("listen --port 0 --secret whsec_x", .listen(ListenOptions(port: 0, secret: "whsec_x"))),
            ("--version", .version),
        ] as [(String, ProgramCommand)])
    func `each command`(line: String, expected: ProgramCommand) throws {
        #expect(try command(line) == expected)
    }

    @Test(arguments: [
        "--log-format text --log-level debug topics check --config c",
        "topics --log-format=text check --config c --log-level debug",
    ])
    func `options of every command may stand anywhere`(line: String) throws {
        let invocation = try parse(line).get()
        #expect(invocation.logFormat == .text)
        #expect(invocation.logLevel == .debug)
        #expect(try parse("demo").get().logFormat == .json)
    }

    private static let names = [
        "run", "demo", "broker", "topics create", "topics check", "accounts create", "accounts list",
        "accounts rotate-key", "accounts revoke-key", "accounts delete", "secrets rewrap", "config check",
        "config reference",
        "mapping check",
        "mapping try", "dead-letters list", "dead-letters show", "dead-letters retry", "replay", "replay status",
        "replay cancel", "listen",
    ]

    @Test(arguments: names)
    func `each command has a help with usage, options and an example`(name: String) throws {
        guard case .help(let text) = try command("\(name) --help") else { return #expect(Bool(false)) }
        #expect(text.contains("Usage: webhook-bridge \(name)"))
        #expect(text.contains("Example:\n  webhook-bridge \(name)"))
        #expect(text.contains("--log-format"))
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 130 })
        #expect(try command("help \(name)") == .help(text))
        #expect(try command("\(name) -h") == .help(text))
    }

    @Test(arguments: names)
    func `the example in a help is a line the parser takes`(name: String) throws {
        guard case .help(let text) = try command("\(name) --help") else { return #expect(Bool(false)) }
        let lines = text.replacing("\\\n", with: "").split(separator: "\n")
        let examples = lines.filter { $0.hasPrefix("  webhook-bridge ") }
        #expect(!examples.isEmpty)
        for example in examples {
            let words = example.split(separator: " ").dropFirst().prefix { $0 != "<" && $0 != ">" }
            #expect(throws: Never.self) { try CommandLineParser.parse(words.map(String.init)).get() }
        }
    }

    @Test func `help at every level names what there is`() throws {
        guard case .help(let overview) = try command("--help"), case .help(let group) = try command("topics --help")
        else { return #expect(Bool(false)) }
        for name in Self.names { #expect(overview.contains("\n  \(name) ")) }
        #expect(try command("help") == .help(overview))
        #expect(group.contains("topics create") && group.contains("topics check"))
    }

    @Test(arguments: [
        ("rum --config c", "there is no command 'rum'\ndid you mean run?"),
        ("topics creat --config c", "there is no command 'topics creat'\ndid you mean create?"),
        ("topics", "'topics' needs one of: create, check\n"),
        ("accounts show", "there is no command 'accounts show'\n"),
        ("run", "'run' needs --config FILE\n"),
        ("run --confg c", "there is no option --confg\ndid you mean --config?"),
        ("--lgo-level debug run", "there is no option --lgo-level\ndid you mean --log-level?"),
        ("run --config", "--config needs a value: --config FILE\n"),
        ("run --config --set a=b", "--config needs a value: --config FILE\n"),
        ("run --config c --config d", "--config is given twice\n"),
        ("run --config c extra", "unexpected argument 'extra'\n"),
        (
            "run --config c --roles deliver,transalte",
            "there is no role 'transalte'; the roles are translate, deliver, retry, registry, api, mail\ndid you mean translate?"
        ),
        ("run --config c --log-level loud", "--log-level: 'loud' is none of debug, info, warning, error\n"),
        ("run --config c --log-format xml", "--log-format: 'xml' is neither json nor text\n"),
        ("demo --keep=yes", "--keep takes no value\n"),
        ("listen --port 70000 --secret whsec_x", "--port: '70000' is not a port from 0 to 65535\n"),
        ("listen", "'listen' needs --secret whsec_…\n"),
        (
            "accounts create --config c --email x",
            "--email: 'x' is not an email address: one like ops@example.com, without a name, brackets, quotes or separators\n"
        ),
        ("accounts delete --config c --account acct_1", "--account: 'acct_1' is not an account's id\n"),
        ("accounts delete --config c", "needs --account"),
        ("accounts rotate-key --config c --account acct_1", "--account: 'acct_1' is not an account's id\n"),
        (
            "accounts rotate-key --config c --account acct_00112233445566778899aabb --overlap-hours 169",
            "--overlap-hours: '169' is not a number from 0 to 168\n"
        ),
        (
            "accounts revoke-key --config c --account acct_00112233445566778899aabb --key lnk_live_secret",
            "--key: a key's id has eight letters and digits, as 'accounts list' shows it\n"
        ),
        ("mapping try", "'mapping try' needs --config FILE and --topic TOPIC\n"),
        ("dead-letters show --config c", "'dead-letters show' needs PARTITION/OFFSET\n"),
        ("dead-letters show 1/2 3/4 --config c", "unexpected argument '3/4'\n"),
        ("dead-letters show 12 --config c", "'12' is not PARTITION/OFFSET, such as 3/12\n"),
        ("dead-letters retry --config c", "'dead-letters retry' needs PARTITION/OFFSET or --all\n"),
        ("dead-letters retry 1/2 --all --config c", "--all goes without PARTITION/OFFSET\n"),
        ("dead-letters retry 1/2 --topic t --config c", "--topic goes with --all only\n"),
        ("dead-letters list --config c --limit 0", "--limit: '0' is not a number from 1 to 10000\n"),
        ("dead-letters list --config c --since now", "--since: 'now' is neither a time"),
        ("dead-letters list --config c --webhook evt_1", "--webhook: 'evt_1' is not a webhook id\n"),
        ("dead-letters list --config c --reason unmapable", "did you mean unmappable?"),
        ("replay --config c", "'replay' needs --webhook wh_… and --since TIME\n"),
        ("replay --config c --webhook wh_1 --since 24h", "--webhook: 'wh_1' is not a webhook id\n"),
        (
            "replay --config c --webhook wh_000000000000000000000001 --since 24h --until soon",
            "--until: 'soon' is neither a time"
        ),
        ("replay statsu --config c", "there is no command 'replay statsu'\ndid you mean status?"),
        (
            "replay cancel --config c --webhook wh_000000000000000000000001 --replay evt_1",
            "--replay: 'evt_1' is not a replay id\n"
        ),
        ("", "which command?\n"),
    ])
    func `a mistake is named, with what was meant`(line: String, expected: String) {
        let text = complaint(line)
        #expect(
            text?.hasPrefix("webhook-bridge: " + expected) == true || text?.contains(expected) == true,
            "\(text ?? "it was taken")")
        #expect(text?.contains("--help'") == true)
    }

    /// The role mail would take none of them, and every mail of the account would be a dead letter.
    @Test(arguments: [
        "a,b@x", "<a@b>", "\"x\"@y", "a;b@c", "a b@c", "a@b\u{3000}c", "A <a@b>", "a@b@c", "@b", "a@",
        String(repeating: "a", count: 320) + "@b",
    ])
    func `an account has an address that mails go to`(address: String) {
        let line = ["accounts", "create", "--config", "c", "--email", address]
        guard case .failure(let error) = CommandLineParser.parse(line) else {
            return #expect(Bool(false), "it was taken")
        }
        #expect(error.description.contains("is not an email address"))
    }

    @Test(arguments: ["ops@example.com", "first.last+tag@sub.example.co", "ö@exämple.com", "o'neil@x.y"])
    func `a plain address is taken`(address: String) throws {
        let line = ["accounts", "create", "--config", "c", "--email", address]
        guard case .accountsCreate(let options) = try CommandLineParser.parse(line).get().command else {
            return #expect(Bool(false), "another command")
        }
        #expect(options.email == address)
    }

    @Test func `a secret on the command line is not repeated`() {
        #expect(complaint("listen --secret hunter2")?.contains("hunter2") == false)
    }
}
