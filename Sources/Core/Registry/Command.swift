// What may be asked of the registry. Everything that is random or read from a clock is in the command, made by whoever
// sends it, so that applying one is deterministic.

package struct Command: Equatable, Sendable {
    /// A repeated id is answered again, not applied again.
    package var id: CommandID
    package var account: AccountID
    /// When the sender made it.
    package var at: Timestamp
    /// Later than this it is refused, because the sender has already told its user that it did not happen.
    package var notAfter: Timestamp?
    package var change: Change
    /// Who asks; nil of a command from before there were audit lines.
    package var actor: Actor?
    /// Digest of the request whose idempotency key the id was made of; nil where there is no key and the id is random.
    package var fingerprint: String?
    /// Only while its webhook has one of these revisions; nil: whatever it has.
    package var revisions: [Int]?

    package enum Change: Equatable, Sendable {
        case createAccount(Account)
        /// The command's own account, with its webhooks.
        case deleteAccount
        case createWebhook(Webhook)
        case updateWebhook(WebhookID, WebhookPatch)
        case deleteWebhook(WebhookID)
        case disableWebhook(WebhookID, DisableOrder)
        case warnWebhook(WebhookID, WarnOrder)
        case startReplay(WebhookID, Replay)
        case progressReplay(WebhookID, ReplayReport)
        /// - failure: why it could not go on; nil where everything is written.
        case finishReplay(WebhookID, ReplayReport, failure: String?)
        case cancelReplay(WebhookID, ReplayID)
        /// The secrets there are go on signing for the overlap, counted from the command's time; 0 ends them at once.
        case rotateSecret(WebhookID, SealedSecret, overlapMilliseconds: Int64)
        /// The same secrets, sealed with another key.
        case rewrapSecrets(WebhookID, [SecretRewrap])
        /// The keys there are stay valid for the overlap, counted from the command's time; 0 ends them at once.
        case rotateKey(APIKey, overlapMilliseconds: Int64)
        /// The key of this id ends at once.
        case revokeKey(String)
        /// Changes nothing: that a request with an idempotency key was made is to be remembered.
        case noteRequest(WebhookID)
        /// Its sender has told its user that the command of this id has not happened and will not: it is undone
        /// (``AppliedChanges``). A command with an idempotency key may have several senders; `requestedAt` is this one's
        /// ``Command/at``.
        case withdraw(CommandID, WebhookID, requestedAt: Timestamp)

        /// The webhook it is about; nil of what is about an account.
        package var webhook: WebhookID? {
            switch self {
            case .createAccount, .deleteAccount, .rotateKey, .revokeKey: nil
            case .createWebhook(let webhook): webhook.id
            case .updateWebhook(let id, _), .deleteWebhook(let id), .disableWebhook(let id, _), .warnWebhook(let id, _),
                .startReplay(let id, _), .progressReplay(let id, _), .finishReplay(let id, _, _),
                .cancelReplay(let id, _), .rotateSecret(let id, _, _), .rewrapSecrets(let id, _),
                .noteRequest(let id), .withdraw(_, let id, _):
                id
            }
        }
    }

    package init(
        id: CommandID, account: AccountID, at: Timestamp, notAfter: Timestamp?, change: Change, actor: Actor? = nil,
        fingerprint: String? = nil, revisions: [Int]? = nil
    ) {
        self.id = id
        self.account = account
        self.at = at
        self.notAfter = notAfter
        self.change = change
        self.actor = actor
        self.fingerprint = fingerprint
        self.revisions = revisions
    }
}

/// Who asks for a change, as the audit lines name him.
package enum Actor: Equatable, Sendable, CustomStringConvertible {
    /// The API key of this id.
    case key(String)
    case commandLine
    case deliveryStage
    /// The process that runs a replay.
    case replay

    private static let keyPrefix = "key "

    package var description: String {
        switch self {
        case .key(let id): Self.keyPrefix + id
        case .commandLine: "command line"
        case .deliveryStage: "delivery stage"
        case .replay: "replay"
        }
    }

    package init?(_ text: String) {
        switch text {
        case "command line": self = .commandLine
        case "delivery stage": self = .deliveryStage
        case "replay": self = .replay
        case let text:
            guard text.hasPrefix(Self.keyPrefix) else { return nil }
            self = .key(String(text.dropFirst(Self.keyPrefix.utf8.count)))
        }
    }
}

