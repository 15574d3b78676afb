// What commands changed last, so that one whose sender could not wait for its confirmation is taken back: a sender that
// tells its user that a change has not happened and will not sends a withdrawal behind it, and where the change was carried
// out after all the registry undoes it. Decisions only; a take-over fills it from the state's records.

/// What one command made of one webhook.
package struct AppliedChange: Equatable, Sendable {
    package let command: CommandID
    package let webhook: WebhookID
    /// The webhook as it was; nil where there was none.
    package let before: Webhook?
    /// The webhook as it was left; nil where there is none.
    package let after: Webhook?
    /// Whether a replay was begun or cancelled. Else neither state has its replays here: they go on beside the change.
    let concernsReplays: Bool
    /// When the requests with its idempotency key were made that may have been told of it, by their senders' clocks; nil of a
    /// command without a key, which has one sender.
    fileprivate var askers: Set<Timestamp>?
    /// So many were told of it that not all of them will take it back.
    fileprivate var isHeld = false
    fileprivate var isWithdrawn = false
    fileprivate let serial: Int

    fileprivate init(
        _ command: CommandID, _ webhook: WebhookID, from before: Webhook?, to after: Webhook?, askers: Set<Timestamp>?,
        serial: Int
    ) {
        (self.command, self.webhook, self.askers, self.serial) = (command, webhook, askers, serial)
        concernsReplays = Self.concernsReplays(before, after)
        self.before = concernsReplays ? before : before.map(Self.withoutReplays)
        self.after = concernsReplays ? after : after.map(Self.withoutReplays)
    }

    /// Where a replay has to read takes up to a megabyte.
    private static func withoutReplays(_ webhook: Webhook) -> Webhook {
        var webhook = webhook
        webhook.replays = []
        return webhook
    }

    /// That a replay comes further or ends by itself is no wish.
    private static func concernsReplays(_ before: Webhook?, _ after: Webhook?) -> Bool {
        guard let before, let after else { return before?.replays.isEmpty == false }
        return before.replays.last?.id != after.replays.last?.id
            || before.runningReplay != nil && after.replays.last?.status == .cancelled
    }

    /// Somebody asked for what was so already: he was told so, and there is nothing to undo.
    package var changesNothing: Bool { before?.revision == after?.revision && !concernsReplays }
}

package struct AppliedChanges: Sendable {
    private let most: Int
    private static let mostAskers = 64
    private var changes: [CommandID: AppliedChange] = [:]
    /// Each webhook's, in their order.
    private var chains: [WebhookID: [CommandID]] = [:]
    /// The oldest first, from `first` on; also what is forgotten already.
    private var order: [(id: CommandID, serial: Int)] = []
    private var first = 0
    private var serial = 0
    private var isReading = true
    /// Who was told of commands that are not here, as a take-over may read answers before states.
    private var told: [CommandID: Set<Timestamp>] = [:]

    /// - Parameter most: how many are remembered; the oldest go first. A withdrawal stands behind its command on one topic,
    ///   and what stands between the two while a broker stalls comes too late to change anything.
    package init(most: Int = 1000) { self.most = max(1, most) }

    package var count: Int { changes.count }

    /// Remembers what a command made of a webhook, or that it found what it asked for; the first of an id stays until it is
    /// withdrawn. Of records, whose commands are not known, what changed nothing that is anybody's wish is left out.
    /// - Parameter requestedAt: ``Command/at`` of a command with an idempotency key; nil of one without.
    package mutating func note(
        _ id: CommandID, of webhook: WebhookID, from before: Webhook?, to after: Webhook?, requestedAt: Timestamp?
    ) {
        guard changes[id] == nil else { return }
        serial += 1
        let askers = requestedAt.map { (told.removeValue(forKey: id) ?? []).union([$0]) }
        let change = AppliedChange(id, webhook, from: before, to: after, askers: askers, serial: serial)
        // What is not there is not there for everybody, unless it was a moment ago.
        guard isReading ? !change.changesNothing : (before ?? after) != nil || chains[webhook] != nil else { return }
        changes[id] = change
        chains[webhook, default: []].append(id)
        order.append((id, serial))
        while first < order.count, changes.count > most || !isLive(order[first]) {
            if isLive(order[first]) { forget(order[first].id) }
            first += 1
        }
        if first > most {
            order.removeFirst(first)
            first = 0
        }
    }

    private func isLive(_ entry: (id: CommandID, serial: Int)) -> Bool { changes[entry.id]?.serial == entry.serial }

    /// Another request with the same idempotency key is told of it.
    package mutating func noteAsker(of id: CommandID, requestedAt: Timestamp) {
        if let known = changes[id] {
            changes[id]?.askers?.insert(requestedAt)
            changes[id]?.isHeld = known.isHeld || known.askers?.count ?? 0 >= Self.mostAskers
            changes[id]?.isWithdrawn = false
        } else if isReading, told.count < most {
            told[id, default: []].insert(requestedAt)
        }
    }

    /// A take-over has read everything; from here on commands are noted.
    package mutating func endReading() {
        isReading = false
        told = [:]
    }

    /// One who asked was told that it has not happened.
    /// - Parameter requestedAt: his command's time.
    /// - Returns: the changes to undo, in this order, also what changed nothing; they are forgotten. None while another who
    ///   asked may have been told that it has happened, or something was built on it that stands; once that is withdrawn as
    ///   well, both.
    package mutating func withdraw(_ id: CommandID, requestedAt: Timestamp) -> [AppliedChange] {
        guard let change = changes[id], !change.isHeld else { return [] }
        if change.askers != nil {
            changes[id]?.askers?.remove(requestedAt)
            guard changes[id]?.askers?.isEmpty == true else { return [] }
        }
        changes[id]?.isWithdrawn = true
        var undone: [AppliedChange] = []
        while let last = chains[change.webhook]?.last.flatMap({ changes[$0] }), last.isWithdrawn {
            undone.append(last)
            forget(last.command)
        }
        return undone
    }

    /// The webhook that a command made or changed; of several requests with one key each may have thought of another.
    package func webhook(of id: CommandID) -> WebhookID? { changes[id]?.webhook }

    /// The owner before has undone it.
    package mutating func forget(_ id: CommandID) {
        guard let webhook = changes.removeValue(forKey: id)?.webhook else { return }
        chains[webhook]?.removeAll { $0 == id }
        if chains[webhook]?.isEmpty == true { chains[webhook] = nil }
    }
}

