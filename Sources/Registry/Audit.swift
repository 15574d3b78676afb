// The audit log: a line for each command that the registry judged, with who asked, for what, and what became of it. It stands
// here because only the registry knows what was before and what is after; what is no command of its (failed keys, test
// events, deliveries again) the API logs.
internal import Core
internal import Runtime

/// What audit lines tell of an object, in order. Never a secret, a hash, an email address or a text of its owner's; of a URL
/// scheme and host only, for its path and query may carry a credential.
struct AuditedFields {
    private(set) var fields: [(name: String, value: String)] = []
    /// Compared, and only told to have changed.
    private var hidden: [(name: String, value: String)] = []

    init(_ webhook: Webhook?) {
        guard let webhook else { return }
        fields = [
            ("url", Self.origin(of: webhook.url)), ("events", webhook.events.joined(separator: ",")),
            ("isActive", "\(webhook.isActive)"), ("generation", "\(webhook.generation)"),
            ("revision", "\(webhook.revision)"),
            ("secrets", webhook.secrets.map { Self.time($0.createdAt, until: $0.expiresAt) }.joined(separator: ",")),
            ("sealedWith", webhook.secrets.map(\.keyID).joined(separator: ",")),
        ]
        if let warned = webhook.warnedGeneration { fields.append(("warnedGeneration", "\(warned)")) }
        if let replay = webhook.replays.last { fields.append(("replay", "\(replay.id):\(replay.status.rawValue)")) }
        hidden = [("url", webhook.url), ("description", webhook.description ?? "")]
    }

    init(_ account: Account?) {
        guard let account else { return }
        let keys = account.keys.map { "\($0.id):" + Self.time($0.createdAt, until: $0.expiresAt) }
        fields = [("keys", keys.joined(separator: ","))]
        hidden = [("email", account.email), ("name", account.name ?? "")]
    }

    /// What was and what is, each without what did not change; of a new or a removed object all.
    static func difference(_ before: AuditedFields, _ after: AuditedFields) -> (before: String, after: String) {
        func text(_ fields: [(name: String, value: String)], beside others: AuditedFields) -> [String] {
            fields.filter { field in !others.fields.contains { $0 == field } }.map { "\($0.name)=\($0.value)" }
        }
        let was = text(before.fields, beside: after)
        var isNow = text(after.fields, beside: before)
        for (name, value) in after.hidden {
            guard let old = before.hidden.first(where: { $0.name == name }), old.value != value else { continue }
            isNow.append("\(name):changed")
        }
        return (was.joined(separator: " "), isNow.joined(separator: " "))
    }

    private static func time(_ start: Timestamp, until end: Timestamp?) -> String {
        end.map { "\(start.secondsText)/\($0.secondsText)" } ?? start.secondsText
    }

    /// `https://host:port`; what is before an @ is no part of it.
    static func origin(of url: String) -> String {
        guard let scheme = url.firstRange(of: "://") else { return "" }
        let authority = url[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let host = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
        return String(url[..<scheme.upperBound]) + host
    }
}

/// One command on its way through the registry's state.
struct Audit {
    private let command: Command
    private let id: WebhookID?
    private let webhook: Webhook?
    private let account: Account?
    private let webhooks: Int

    /// Made before the command is applied.
    /// - Parameter webhook: what it is about where that is not the webhook it names.
    init(_ command: Command, of webhook: WebhookID? = nil, _ state: RegistryState) {
        self.command = command
        id = webhook ?? command.change.webhook
        self.webhook = id.flatMap { state.webhooks[$0] }
        let concernsAccount = id == nil
        account = concernsAccount ? state.accounts[command.account] : nil
        webhooks = concernsAccount ? state.webhooks(of: command.account).count : 0
    }

    /// Writes the line, once the command is applied.
    func log(_ answer: Answer, _ state: RegistryState) {
        switch (command.change, answer) {
        // A report of a replay, every five seconds, is no change that anybody asked for; of a request that makes a delivery the
        // API tells, and a note that is dated too late is its question whether there is one.
        case (.progressReplay, .applied), (.noteRequest, .applied), (.noteRequest, .refused(.tooLate)): return
        default: break
        }
        var fields: [Log.Field] = [
            .actor(command.actor?.description ?? "unknown"), .command(command.typeName),
            .account(command.account.description),
        ]
        if let id { fields.append(.webhook(id.description)) }
        if case .refused(let refusal) = answer {
            fields.append(.code(refusal.rawValue))
            return Log.info("command refused", fields)
        }
        let (before, after) = difference(state)
        // Of a withdrawal that found nothing to undo: its command was refused, or not carried out.
        if case .withdraw = command.change, before.isEmpty, after.isEmpty { return }
        if !before.isEmpty { fields.append(.before(before)) }
        if !after.isEmpty { fields.append(.after(after)) }
        if case .deleteAccount = command.change { fields.append(.count(webhooks)) }
        Log.info("command applied", fields)
    }

    private func difference(_ state: RegistryState) -> (before: String, after: String) {
        guard let id else {
            return AuditedFields.difference(AuditedFields(account), AuditedFields(state.accounts[command.account]))
        }
        return AuditedFields.difference(AuditedFields(webhook), AuditedFields(state.webhooks[id]))
    }
}
