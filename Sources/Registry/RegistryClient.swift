// How the API and the command line change the registry: a command on one topic, its answer on another.
package import Core

/// What became of a command.
package enum CommandOutcome: Equatable, Sendable {
    /// Written, and this process's own view shows it.
    case applied(CommandEffect = CommandEffect())
    case refused(Refusal)
    /// No answer in time; the registry will not apply it later, and takes it back where it was writing it down already. Nothing
    /// is taken back of a command without `notAfter`, nor where the process dies first (Sources/README.md).
    case unconfirmed
    /// Written, and this process's view does not show it yet.
    case unseen

    package var isApplied: Bool { if case .applied = self { true } else { false } }
}

/// What an applied command left.
package struct CommandEffect: Equatable, Sendable {
    /// The webhook as the command left it, where that is known: where it was changed, and of a request that was repeated with
    /// its idempotency key, as the first one left it.
    package var webhook: Webhook?
    /// When the first request with this idempotency key was made; nil without a key.
    package var requestedAt: Timestamp?

    package init(webhook: Webhook? = nil, requestedAt: Timestamp? = nil) {
        self.webhook = webhook
        self.requestedAt = requestedAt
    }

    package init(_ receipt: Receipt?) { self.init(webhook: receipt?.webhook, requestedAt: receipt?.at) }
}

/// Sends commands. Any thread; `completion` is called exactly once, on a thread of the client's own, and must not block.
package protocol RegistryClient: Sendable {
    func send(_ command: Command, completion: @escaping @Sendable (CommandOutcome) -> Void)
}
