// The warning before a webhook is disabled, once in each of its generations.

extension RegistryState {
    /// The email is acknowledged before the state record that remembers it, so that a kill can repeat it (with the same
    /// id, derived from webhook, generation and template) but never lose it.
    mutating func warn(_ old: Webhook, by order: WarnOrder, at: Timestamp) -> (Answer, [RegistryAction]) {
        guard old.isActive, order.generation == old.generation else { return (.refused(.olderGeneration), []) }
        guard old.warnedGeneration != old.generation else { return (.applied, []) }
        var webhook = old
        webhook.warnedGeneration = old.generation
        load(webhook)
        guard let account = accounts[webhook.account] else { return (.applied, [.writeWebhook(webhook)]) }
        let email = EmailOrder(
            template: .failing, address: account.email, webhook: webhook.id, url: webhook.url,
            generation: webhook.generation, at: at, failedAttempts: order.failedAttempts, lastError: order.lastError,
            failingSince: order.failingSince, lastAttemptAt: order.lastAttemptAt)
        return (.applied, [.email(account: account.id, email), .writeWebhook(webhook)])
    }
}
