// The commands about accounts.
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
            "webhook-bridge accounts create --config config/bridge.json5 --email ops@customer.example --name Customer",
        options: [
            .config,
            CommandOption(
                name: "--email", value: "ADDR", summary: "who is told when a webhook is disabled", isRequired: true),
            CommandOption(name: "--name", value: "NAME", summary: "what people call the account"),
            .set,
        ]
    ) { options throws(UsageError) in
        let email = options.value("--email") ?? ""
        guard email.split(separator: "@", omittingEmptySubsequences: false).count == 2, !email.hasPrefix("@"),
            !email.hasSuffix("@"),
            !email.contains(where: \.isWhitespace)
        else { throw options.error("--email: '\(email)' is not an email address") }
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
        example: "webhook-bridge accounts delete --config config/bridge.json5 --account acct_9b744416750b4676ecde16d1",
        options: [
            .config,
            CommandOption(name: "--account", value: "acct_…", summary: "the account", isRequired: true),
            .set,
        ]
    ) { options throws(UsageError) in
        let text = options.value("--account") ?? ""
        guard let account = AccountID(text) else { throw options.error("--account: '\(text)' is not an account's id") }
        return .accountsDelete(AccountDeletionOptions(configuration: options.configuration, account: account))
    }
}
