// REGISTRY: the single writer of `accounts` and `subscriptions`, on topics of one partition: one owner, one order.
// Commands of a batch are applied one after the other; what they cause goes out in waves, each acknowledged before the next:
// notices and emails, accounts, subscriptions, accounts that go, answers. Who else might write is kept off by epochs
// (RegistryHolding).
package import Core
internal import JSON
package import Kafka
package import Pipeline
internal import Runtime

package final class RegistryStage: StageHandler {
    private let topics: Topics
    private let configuration: KafkaConfiguration
    private let webhooksPerAccount: Int
    private let producer: KafkaProducer
    private let records: RegistryRecords
    private let deadLetters: DeadLetters
    private let parser = JSONParser()

    /// nil while this member owns nothing, and after somebody with a higher epoch was seen.
    private var holding: RegistryHolding?
    private var queue: [Job] = []
    private var wave: Wave?
    /// Answers on their way. A command is finished when its answer has been read back before any higher epoch: then it is
    /// done, and whoever comes next knows it.
    private var unconfirmed: [AnswerID: [RecordReference]] = [:]
    private var owned: [StagePartition] = []
    private var isCaughtUp = false
    private let onCaughtUp: @Sendable () -> Void

    /// Set while the reader of the registry's topics could not be made: when it is tried again, monotonic nanoseconds.
    private var holdAgainAt: UInt64?

    private static let commandsPerWave = 200
    private static let holdAgainNanoseconds: UInt64 = 1_000_000_000

    /// The answer to a withdrawal is given to the command that it takes back.
    private struct AnswerID: Hashable {
        let command: CommandID
        let isWithdrawal: Bool

        init(_ result: CommandResult) {
            command = result.command
            isWithdrawal = result.answer == .refused(.withdrawn)
        }
    }

    private struct Job {
        let record: RecordReference
        /// Whose records these are; a withdrawal's answer is given to the command that it takes back.
        let command: CommandID
        let account: AccountID
        let result: CommandResult
        var actions: [RegistryAction]
        /// Answers to others that a withdrawal undid with it; they go out first.
        var alsoAnswered: [CommandResult] = []

        /// Whether the answer is to the command itself.
        var isAnswered: Bool { result.command == command }
    }

    /// The order in which records go out; each step is acknowledged before the next.
    private enum Step: Int {
        case announce
        case accounts
        case subscriptions
        case removeAccounts
        case answer

        init(of action: RegistryAction) {
            self =
                switch action {
                case .notice, .email: .announce
                case .writeAccount: .accounts
                case .writeWebhook, .removeWebhook: .subscriptions
                case .removeAccount: .removeAccounts
                }
        }

        var next: Step? { Step(rawValue: rawValue + 1) }
    }

    private struct Wave {
        let jobs: [Job]
        var step: Step
    }

    /// - Parameters:
    ///   - apiURL: where subscribers reach the API, for the commands in mails; nil: `$API`.
    ///   - payloadBytes: `limits.payloadBytes`.
    ///   - onCaughtUp: called once the commands found at the first take-over are applied, and at once when this member
    ///     owns nothing.
    package init(
        topics: Topics, configuration: KafkaConfiguration, webhooksPerAccount: Int, apiURL: String? = nil,
        payloadBytes: Int, producer: KafkaProducer, onCaughtUp: @escaping @Sendable () -> Void
    ) {
        self.onCaughtUp = onCaughtUp
        self.topics = topics
        self.configuration = configuration
        self.webhooksPerAccount = webhooksPerAccount
        self.producer = producer
        records = RegistryRecords(topics, producer, apiURL: apiURL)
        deadLetters = DeadLetters(topics, producer, largest: payloadBytes)
    }

    // MARK: Taking over

    package func assigned(_ partitions: [StagePartition], _ loop: StageLoop) {
        owned = partitions
        guard !partitions.isEmpty else { return noteCaughtUp() }
        takeHold(loop, now: Clock.monotonic())
    }

    /// Makes the reader of the registry's topics. A configuration that made the group's consumer makes this one too; what can
    /// be missing are descriptors and threads, and those come back.
    private func takeHold(_ loop: StageLoop, now: UInt64) {
        do {
            holding = try RegistryHolding(
                configuration, topics: topics, webhooksPerAccount: webhooksPerAccount, wake: loop.wake)
            holdAgainAt = nil
        } catch {
            if holdAgainAt == nil {
                Log.error(
                    "the registry's topics cannot be read; its commands wait", .error("\(error)"),
                    .fix("raise the limits of open files and threads; it is tried again each second"))
            }
            holdAgainAt = now + Self.holdAgainNanoseconds
        }
    }

    /// Reads what has come on the registry's topics and does what the epochs ask for.
    /// - Returns: whether commands may be applied and written.
    private func hold(_ holding: RegistryHolding, _ loop: StageLoop) -> Bool {
        while let action = holding.due.first {
            switch action {
            case .claim(let marker):
                // Not while others may have been given the partition without this member having heard of it.
                guard loop.mayStart() else { return false }
                records.mark(.results, marker)
            case .mark(let marker):
                records.mark(.accounts, marker)
                records.mark(.subscriptions, marker)
            case .begin:
                holding.changes.endReading()
                FreeMemory.giveBack()
                Log.info(
                    "registry taken over", .count(holding.state.webhooks.count), .epoch(holding.ownership.epoch))
            case .stop:
                Log.warning(
                    "another process has taken the registry over; giving it up", .epoch(holding.ownership.epoch))
                revoked()
                // Whoever is right, the group decides it anew.
                loop.subscribe(to: [topics.commands])
                return false
            }
            holding.due.removeFirst()
        }
        return holding.isOwning
    }

    // MARK: Commands

    package func budget(for partition: StagePartition) -> Int {
        guard wave == nil, let holding, holding.isOwning, holding.due.isEmpty, holding.repairs.isEmpty else { return 0 }
        // What waits for its answer to be read back holds the offset, not the next wave.
        return max(0, Self.commandsPerWave - queue.count)
    }

    package func handle(
        _ message: borrowing KafkaMessage, _ record: RecordReference, _: StagePartition, _ loop: StageLoop
    ) {
        guard let value = message.value else { return loop.finish(record) }
        // Not read without (`budget`).
        guard let holding else { return }
        let written = message.timestamp >= 0 ? Timestamp(milliseconds: message.timestamp) : nil
        do {
            let command = try parser.parse(value) { try Command(json: $0) }
            queue.append(apply(command, written: written, record, holding))
        } catch {
            deadLetters.write(
                message, reason: .malformedRecord, message: "not a registry command: \(error)", for: record, loop)
            loop.finish(record)
        }
    }

    private func apply(
        _ command: Command, written: Timestamp?, _ record: RecordReference, _ holding: RegistryHolding
    ) -> Job {
        if let result = earlierResult(of: command, holding) {
            return Job(record: record, command: command.id, account: command.account, result: result, actions: [])
        }
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        if let job = withdraw(command, record, holding, now: now) { return job }
        let audit = Audit(command, holding.state)
        let before = command.change.webhook.flatMap { holding.state.webhooks[$0] }
        let (answer, actions) = holding.state.apply(command, written: written, now: now)
        audit.log(answer, holding.state)
        if let webhook = command.change.webhook, command.isWish,
            answer == .applied || answer == .refused(.webhookNotFound),
            before?.account ?? command.account == command.account
        {
            holding.changes.note(
                command.id, of: webhook, from: before, to: holding.state.webhooks[webhook],
                requestedAt: command.keyedAt)
        }
        let wroteState = actions.contains { Step(of: $0) != .announce }
        let result = CommandResult(
            command: command.id, answer: answer, wroteState: wroteState,
            receipt: Receipt(of: command, answer, in: holding.state), requestedAt: command.keyedAt,
            revision: revision(answer, command, holding))
        holding.remember(result, now: now)
        if answer == .refused(.tooLate) { noteSkew(command, now: now) }
        return Job(record: record, command: command.id, account: command.account, result: result, actions: actions)
    }

    /// Undoes what a withdrawal names.
    /// - Returns: nil of another command, and where there is nothing to undo.
    private func withdraw(
        _ command: Command, _ record: RecordReference, _ holding: RegistryHolding, now: Timestamp
    ) -> Job? {
        guard case .withdraw(let withdrawn, _, let requestedAt) = command.change else { return nil }
        let audit = Audit(command, of: holding.changes.webhook(of: withdrawn), holding.state)
        let (answers, action) = holding.withdraw(withdrawn, requestedAt: requestedAt, now: now)
        guard let last = answers.last else { return nil }
        audit.log(.applied, holding.state)
        holding.remember(
            CommandResult(command: command.id, answer: .applied, wroteState: action != nil), now: now)
        return Job(
            record: record, command: command.id, account: command.account, result: last,
            actions: action.map { [$0] } ?? [], alsoAnswered: answers.dropLast())
    }

    /// The answer to a command whose id is known; nil of a new one.
    private func earlierResult(of command: Command, _ holding: RegistryHolding) -> CommandResult? {
        switch holding.answered.recall(command) {
        case .unknown: return nil
        case .otherRequest:
            let answer = Answer.refused(.keyReused)
            Audit(command, holding.state).log(answer, holding.state)
            return CommandResult(
                command: command.id, answer: answer, wroteState: false,
                receipt: Receipt(of: command, answer, in: holding.state), requestedAt: command.keyedAt)
        case .repeated(let answer, let receipt):
            // What it undid before this owner came is known from its record; the answer may be missing still.
            if case .withdraw(let withdrawn, _, _) = command.change,
                let answer = holding.earlierWithdrawal(of: withdrawn)
            {
                return answer
            }
            if answer == .applied, let at = command.keyedAt {
                holding.changes.noteAsker(of: command.id, requestedAt: at)
            }
            // A state record that went out with the first answer will not come again: there is nothing to wait for. One that
            // has still to go out, whoever repeats the request will see.
            let first = queue.last { $0.result.command == command.id && $0.result.wroteState }
            return CommandResult(
                command: command.id, answer: answer, wroteState: first != nil, receipt: receipt,
                requestedAt: command.keyedAt, revision: revision(answer, command, holding))
        }
    }

    /// What a view has to show before the answer may be made of it.
    private func revision(_ answer: Answer, _ command: Command, _ holding: RegistryHolding) -> Int? {
        guard answer == .applied else { return nil }
        return command.change.webhook.flatMap { holding.state.webhooks[$0] }?.revision
    }

    /// Clocks that disagree are the operators' to mend; everything else about a refusal its sender hears.
    private func noteSkew(_ command: Command, now: Timestamp) {
        let ahead = command.at.milliseconds - now.milliseconds
        guard command.notAfter != nil, ahead > CommandAge.skewMilliseconds else { return }
        Log.warning(
            "a command is dated ahead of this process's clock and is refused", .command(command.typeName),
            .milliseconds(ahead), .fix("set the clocks of all processes by NTP; they have to agree within a second"))
    }

    // MARK: Waves

    package func turn(now: UInt64, _ loop: StageLoop) -> UInt64? {
        if holding == nil, let due = holdAgainAt {
            guard now >= due else { return due }
            takeHold(loop, now: now)
        }
        guard let holding else { return holdAgainAt }
        let read = holding.read { result in
            let answer = AnswerID(result)
            guard let record = unconfirmed[answer]?.popLast() else { return }
            if unconfirmed[answer]?.isEmpty == true { unconfirmed[answer] = nil }
            loop.finish(record)
        }
        guard hold(holding, loop) else { return read > 0 ? now : nil }
        // Each wave ends when the broker has everything; this producer carries nothing else.
        guard producer.unacknowledged == 0 else { return nil }
        if var current = wave {
            passCrashPoint(current)
            guard let next = current.step.next else { return nil }
            current.step = next
            write(current, holding, loop)
            wave = next == .answer ? nil : current
        } else if !queue.isEmpty {
            let current = Wave(jobs: takeJobs(), step: .announce)
            write(current, holding, loop)
            wave = current
        } else if !holding.repairs.isEmpty {
            // With nothing applied that is not written: what a repair shows must not be ahead of its command's own record.
            for repair in holding.takeRepairs() {
                records.write(repair, as: holding.state, epoch: holding.ownership.epoch)
            }
        } else {
            if owned.allSatisfy({ $0.kafka.hasReachedEnd }) { noteCaughtUp() }
            return read > 0 ? now : nil
        }
        // An empty step has nothing to wait for.
        return producer.unacknowledged == 0 || read > 0 ? now : nil
    }

    private func passCrashPoint(_ wave: Wave) {
        let isAnnounced = wave.jobs.contains { $0.actions.contains { Step(of: $0) == .announce } }
        if wave.step == .announce, isAnnounced { CrashPoint.disableAnnounced.pass() }
        if wave.step == .removeAccounts { CrashPoint.stateWritten.pass() }
    }

    /// An account that goes ends a wave, so that what comes after it in the queue is written after it too.
    private func takeJobs() -> [Job] {
        let end =
            queue.firstIndex { $0.actions.contains { Step(of: $0) == .removeAccounts } }.map { $0 + 1 } ?? queue.count
        defer { queue.removeFirst(end) }
        return Array(queue[..<end])
    }

    private func write(_ wave: Wave, _ holding: RegistryHolding, _ loop: StageLoop) {
        let epoch = holding.ownership.epoch
        for job in wave.jobs {
            guard wave.step != .answer else {
                for result in job.alsoAnswered {
                    records.write(result, account: job.account, epoch: epoch, for: job.record, loop)
                }
                unconfirmed[AnswerID(job.result), default: []].append(job.record)
                records.write(job.result, account: job.account, epoch: epoch, for: job.record, loop)
                continue
            }
            let last = job.actions.lastIndex { Step(of: $0) != .announce }
            for (index, action) in job.actions.enumerated() where Step(of: action) == wave.step {
                let origin = RegistryRecords.Origin(
                    command: job.command, epoch: epoch, isLast: index == last,
                    receipt: job.isAnswered ? job.result.receipt : nil,
                    withdraws: job.isAnswered ? [] : job.alsoAnswered + [job.result])
                records.write(action, from: origin, for: job.record, loop)
            }
        }
    }

    private func noteCaughtUp() {
        guard !isCaughtUp else { return }
        isCaughtUp = true
        onCaughtUp()
    }

    // MARK: Leaving

    package func drain(_: StageLoop) {}

    package var isDrained: Bool { wave == nil && queue.isEmpty && unconfirmed.isEmpty }

    package func revoked() {
        owned = []
        holding = nil
        holdAgainAt = nil
        queue = []
        wave = nil
        unconfirmed = [:]
    }
}
