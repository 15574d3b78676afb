// The thread that talks to the mail server, so that the stage's loop goes on serving its group however long a server takes.
// One mail after the other, in the order they came; a mail that is put off holds up those behind it and nothing else.
internal import Core
internal import Pipeline
internal import Runtime

final class MailSender: Sendable {
    struct Job: Sendable {
        let record: RecordReference
        let message: MailMessage
        /// Jobs of an older round are handed back unsent.
        let round: Int
    }

    struct Result: Sendable {
        enum Ending: Sendable {
            case sent
            case refused(reason: String)
            /// One with this id was sent before.
            case repeated
            /// Its account is gone.
            case unwanted
            /// The partition went away before its turn came.
            case handedBack
        }
        let job: Job
        let ending: Ending
    }

    private let settings: SMTPSettings
    private let isWanted: @Sendable (AccountID) -> Bool
    private let jobs = Inbox<Job>(wake: EventFD())
    private let results: Inbox<Result>
    private let state = Guarded((round: 0, isStopping: false))
    private let thread = Guarded<OwnedThread?>(nil)
    private let retried: Counter

    /// - Parameters:
    ///   - isWanted: asked before each try whether an account's mail is still to be sent.
    ///   - results: one for every job, whatever becomes of it.
    init(
        settings: SMTPSettings, isWanted: @escaping @Sendable (AccountID) -> Bool, results: Inbox<Result>,
        retried: Counter
    ) {
        self.settings = settings
        self.isWanted = isWanted
        self.results = results
        self.retried = retried
        let started = OwnedThread(name: "smtp") { [self] in run() }
        thread.withLock { $0 = started }
    }

    func send(_ message: MailMessage, for record: RecordReference) {
        jobs.put(Job(record: record, message: message, round: state.withLock { $0.round }))
    }

    /// Hands back what the server cannot have taken yet; what comes after this is a new round.
    func handBack() {
        state.withLock { $0.round += 1 }
        jobs.wake.signal()
    }

    /// Gives up what is on its way and ends the thread.
    func stop() {
        state.withLock { $0.isStopping = true }
        jobs.wake.signal()
        thread.withLock { $0.take() }?.join()
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    // MARK: The thread

    private func run() {
        let client = SMTPClient(settings)
        var waiting: [Job] = []
        var batch: [Job] = []
        // Of a topic that sees a few a day.
        var sent = BoundedSet<EmailID>(kept: 5000)
        var backoff = MailBackoff()
        // When the server put the first one off; 0 while it has not. Its absence does not count.
        var putOffSince: UInt64 = 0
        var nextTry: UInt64 = 0
        while !isStopping {
            jobs.take(into: &batch)
            waiting += batch
            let round = state.withLock { $0.round }
            let stale = waiting.prefix { $0.round < round }
            if !stale.isEmpty {
                results.put(contentsOf: stale.map { Result(job: $0, ending: .handedBack) })
                waiting.removeFirst(stale.count)
                (putOffSince, nextTry) = (0, 0)
            }
            let now = Clock.monotonic()
            guard let job = waiting.first, now >= nextTry else {
                jobs.wake.wait(milliseconds: waiting.isEmpty ? 60_000 : Int((nextTry - now) / 1_000_000) + 1)
                jobs.wake.clear()
                continue
            }
            let isRepeated = sent.contains(job.message.id)
            if let ending = isRepeated ? .repeated : attempt(job, client, &putOffSince) {
                if case .sent = ending { sent.insert(job.message.id) }
                waiting.removeFirst()
                (putOffSince, nextTry) = (0, 0)
                backoff.reset()
                results.put(Result(job: job, ending: ending))
            } else {
                nextTry = Clock.monotonic() + backoff.wait()
            }
        }
    }

    /// - Returns: nil when it is to be tried again.
    private func attempt(_ job: Job, _ client: SMTPClient, _ putOffSince: inout UInt64) -> Result.Ending? {
        guard isWanted(job.message.account) else { return .unwanted }
        let outcome = client.send(job.message) { [state] hasBegun in
            state.withLock { $0.isStopping || !hasBegun && job.round < $0.round }
        }
        let now = Clock.monotonic()
        if case .answered = outcome, putOffSince == 0 { putOffSince = now }
        switch outcome.verdict(putOffFor: putOffSince == 0 ? 0 : now - putOffSince) {
        case .done: return .sent
        case .giveUp(let reason): return .refused(reason: reason)
        case .again:
            // One that was given up for us says nothing of the server.
            guard state.withLock({ !$0.isStopping && job.round == $0.round }) else { return nil }
            retried.add()
            Log.warning(
                "mail was not taken; it is tried again", .email(job.message.id.description), .reason(outcome.text))
            return nil
        }
    }
}
