// How the API and the command line change the registry: a command on one topic, its answer on another.
package import Core

/// What became of a command.
package enum CommandOutcome: Equatable, Sendable {
    /// Written, and this process's own view shows it.
    case applied
    case refused(Refusal)
    /// No answer in time; the registry will not apply it later.
    case unconfirmed
}

/// Sends commands. Any thread; `completion` is called exactly once, on a thread of the client's own, and must not block.
package protocol RegistryClient: Sendable {
    func send(_ command: Command, completion: @escaping @Sendable (CommandOutcome) -> Void)
}
