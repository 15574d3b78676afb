// Secrets and API keys that are replaced: the new one at once, the old ones for an overlap, so that nobody has to change over
// at the same moment.

/// For how long what is replaced stays valid beside the new.
package enum RotationOverlap {
    package static let defaultSeconds = 86_400
    package static let mostSeconds = 7 * 86_400
}

extension Webhook {
    /// Signing secrets at most, the current one among them. Each that is not over signs every attempt, in the one header.
    package static let mostSecrets = 5
}

extension Account {
    /// Valid API keys at most: the newest, and the one that is being rotated out.
    package static let mostRotatedKeys = 2
}

extension RegistryState {
    /// An overlap of 0 is for a secret that somebody else has seen: all older ones end, also those of rotations before.
    mutating func rotate(
        _ old: Webhook, to secret: SealedSecret, overlapMilliseconds: Int64, at: Timestamp
    ) -> (Answer, [RegistryAction]) {
        var webhook = old
        webhook.secrets = [secret]
        if overlapMilliseconds > 0 {
            let end = at.adding(milliseconds: overlapMilliseconds)
            for var kept in old.secrets where kept.isValid(at: at) {
                // One that is being rotated out already keeps the end its owner was told.
                kept.expiresAt = kept.expiresAt ?? end
                webhook.secrets.append(kept)
            }
            webhook.secrets.removeLast(max(0, webhook.secrets.count - Webhook.mostSecrets))
        }
        webhook.updatedAt = at
        webhook.nextRevision()
        load(webhook)
        return (.applied, [.writeWebhook(webhook)])
    }

    /// What its owner sees does not change, so neither does the revision.
    mutating func rewrap(_ old: Webhook, _ rewraps: [SecretRewrap]) -> (Answer, [RegistryAction]) {
        var webhook = old
        for rewrap in rewraps {
            guard let index = webhook.secrets.firstIndex(where: { $0.box == rewrap.old }) else { continue }
            webhook.secrets[index].keyID = rewrap.keyID
            webhook.secrets[index].box = rewrap.box
        }
        guard webhook != old else { return (.refused(.secretChanged), []) }
        load(webhook)
        return (.applied, [.writeWebhook(webhook)])
    }

    /// Never more than two: a rotation during a rotation ends the oldest key.
    mutating func rotateKey(
        of id: AccountID, to key: APIKey, overlapMilliseconds: Int64, at: Timestamp
    ) -> (Answer, [RegistryAction]) {
        guard var account = accounts[id] else { return (.refused(.accountNotFound), []) }
        let end = at.adding(milliseconds: overlapMilliseconds)
        account.keys = account.keys.filter { $0.expiresAt.map { $0 > at } ?? true }
        account.keys = overlapMilliseconds > 0 ? Array(account.keys.suffix(Account.mostRotatedKeys - 1)) : []
        for index in account.keys.indices {
            account.keys[index].expiresAt = account.keys[index].expiresAt ?? end
        }
        account.keys.append(key)
        load(account)
        return (.applied, [.writeAccount(account)])
    }

    /// Also the last one: an account without a key is reached from the command line only.
    mutating func revokeKey(_ key: String, of id: AccountID) -> (Answer, [RegistryAction]) {
        guard var account = accounts[id] else { return (.refused(.accountNotFound), []) }
        guard let index = account.keys.firstIndex(where: { $0.id == key }) else {
            return (.refused(.apiKeyNotFound), [])
        }
        account.keys.remove(at: index)
        load(account)
        return (.applied, [.writeAccount(account)])
    }
}
