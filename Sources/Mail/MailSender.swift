// The thread that talks to the mail server, so that the stage's loop goes on serving its group however long a server takes.
// One mail after the other, in the order of `Core/Mail/MailQueue`: a mail that the server puts off for what it is stands aside,
// and a server that does not work holds all of them up.
internal import Core
internal import Pipeline
internal import Runtime

final class MailSender: Sendable {
    struct Job: Sendable {
        let record: RecordReference
        let message: MailMessage
        /// When its record was written, milliseconds since 1970; negative where nobody knows.
        let written: Int64
        /// When it was read, monotonic nanoseconds.
        let since: UInt64
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
            /// The partition goes away, and its turn has not come.
            /// - isWanted: whether its account is known to be there still.
            case handedBack(isWanted: Bool)
        }
        let job: Job
        let ending: Ending
    }

    private let settings: SMTPSettings
    private let audience: MailStage.Audience
    private let jobs = Inbox<Job>(wake: EventFD())
    private let results: Inbox<Result>
    private let state = Guarded((round: 0, isStopping: false))
    private let thread = Guarded<OwnedThread?>(nil)
    private let retried: Counter

    /// - Parameters:
    ///   - audience: asked before each try.
    ///   - results: one for every job, whatever becomes of it.
    init(
        settings: SMTPSettings, audience: @escaping MailStage.Audience, results: Inbox<Result>, retried: Counter
    ) {
        self.settings = settings
        self.audience = audience
        self.results = results
        self.retried = retried
        let started = OwnedThread(name: "smtp") { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// - Parameter written: when its record was written, milliseconds since 1970; negative where nobody knows.
    func send(_ message: MailMessage, for record: RecordReference, written: Int64) {
        jobs.put(
            Job(
                record: record, message: message, written: written, since: Clock.monotonic(),
                round: state.withLock { $0.round }))
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
        var queue = MailQueue<Job>()
        var batch: [Job] = []
        // Of a topic that sees a few a day.
        var sent = BoundedSet<EmailID>(kept: 5000)
        while !isStopping {
            jobs.take(into: &batch)
            for job in batch { queue.add(job) }
            let round = state.withLock { $0.round }
            let stale = queue.takeOut { $0.round < round }
            if !stale.isEmpty {
                results.put(contentsOf: stale.map { Result(job: $0, ending: ending(ofStale: $0)) })
            }
            let now = Clock.monotonic()
            switch queue.next(now: now) {
            case .try(let job):
                guard let ending = attempt(job, client, &queue, sent) else { continue }
                if case .sent = ending { sent.insert(job.message.id) }
                results.put(Result(job: job, ending: ending))
            case .wait(let until): sleep(milliseconds: Int((until - now) / 1_000_000) + 1)
            case .nothing: sleep(milliseconds: 60_000)
            }
        }
    }

    private func sleep(milliseconds: Int) {
        jobs.wake.wait(milliseconds: milliseconds)
        jobs.wake.clear()
    }

    private func ending(ofStale job: Job) -> Result.Ending {
        switch audience(job.message.account, job.written, job.since) {
        case .gone: .unwanted
        case .wanted: .handedBack(isWanted: true)
        case .unknown: .handedBack(isWanted: false)
        }
    }

    /// - Returns: nil when it is to be tried again.
    private func attempt(
        _ job: Job, _ client: SMTPClient, _ queue: inout MailQueue<Job>, _ sent: BoundedSet<EmailID>
    ) -> Result.Ending? {
        let audience = audience(job.message.account, job.written, job.since)
        if sent.contains(job.message.id) || audience == .gone {
            queue.ended(now: Clock.monotonic(), serverAnswered: false)
            return audience == .gone ? .unwanted : .repeated
        }
        guard audience == .wanted else {
            queue.setAside(now: Clock.monotonic(), byServer: false)
            return nil
        }
        let begun = Clock.monotonic()
        let outcome = client.send(job.message) { [state] hasBegun in
            state.withLock { $0.isStopping || !hasBegun && job.round < $0.round }
        }
        let now = Clock.monotonic()
        let age = Clock.wallMilliseconds() - job.message.createdAt.milliseconds
        let (putOffFor, blamedFor) = (queue.putOffFor(now: now), queue.blamedFor(now: now))
        switch outcome.verdict(ageMilliseconds: age, putOffFor: putOffFor, blamedFor: blamedFor) {
        case .done:
            queue.ended(now: now, serverAnswered: true)
            return .sent
        case .giveUp(let reason):
            queue.ended(now: now, serverAnswered: outcome.isServerWorking)
            return .refused(reason: reason)
        case .wait: queue.paused(now: now)
        case .setAside: queue.setAside(now: now, byServer: true, took: now - begun)
        }
        // One that was given up for us says nothing of the server.
        guard state.withLock({ !$0.isStopping && job.round == $0.round }) else { return nil }
        retried.add()
        Log.warning("mail was not taken; it is tried again", .email(job.message.id.description), .reason(outcome.text))
        return nil
    }
}
