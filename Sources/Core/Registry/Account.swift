// The registry's state: who has an account and which webhooks it registered. Plain values; their JSON forms are in
// Sources/Registry, what may change them in RegistryState.

/// An API key as it is stored: never the key, only its hash.
package struct APIKey: Equatable, Sendable {
    /// The public part that names the key in the audit log.
    package var id: String
    /// Lower-case hex SHA-256 of the whole key. Keys carry 190 random bits, so a fast hash is enough.
    package var hash: String
    package var createdAt: Timestamp
    /// Set while the key is being rotated out.
    package var expiresAt: Timestamp?

    package init(id: String, hash: String, createdAt: Timestamp, expiresAt: Timestamp? = nil) {
        self.id = id
        self.hash = hash
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }
}

package struct Account: Equatable, Sendable {
    package var id: AccountID
    /// Where notices about its webhooks are mailed to. Never logged.
    package var email: String
    package var name: String?
    package var keys: [APIKey]
    package var createdAt: Timestamp

    package init(id: AccountID, email: String, name: String?, keys: [APIKey], createdAt: Timestamp) {
        self.id = id
        self.email = email
        self.name = name
        self.keys = keys
        self.createdAt = createdAt
    }
}

/// A signing secret as it is stored: AES-256-GCM, bound to its account and webhook.
package struct SealedSecret: Equatable, Sendable {
    /// Which key of `secrets.keyFile` opens it.
    package var keyID: String
    /// Nonce, ciphertext and tag.
    package var box: [UInt8]
    package var createdAt: Timestamp
    /// Set on the old secret while it is being rotated out.
    package var expiresAt: Timestamp?

    package init(keyID: String, box: [UInt8], createdAt: Timestamp, expiresAt: Timestamp? = nil) {
        self.keyID = keyID
        self.box = box
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }

    /// Whether it signs what is sent then.
    package func isValid(at now: Timestamp) -> Bool { expiresAt.map { $0 > now } ?? true }
}

package struct Webhook: Equatable, Sendable {
    package var id: WebhookID
    package var account: AccountID
    package var url: String
    package var description: String?
    /// Event types, or patterns `*` and `module.*`.
    package var events: [String]
    package var isActive: Bool
    package var version: String
    /// +1 at each activation. A delivery or a disable command of an older generation is void.
    package var generation: Int
    /// +1 at each change of what its owner sees of it or signs with; what an ETag names.
    package var revision: Int
    package var createdAt: Timestamp
    package var updatedAt: Timestamp
    /// The current secret first.
    package var secrets: [SealedSecret]
    package var disabled: Disabled?
    /// The generation whose owner was warned that it is about to be disabled; nil before the first warning.
    package var warnedGeneration: Int?
    /// Its replays, the newest last, at most one of them running.
    package var replays: [Replay]

    /// Why the bridge itself switched it off; nil when active or switched off by its owner.
    package struct Disabled: Equatable, Sendable {
        package var reason: String
        package var at: Timestamp
        package var lastError: String

        package init(reason: String, at: Timestamp, lastError: String) {
            self.reason = reason
            self.at = at
            self.lastError = lastError
        }
    }

    package init(
        id: WebhookID, account: AccountID, url: String, description: String?, events: [String], isActive: Bool,
        version: String, generation: Int = 1, revision: Int = 1, createdAt: Timestamp, updatedAt: Timestamp,
        secrets: [SealedSecret],
        disabled: Disabled? = nil, warnedGeneration: Int? = nil, replays: [Replay] = []
    ) {
        self.id = id
        self.account = account
        self.url = url
        self.description = description
        self.events = events
        self.isActive = isActive
        self.version = version
        self.generation = generation
        self.revision = revision
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.secrets = secrets
        self.disabled = disabled
        self.warnedGeneration = warnedGeneration
        self.replays = replays
    }
}

extension Webhook {
    /// The largest generation and revision, exact in every JSON reader; nobody comes as far.
    package static let mostCount = (1 << 53) - 1
    /// Of a record of a registry from before there were revisions.
    package static let unknownRevision = 0

    package mutating func nextGeneration() { generation = min(generation + 1, Self.mostCount) }
    package mutating func nextRevision() { revision = min(revision + 1, Self.mostCount) }

    /// The webhook with a revision of its own: where its record has none, one above what is known of it, so that no ETag names
    /// two states.
    package func numbered(after known: Webhook?) -> Webhook {
        guard revision == Self.unknownRevision else { return self }
        var numbered = self
        numbered.revision = known?.revision ?? Self.unknownRevision
        numbered.nextRevision()
        return numbered
    }
}
