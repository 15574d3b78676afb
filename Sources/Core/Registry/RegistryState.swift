// The registry's decisions: a command in, the records it causes out. No clock, no I/O: the stage in Sources/Registry
// performs the actions, in this order, each acknowledged before the next.

/// One record the registry has to write, or one answer it has to give.
package enum RegistryAction: Equatable, Sendable {
    case notice(Notice)
    case email(account: AccountID, EmailOrder)
    case writeAccount(Account)
    case writeWebhook(Webhook)
    case removeWebhook(WebhookID)
    case removeAccount(AccountID)
}

/// `webhook.disabled` or `webhook.enabled` on the notices topic.
package struct Notice: Equatable, Sendable {
    package enum Kind: String, Sendable {
        case disabled = "webhook.disabled"
        case enabled = "webhook.enabled"
    }
    package var kind: Kind
    package var webhook: WebhookID
    package var account: AccountID
    package var at: Timestamp
    package var reason: String
    package var failedAttempts: Int
    package var lastError: String
    package var generation: Int
}

/// What an email has to say; its text is made by the stage.
package struct EmailOrder: Equatable, Sendable {
    package enum Template: String, Sendable {
        case disabled = "webhook-disabled"
        case failing = "webhook-failing"
    }
    package var template: Template
    package var address: String
    package var webhook: WebhookID
    package var url: String
    package var generation: Int
    package var at: Timestamp
    package var failedAttempts: Int
    package var lastError: String
    package var failingSince: Timestamp
    /// When the last attempt is due; only of a warning.
    package var lastAttemptAt: Timestamp?
}