extension Command {
    /// When the request was made whose idempotency key it carries; nil without one.
    package var keyedAt: Timestamp? { fingerprint == nil ? nil : at }

    /// Whether somebody asked for a webhook's being so: whoever asks for the same is told that it is.
    package var isWish: Bool {
        switch change {
        case .createWebhook, .updateWebhook, .deleteWebhook, .disableWebhook, .startReplay, .cancelReplay,
            .rotateSecret:
            true
        case .createAccount, .deleteAccount, .warnWebhook, .progressReplay, .finishReplay, .rewrapSecrets, .rotateKey,
            .revokeKey, .noteRequest, .withdraw:
            false
        }
    }

    /// The command that takes this one back.
    /// - Parameters:
    ///   - id: random.
    ///   - now: its sender's clock.
    /// - Returns: nil of a command that nobody was promised anything about: one that may be carried out at any time, one that
    ///   is about no webhook, and the note of a request, which changes nothing.
    package func withdrawal(id: CommandID, now: Timestamp) -> Command? {
        if case .noteRequest = change { return nil }
        guard notAfter != nil, let webhook = change.webhook else { return nil }
        return Command(
            id: id, account: account, at: now, notAfter: nil, change: .withdraw(self.id, webhook, requestedAt: at),
            actor: actor)
    }
}

extension RegistryState {
    /// Undoes a webhook's last change, one that is not ``AppliedChange/changesNothing``, as if it had not been made.
    /// - Returns: nil where that cannot be; else the record to write.
    package mutating func undo(_ change: AppliedChange) -> RegistryAction? {
        let current = webhooks[change.webhook]
        guard (current == nil) == (change.after == nil) else { return nil }
        guard let before = change.before else {
            unloadWebhook(change.webhook)
            return .removeWebhook(change.webhook)
        }
        // Its account may be gone meanwhile, or another webhook have taken its place: that one's owner was told so.
        guard accounts[before.account] != nil, current != nil || hasRoom(before.account) else { return nil }
        var webhook = before
        // Both go on: an ETag and a generation name one state each.
        webhook.revision = max(before.revision, current?.revision ?? 0)
        webhook.nextRevision()
        if let current, let after = change.after {
            // Sealed again since: the operator may take the key away that the old boxes need.
            guard before.secrets == after.secrets || current.secrets == after.secrets else { return nil }
            webhook.generation = max(before.generation, current.generation)
            webhook.warnedGeneration = current.warnedGeneration
            // What went on beside it goes on.
            if before.secrets == after.secrets { webhook.secrets = current.secrets }
            if !change.concernsReplays { webhook.replays = current.replays }
        }
        load(webhook)
        return .writeWebhook(webhook)
    }
}