/// One sealed secret sealed again: compare and set, so that a rotation meanwhile is not undone.
package struct SecretRewrap: Equatable, Sendable {
    /// What the webhook has to have still.
    package var old: [UInt8]
    package var keyID: String
    package var box: [UInt8]

    package init(old: [UInt8], keyID: String, box: [UInt8]) {
        self.old = old
        self.keyID = keyID
        self.box = box
    }
}

/// The fields of a PATCH; nil leaves a field as it is.
package struct WebhookPatch: Equatable, Sendable {
    package var url: String?
    /// The inner nil removes the description.
    package var description: String??
    package var events: [String]?
    package var isActive: Bool?

    package init(url: String? = nil, description: String?? = nil, events: [String]? = nil, isActive: Bool? = nil) {
        self.url = url
        self.description = description
        self.events = events
        self.isActive = isActive
    }
}

/// What the delivery stage reports when retry 8 has failed.
package struct DisableOrder: Equatable, Sendable {
    /// The generation of the delivery that was given up; an older one than the webhook's is ignored.
    package var generation: Int
    package var reason: String
    package var failedAttempts: Int
    package var lastError: String
    package var failingSince: Timestamp

    package init(generation: Int, reason: String, failedAttempts: Int, lastError: String, failingSince: Timestamp) {
        self.generation = generation
        self.reason = reason
        self.failedAttempts = failedAttempts
        self.lastError = lastError
        self.failingSince = failingSince
    }
}

/// What the delivery stage reports when retry 7 has failed: one attempt is left.
package struct WarnOrder: Equatable, Sendable {
    /// The generation of the delivery; an older one than the webhook's is ignored.
    package var generation: Int
    package var failedAttempts: Int
    package var lastError: String
    package var failingSince: Timestamp
    /// When the last attempt is due.
    package var lastAttemptAt: Timestamp

    package init(
        generation: Int, failedAttempts: Int, lastError: String, failingSince: Timestamp, lastAttemptAt: Timestamp
    ) {
        self.generation = generation
        self.failedAttempts = failedAttempts
        self.lastError = lastError
        self.failingSince = failingSince
        self.lastAttemptAt = lastAttemptAt
    }
}

/// How far a replay came, from the process that runs it.
package struct ReplayReport: Equatable, Sendable {
    package var replay: ReplayID
    /// The replay's; a report of another generation than the webhook's is refused.
    package var generation: Int
    /// The partitions that came further since the report before.
    package var parts: [ReplayPart]
    /// Set where a log lost records before they were read: from here on nothing is missing.
    package var from: Timestamp?

    package init(replay: ReplayID, generation: Int, parts: [ReplayPart], from: Timestamp? = nil) {
        self.replay = replay
        self.generation = generation
        self.parts = parts
        self.from = from
    }
}

/// The registry's answer to a command.
package enum Answer: Equatable, Sendable {
    case applied
    case refused(Refusal)
}

/// Why a command was not applied. The raw value is the API's error code.
package enum Refusal: String, Equatable, Sendable {
    case webhookLimitReached = "WEBHOOK_LIMIT_REACHED"
    case webhookNotFound = "WEBHOOK_NOT_FOUND"
    case accountNotFound = "ACCOUNT_NOT_FOUND"
    case accountExists = "ACCOUNT_EXISTS"
    case webhookExists = "WEBHOOK_EXISTS"
    case tooLate = "COMMAND_EXPIRED"
    case olderGeneration = "OLDER_GENERATION"
    case webhookInactive = "WEBHOOK_INACTIVE"
    /// One at a time for each webhook.
    case replayRunning = "REPLAY_RUNNING"
    case replayNotFound = "REPLAY_NOT_FOUND"
    /// A report about a replay that does not run any more.
    case replayEnded = "REPLAY_ENDED"
    /// The webhook has another revision than the command was made for.
    case preconditionFailed = "PRECONDITION_FAILED"
    /// The idempotency key belongs to another request.
    case keyReused = "IDEMPOTENCY_KEY_REUSED"
    case apiKeyNotFound = "API_KEY_NOT_FOUND"
    /// None of the secrets to be sealed again is there any more.
    case secretChanged = "SECRET_CHANGED"
    /// It was applied, and undone since its sender could not wait for the confirmation.
    case withdrawn = "COMMAND_WITHDRAWN"
}
