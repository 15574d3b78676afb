// The commands about accounts and secrets.
internal import Core

extension CommandTable {
    static let accountsCreate = CommandSpecification(
        words: ["accounts", "create"], summary: "make an account and its API key",
        details: """
            Prints {"accountId":…,"apiKey":…} on one line of stdout. The key is shown here and never again: only its hash is kept.
            Waits up to two seconds for the registry to answer; where none is running it says so on stderr, and the account
            exists as soon as one starts.
            """,
        example:
            "webhook-bridge accounts create --config bridge.json5 --email ops@customer.example --name Customer",
        options: [
            .config,
            CommandOption(
                name: "--email", value: "ADDR", summary: "who is told when a webhook is disabled", isRequired: true),
            CommandOption(name: "--name", value: "NAME", summary: "what people call the account"),
            .set,
        ]
    ) { options throws(UsageError) in
        let email = options.value("--email") ?? ""
        guard MailAddress.isOne(email) else {
            throw options.error("--email: '\(email)' is not an email address: \(MailAddress.expectation)")
        }
        return .accountsCreate(
            AccountOptions(configuration: options.configuration, email: email, name: options.value("--name")))
    }

    static let accountsDelete = CommandSpecification(
        words: ["accounts", "delete"], summary: "erase an account with its webhooks and API keys",
        details: """
            Its keys stop working within a second in every process, its webhooks, their signing secrets, its email address and
            its name are removed from the state. Deliveries of its webhooks that wait, parked retries too, are dropped when
            they come up, mails to it that wait are not sent. What was sent, its delivery log, dead letters and records of
            mails go when their topics' retention is over.

            Prints {"accountId":…,"deleted":true} on one line of stdout. Waits up to two seconds for the registry to answer;
            where none is running it says so on stderr, deleted is false, and the account goes as soon as one starts.
            """,
        example: "webhook-bridge accounts delete --config bridge.json5 --account acct_9b744416750b4676ecde16d1",
        options: [
            .config, account, .set,
        ]
    ) { options throws(UsageError) in
        .accountsDelete(
            AccountDeletionOptions(configuration: options.configuration, account: try accountID(options)))
    }

    static let accountsList = CommandSpecification(
        words: ["accounts", "list"], summary: "every account with its API keys and how many webhooks it has",
        details: """
            A JSON object a line on stdout, the oldest account first: accountId, name if it has one, email, createdAt, the ids of
            its API keys with the time from which a key that is being rotated out is not valid any more, and the number of its
            webhooks. Reads the registry's topics itself and needs no bridge to run.
            """,
        example: "webhook-bridge accounts list --config bridge.json5",
        options: [.config, .set]
    ) { options throws(UsageError) in .accountsList(options.configuration) }

    static let accountsRotateKey = CommandSpecification(
        words: ["accounts", "rotate-key"], summary: "make a new API key; the one before stays valid for a while",
        details: """
            Prints {"accountId":…,"apiKey":…,"keyId":…,"previousKeyExpiresAt":…} on one line of stdout. The key is shown here
            and never again. The key before stays valid for --overlap-hours, so that its users can change over one after the
            other; 0 ends it at once. Two keys at most are valid: a rotation during a rotation ends the oldest one.

            Waits up to two seconds for the registry to answer; where none is running it says so on stderr, and the key is
            valid as soon as one starts.
            """,
        example:
            "webhook-bridge accounts rotate-key --config bridge.json5 --account acct_9b744416750b4676ecde16d1",
        options: [
            .config, account,
            CommandOption(
                name: "--overlap-hours", value: "N",
                summary: "for how long the key before stays valid, 0 to 168; 24 if none is given"),
            .set,
        ]
    ) { options throws(UsageError) in
        let most = RotationOverlap.mostSeconds / 3600
        let text = options.value("--overlap-hours") ?? "\(RotationOverlap.defaultSeconds / 3600)"
        guard let hours = Int(text), (0...most).contains(hours) else {
            throw options.error("--overlap-hours: '\(text)' is not a number from 0 to \(most)")
        }
        return .accountsRotateKey(
            KeyRotationOptions(
                configuration: options.configuration, account: try accountID(options),
                overlapMilliseconds: Int64(hours) * 3_600_000))
    }

    static let accountsRevokeKey = CommandSpecification(
        words: ["accounts", "revoke-key"], summary: "end an API key at once",
        details: """
            The key stops working within a second in every process. Prints {"accountId":…,"keyId":…,"revoked":true} on one line
            of stdout. A key's id is what `accounts list` shows, the eight characters behind lnk_live_ or lnk_test_. An account
            may be left without a key; `accounts rotate-key` makes one.

            Waits up to two seconds for the registry to answer; where none is running it says so on stderr, revoked is false,
            and the key ends as soon as one starts.
            """,
        example: """
            webhook-bridge accounts revoke-key --config bridge.json5 \\
                --account acct_9b744416750b4676ecde16d1 --key 0aB3dE6f
            """,
        options: [
            .config, account,
            CommandOption(name: "--key", value: "ID", summary: "the key's id, never the key", isRequired: true), .set,
        ]
    ) { options throws(UsageError) in
        let key = options.value("--key") ?? ""
        // Not shown again where it is wrong: it may be a whole key.
        guard key.utf8.count == 8, key.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) else {
            throw options.error("--key: a key's id has eight letters and digits, as 'accounts list' shows it")
        }
        return .accountsRevokeKey(
            KeyRevocationOptions(configuration: options.configuration, account: try accountID(options), key: key))
    }

    static let secretsRewrap = CommandSpecification(
        words: ["secrets", "rewrap"], summary: "encrypt every signing secret with the first key of secrets.keyFile",
        details: """
            For changing the key that encrypts signing secrets at rest: put the new key's line first into the key file, beside
            the old one's, restart every process, run this, and take the old line away a day later: until then the answer to a
            repeated request may need it. The secrets stay what they are; nothing changes for subscribers.

            Prints {"webhooks":…,"secrets":…,"rewrapped":…,"failed":…} on one line of stdout. Each webhook with a secret that
            none of the keys opens is named on stderr. The exit code is 1 where something failed; it can be run again at any
            time. Where anything is to be rewrapped it needs a running registry.
            """,
        example: "webhook-bridge secrets rewrap --config bridge.json5",
        options: [.config, .set]
    ) { options throws(UsageError) in .secretsRewrap(options.configuration) }

    private static let account = CommandOption(
        name: "--account", value: "acct_…", summary: "the account", isRequired: true)

    private static func accountID(_ options: ParsedOptions) throws(UsageError) -> AccountID {
        let text = options.value("--account") ?? ""
        guard let account = AccountID(text) else { throw options.error("--account: '\(text)' is not an account's id") }
        return account
    }
}