package struct RegistryState: Sendable {
    package private(set) var accounts: [AccountID: Account] = [:]
    package private(set) var webhooks = WebhookTable()
    private var owned: [AccountID: Set<WebhookID>] = [:]
    private let webhooksPerAccount: Int

    package init(webhooksPerAccount: Int) { self.webhooksPerAccount = webhooksPerAccount }

    // MARK: What the state topics say

    package mutating func load(_ account: Account) { accounts[account.id] = account }

    /// - Returns: the webhook as it is kept, with a revision of its own.
    @discardableResult
    package mutating func load(_ webhook: Webhook) -> Webhook {
        let webhook = webhook.numbered(after: webhooks[webhook.id])
        webhooks[webhook.id] = webhook
        owned[webhook.account, default: []].insert(webhook.id)
        return webhook
    }

    package mutating func unloadAccount(_ id: AccountID) { accounts[id] = nil }

    package mutating func unloadWebhook(_ id: WebhookID) {
        guard let webhook = webhooks.removeValue(forKey: id) else { return }
        owned[webhook.account]?.remove(id)
        if owned[webhook.account]?.isEmpty == true { owned[webhook.account] = nil }
    }

    /// In the order of their ids.
    package func webhooks(of account: AccountID) -> [WebhookID] { (owned[account] ?? []).sorted() }

    // MARK: Commands

    /// Judges a command and changes the state.
    /// - Parameters:
    ///   - written: the command record's timestamp, for ``CommandAge`` only; nil where it has none.
    ///   - now: the registry's clock, for ``CommandAge`` only.
    /// - Returns: the answer and the records to write before it is given.
    package mutating func apply(
        _ command: Command, written: Timestamp? = nil, now: Timestamp
    ) -> (answer: Answer, actions: [RegistryAction]) {
        let age = CommandAge.judge(at: command.at, notAfter: command.notAfter, written: written, now: now)
        guard age == .inTime else { return (.refused(.tooLate), []) }
        if let refusal = precondition(of: command) { return (.refused(refusal), []) }
        switch command.change {
        case .createAccount(let account): return create(account)
        case .deleteAccount: return deleteAccount(command.account)
        case .createWebhook(let webhook): return create(webhook)
        case .updateWebhook(let id, let patch):
            guard let webhook = webhook(id, of: command.account) else { return (.refused(.webhookNotFound), []) }
            return update(webhook, with: patch, at: command.at)
        case .deleteWebhook(let id):
            guard webhook(id, of: command.account) != nil else { return (.refused(.webhookNotFound), []) }
            unloadWebhook(id)
            return (.applied, [.removeWebhook(id)])
        case .disableWebhook(let id, let order):
            guard let webhook = webhook(id, of: command.account) else { return (.refused(.webhookNotFound), []) }
            return disable(webhook, by: order, at: command.at)
        case .warnWebhook(let id, let order):
            guard let webhook = webhook(id, of: command.account) else { return (.refused(.webhookNotFound), []) }
            return warn(webhook, by: order, at: command.at)
        case .startReplay(let id, let replay):
            guard let webhook = webhook(id, of: command.account) else { return (.refused(.webhookNotFound), []) }
            return start(replay, of: webhook)
        case .progressReplay(let id, let report):
            guard let webhook = webhook(id, of: command.account) else { return (.refused(.webhookNotFound), []) }
            return progress(report, of: webhook)
        case .finishReplay(let id, let report, let failure):
            guard let webhook = webhook(id, of: command.account) else { return (.refused(.webhookNotFound), []) }
            return finish(report, failure: failure, of: webhook, at: command.at)
        case .cancelReplay(let id, let replay):
            guard let webhook = webhook(id, of: command.account) else { return (.refused(.webhookNotFound), []) }
            return cancel(replay, of: webhook, at: command.at)
        case .rotateSecret(let id, let secret, let overlap):
            guard let webhook = webhook(id, of: command.account) else { return (.refused(.webhookNotFound), []) }
            return rotate(webhook, to: secret, overlapMilliseconds: overlap, at: command.at)
        case .rewrapSecrets(let id, let rewraps):
            guard let webhook = webhook(id, of: command.account) else { return (.refused(.webhookNotFound), []) }
            return rewrap(webhook, rewraps)
        case .rotateKey(let key, let overlap):
            return rotateKey(of: command.account, to: key, overlapMilliseconds: overlap, at: command.at)
        case .revokeKey(let key): return revokeKey(key, of: command.account)
        case .noteRequest(let id):
            return (webhook(id, of: command.account) == nil ? .refused(.webhookNotFound) : .applied, [])
        // What there is to undo its owner remembers beside the state (`undo`).
        case .withdraw: return (.applied, [])
        }
    }

    /// Judged here and nowhere else: only the single writer knows what a webhook is at the moment of its change.
    private func precondition(of command: Command) -> Refusal? {
        guard let revisions = command.revisions, let id = command.change.webhook else { return nil }
        guard let webhook = webhook(id, of: command.account) else { return .webhookNotFound }
        return revisions.contains(webhook.revision) ? nil : .preconditionFailed
    }

    /// A webhook of another account does not exist for the asker.
    private func webhook(_ id: WebhookID, of account: AccountID) -> Webhook? {
        guard let webhook = webhooks[id], webhook.account == account else { return nil }
        return webhook
    }

    private mutating func create(_ account: Account) -> (Answer, [RegistryAction]) {
        guard accounts[account.id] == nil else { return (.refused(.accountExists), []) }
        load(account)
        return (.applied, [.writeAccount(account)])
    }

    func hasRoom(_ account: AccountID) -> Bool { owned[account, default: []].count < webhooksPerAccount }

    private mutating func create(_ webhook: Webhook) -> (Answer, [RegistryAction]) {
        guard accounts[webhook.account] != nil else { return (.refused(.accountNotFound), []) }
        guard webhooks[webhook.id] == nil else { return (.refused(.webhookExists), []) }
        guard hasRoom(webhook.account) else { return (.refused(.webhookLimitReached), []) }
        return (.applied, [.writeWebhook(load(webhook))])
    }

    private mutating func update(_ old: Webhook, with patch: WebhookPatch, at: Timestamp) -> (Answer, [RegistryAction])
    {
        var webhook = old
        if let url = patch.url { webhook.url = url }
        if let description = patch.description { webhook.description = description }
        if let events = patch.events { webhook.events = events }
        if let isActive = patch.isActive { webhook.isActive = isActive }
        guard webhook != old else { return (.applied, []) }
        webhook.updatedAt = at
        webhook.nextRevision()
        var actions: [RegistryAction] = []
        if !webhook.isActive {
            webhook.endRunningReplay(.cancelled, reason: "the webhook was switched off by its owner", at: at)
        }
        if webhook.isActive, !old.isActive {
            webhook.nextGeneration()
            webhook.disabled = nil
            actions.append(
                .notice(
                    Notice(
                        kind: .enabled, webhook: webhook.id, account: webhook.account, at: at,
                        reason: "enabled by its owner", failedAttempts: 0, lastError: old.disabled?.lastError ?? "",
                        generation: webhook.generation)))
        }
        load(webhook)
        actions.append(.writeWebhook(webhook))
        return (.applied, actions)
    }

    /// A transition: notice and email are acknowledged before the state record, so that a kill can repeat them (with
    /// the same ids, derived from webhook and generation) but never lose or multiply them.
    private mutating func disable(_ old: Webhook, by order: DisableOrder, at: Timestamp) -> (Answer, [RegistryAction]) {
        guard old.isActive, order.generation == old.generation else { return (.refused(.olderGeneration), []) }
        var webhook = old
        webhook.isActive = false
        webhook.updatedAt = at
        webhook.nextRevision()
        webhook.disabled = Webhook.Disabled(reason: order.reason, at: at, lastError: order.lastError)
        webhook.endRunningReplay(.cancelled, reason: "the webhook was disabled: \(order.reason)", at: at)
        load(webhook)
        var actions: [RegistryAction] = [
            .notice(
                Notice(
                    kind: .disabled, webhook: webhook.id, account: webhook.account, at: at, reason: order.reason,
                    failedAttempts: order.failedAttempts, lastError: order.lastError, generation: webhook.generation))
        ]
        if let account = accounts[webhook.account] {
            actions.append(
                .email(
                    account: account.id,
                    EmailOrder(
                        template: .disabled, address: account.email, webhook: webhook.id, url: webhook.url,
                        generation: webhook.generation, at: at, failedAttempts: order.failedAttempts,
                        lastError: order.lastError, failingSince: order.failingSince)))
        }
        actions.append(.writeWebhook(webhook))
        return (.applied, actions)
    }
}
