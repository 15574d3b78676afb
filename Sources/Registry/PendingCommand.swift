// A command that this process sent and whose outcome its sender waits for: which answers and states are to it, and when they
// suffice. Decisions only; RegistryFeed reads the topics to it.
internal import Core

struct PendingCommand {
    /// How long a sender waits for an answer (contract §1: 503 after 5 s).
    static let timeoutNanoseconds = UInt64(CommandAge.senderMilliseconds) * 1_000_000
    /// How much longer where the registry has said that it is done: to say that it did not happen would be false.
    static let viewNanoseconds: UInt64 = 10_000_000_000
    /// A write is visible everywhere within a second (contract §1).
    static let catchUpNanoseconds: UInt64 = 1_000_000_000

    let command: Command
    let deadline: UInt64
    let completion: @Sendable (CommandOutcome) -> Void
    private(set) var result: CommandResult?
    /// When the answer came, monotonic nanoseconds.
    private var answeredAt: UInt64 = 0
    private var sawState = false
    /// The state record is this command's own, and not of an earlier request with its key.
    private var isOwnState = false
    /// The webhook of the state record, and when the request was made that left it so.
    private var left: Webhook?
    private var leftAt: Timestamp?

    /// - Parameter now: monotonic nanoseconds.
    init(_ command: Command, now: UInt64, completion: @escaping @Sendable (CommandOutcome) -> Void) {
        self.command = command
        deadline = now + Self.timeoutNanoseconds
        self.completion = completion
    }

    /// An answer of its id: it may be to another request with the same key, or say of an earlier command that it came too late.
    /// Only its own one counts, for then the registry knows that this sender may tell its user (``AppliedChanges``). One
    /// without a receipt or a time is of a registry from before there were any.
    mutating func take(_ result: CommandResult, now: UInt64) {
        if let receipt = result.receipt {
            guard receipt.fingerprint == command.fingerprint else { return }
            guard result.answer.holdsKey || receipt.at == command.at else { return }
        }
        if let requestedAt = result.requestedAt, requestedAt != command.at { return }
        self.result = result
        answeredAt = now
    }

    /// The last state record of a command of its id.
    /// - Parameters:
    ///   - fingerprint: the record's; nil also of a registry from before there were any.
    ///   - requestedAt: its command's time; nil as well.
    mutating func see(_ webhook: Webhook?, fingerprint: String?, requestedAt: Timestamp?) {
        guard fingerprint == nil || fingerprint == command.fingerprint else { return }
        sawState = true
        isOwnState = isOwnState || requestedAt == nil || requestedAt == command.at
        left = webhook
        leftAt = requestedAt
    }

    /// The outcome, once everything it depends on was seen or the time is over.
    /// - Parameter shows: whether the view has come as far as a webhook's revision.
    func outcome(now: UInt64, shows: (WebhookID, _ revision: Int) -> Bool) -> CommandOutcome? {
        // Whoever takes the registry over has read it too: with or without an answer it is done.
        if sawState, isOwnState || isAnsweredWith(leftAt) { return .applied(CommandEffect(webhook: left)) }
        guard let result else { return now >= deadline ? .unconfirmed : nil }
        if case .refused(let refusal) = result.answer { return .refused(refusal) }
        return isShown(result, now: now, shows: shows)
            ? .applied(CommandEffect(result.receipt)) : now >= deadline + Self.viewNanoseconds ? .unseen : nil
    }

    /// Whether the answer is that the request of this time was carried out: another with this one's key.
    private func isAnsweredWith(_ requestedAt: Timestamp?) -> Bool {
        guard let result, result.answer == .applied else { return false }
        return requestedAt == nil || result.receipt.map { $0.at == requestedAt } ?? true
    }

    private func isShown(_ result: CommandResult, now: UInt64, shows: (WebhookID, _ revision: Int) -> Bool) -> Bool {
        guard !result.wroteState else { return false }
        let kept = result.receipt?.webhook
        // Changed nothing, or a request repeated right behind the first: what it stands on is on its way to this view, if it is
        // not gone again. With a receipt the answer is made of that, so that the view need not be waited for longer.
        guard let webhook = command.change.webhook, let revision = result.revision ?? kept?.revision,
            !shows(webhook, revision)
        else {
            return true
        }
        return kept != nil && now >= answeredAt + Self.catchUpNanoseconds
    }
}
