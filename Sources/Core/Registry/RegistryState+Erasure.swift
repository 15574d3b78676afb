// An account that goes, with everything the registry keeps of it.

extension RegistryState {
    /// The webhooks first: as long as one is there, so is the account that may delete it.
    mutating func deleteAccount(_ id: AccountID) -> (Answer, [RegistryAction]) {
        guard accounts[id] != nil else { return (.refused(.accountNotFound), []) }
        let webhooks = webhooks(of: id)
        for webhook in webhooks { unloadWebhook(webhook) }
        unloadAccount(id)
        return (.applied, webhooks.map { .removeWebhook($0) } + [.removeAccount(id)])
    }
}
