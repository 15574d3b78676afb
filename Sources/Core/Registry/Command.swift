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
    }

    package init(id: CommandID, account: AccountID, at: Timestamp, notAfter: Timestamp?, change: Change) {
        self.id = id
        self.account = account
        self.at = at
        self.notAfter = notAfter
        self.change = change
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
}
