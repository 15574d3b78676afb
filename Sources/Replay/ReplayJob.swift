// One replay on its thread: reads its partitions without a group, translates for its webhook as the stage would, and writes
// to `deferred`, from where the delivery stage posts as the webhook's rate allows. What it says of its progress is in the
// webhook's record, so that whoever comes next goes on from there.
internal import Core
internal import Crypto
internal import Glibc
internal import Kafka
internal import Mapping
internal import Pipeline
internal import Registry
internal import Runtime
internal import Synchronization
internal import Translate

final class ReplayJob: Sendable {
    let candidate: ReplayRoster.Candidate
    private let tools: ReplayTools
    private let isStopping = Atomic(false)
    private let hasEnded = Atomic(false)
    /// Monotonic nanoseconds; 0 while it goes on.
    private let stalledAt = Atomic<UInt64>(0)
    private let released = Guarded<(isWanted: Bool, unfinished: Set<DeliveryID>?)>((false, nil))
    private let thread = Guarded<OwnedThread?>(nil)
    private let ended: EventFD

    static let reportNanoseconds: UInt64 = 5_000_000_000
    /// How long an acknowledgement is waited for before the next look at whether to go on.
    static let flushNanoseconds: UInt64 = 5_000_000_000

    /// - Parameters:
    ///   - unfinished: its deliveries that are on their way already, from before it was released.
    ///   - ended: rings when the job is over.
    init(
        _ candidate: ReplayRoster.Candidate, unfinished: Set<DeliveryID>, _ tools: ReplayTools, ended: EventFD
    ) {
        self.candidate = candidate
        self.tools = tools
        self.ended = ended
        tools.link.open(candidate.replay)
        let started = OwnedThread(name: "replay") { [self] in
            // What happens now comes first, also for the processor; librdkafka's threads for this job inherit it.
            _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
            run(unfinished)
            // One that was released is asked about still.
            if released.withLock({ $0.unfinished == nil }) { tools.link.close(candidate.replay) }
            hasEnded.store(true, ordering: .releasing)
            ended.signal()
        }
        thread.withLock { $0 = started }
    }

    var isOver: Bool { hasEnded.load(ordering: .acquiring) }

    /// Since when it waits for its webhook's endpoint, monotonic nanoseconds; nil while it goes on.
    var stalledSince: UInt64? {
        let since = stalledAt.load(ordering: .relaxed)
        return since == 0 ? nil : since
    }
    fileprivate func note(isStalled: Bool) {
        let isNoted = stalledAt.load(ordering: .relaxed) != 0
        if isStalled != isNoted { stalledAt.store(isStalled ? Clock.monotonic() : 0, ordering: .relaxed) }
    }

    var isAskedToStop: Bool { isStopping.load(ordering: .acquiring) }

    /// Reports how far it came and leaves the rest to whoever is next.
    func stop() { isStopping.store(true, ordering: .releasing) }

    /// Stops it, to be begun again when enough of its deliveries have come to their end.
    func release() {
        released.withLock { $0.isWanted = true }
        stop()
    }

    /// What was on its way of one that was released; nil where it came to another end.
    var unfinishedOfReleased: Set<DeliveryID>? { released.withLock { $0.unfinished } }

    fileprivate func left(_ unfinished: Set<DeliveryID>) {
        released.withLock { if $0.isWanted { $0.unfinished = unfinished } }
    }

    func join() { thread.withLock { $0.take() }?.join() }

    /// The replay, as long as it is this process's to run.
    fileprivate func current() -> (webhook: Webhook, replay: Replay)? {
        guard !isStopping.load(ordering: .acquiring), tools.link.isOwned(candidate.shard),
            let webhook = tools.view.read({ $0.webhooks[candidate.webhook] }), webhook.isActive,
            let replay = webhook.replay(candidate.replay), replay.isRunning, replay.generation == webhook.generation
        else { return nil }
        return (webhook, replay)
    }

    private func run(_ unfinished: Set<DeliveryID>) {
        guard let (webhook, replay) = current() else { return }
        Log.info(
            "replay begins", .webhook(webhook.id.description), .run(replay.id.description),
            .count(replay.counts.records - replay.counts.read))
        var failure: String?
        var report = ReplayReport(replay: replay.id, generation: replay.generation, parts: [])
        do throws(KafkaError) {
            let reading = try ReplayReading(self, tools, webhook, replay, unfinished)
            let isDone = reading.run()
            report = reading.report()
            guard isDone else {
                if !report.parts.isEmpty { send(.progressReplay(webhook.id, report), webhook) }
                left(reading.handedOver)
                return Log.info(
                    "replay is left to be gone on with", .webhook(webhook.id.description), .run(replay.id.description))
            }
        } catch {
            Log.error("replay cannot be run", .run(replay.id.description), .error(error.description))
            failure = "the bridge could not read the events"
        }
        // Until the view shows the end: a replay that ended and does not say so would begin again.
        while current() != nil {
            let outcome = ask(.finishReplay(webhook.id, report, failure: failure), webhook)
            if outcome != .unconfirmed, outcome != .unseen { break }
        }
        Log.info(
            "replay ended", .webhook(webhook.id.description), .run(replay.id.description), .reason(failure ?? "done"))
    }

    /// Does not wait for the answer: what a report that is lost would have said, the next one says.
    fileprivate func send(_ change: Command.Change, _ webhook: Webhook) {
        tools.client.send(command(change, webhook)) { _ in }
    }

    private func ask(_ change: Command.Change, _ webhook: Webhook) -> CommandOutcome {
        let answer = Guarded<CommandOutcome?>(nil)
        let came = EventFD()
        tools.client.send(command(change, webhook)) { outcome in
            answer.withLock { $0 = outcome }
            came.signal()
        }
        while true {
            if let outcome = answer.withLock({ $0 }) { return outcome }
            if isStopping.load(ordering: .acquiring) { return .unconfirmed }
            came.wait(milliseconds: 100)
        }
    }

    private func command(_ change: Command.Change, _ webhook: Webhook) -> Command {
        Command(
            id: CommandID(bytes: Random.bytes(12)), account: webhook.account,
            at: Timestamp(milliseconds: Clock.wallMilliseconds()), notAfter: nil, change: change, actor: .replay)
    }
}

/// The reading itself, on the job's thread.
private final class ReplayReading {
    private let job: ReplayJob
    private let tools: ReplayTools
    private let replay: Replay
    private var webhook: Webhook
    private let reader: KafkaReader
    private let producer: KafkaProducer
    private let deferred: KafkaProducer.Topic
    private let wake = EventFD()
    private let translator: Translator
    private var course: ReplayCourse
    private var pace: ReplayPace
    /// Partitions that gave a record from behind their range.
    private var passed: Set<String> = []
    /// Partitions that the cluster did not have when it was last asked.
    private var missed: Set<String> = []
    private var nextExistenceCheck: UInt64 = 0
    private var headers: [RecordHeader] = []
    private let key: [UInt8]
    private var acknowledged: [UInt64] = []
    private var viewVersion: UInt64 = 0
    /// By partition: retention takes from all of them at once.
    private var nextLossCheck: [String: UInt64] = [:]
    /// A log with transactions has a gap behind each of them.
    private static let lossCheckNanoseconds: UInt64 = 200_000_000
    /// How long nothing may come before the cluster is asked whether it still has what is waited for.
    private static let existenceCheckNanoseconds: UInt64 = 5_000_000_000
    /// A broker's answer.
    private static let questionMilliseconds = 1000

    init(
        _ job: ReplayJob, _ tools: ReplayTools, _ webhook: Webhook, _ replay: Replay, _ unfinished: Set<DeliveryID>
    ) throws(KafkaError) {
        self.job = job
        self.tools = tools
        self.replay = replay
        self.webhook = webhook
        reader = try KafkaReader(tools.kafka, purpose: "replay", pace: .leisurely)
        producer = try KafkaProducer(
            tools.kafka, maxMessageBytes: tools.recordBytes, lingerMilliseconds: 20, wake: wake)
        deferred = producer.topic(tools.topics.deferred)
        translator = Translator(
            plans: tools.plans, topics: tools.topics, view: tools.view, payloadBytes: tools.payloadBytes)
        course = ReplayCourse(replay)
        pace = ReplayPace(
            eventsPerSecond: tools.eventsPerSecond, isDryRun: replay.isDryRun, unfinished: unfinished,
            now: Clock.monotonic())
        key = Array(webhook.id.description.utf8)
        reader.assign(course.open.map { ($0.topic, $0.partition, .offset($0.next)) })
    }

    /// - Returns: whether everything was read and written; else somebody goes on from what ``report()`` says.
    func run() -> Bool {
        var nextReport = Clock.monotonic() + ReplayJob.reportNanoseconds
        while !course.isDone {
            guard isWanted else { return false }
            _ = translator.refresh()
            serve()
            read()
            job.note(isStalled: pace.unfinishedCount >= ReplayPace.window)
            leaveWhatEnded()
            if Clock.monotonic() >= nextReport {
                nextReport = Clock.monotonic() + ReplayJob.reportNanoseconds
                let report = report()
                if !report.parts.isEmpty { job.send(.progressReplay(webhook.id, report), webhook) }
            }
        }
        while !flush() { guard isWanted else { return false } }
        return true
    }

    var handedOver: Set<DeliveryID> { pace.handedOver }

    /// What may be said to be done: nothing while the broker does not have all of it.
    func report() -> ReplayReport {
        ReplayReport(
            replay: replay.id, generation: replay.generation, parts: flush() ? course.report() : [], from: course.from)
    }

    /// Whether to go on; the view is asked only when it has changed.
    private var isWanted: Bool {
        let version = tools.view.version
        if version == viewVersion, tools.link.isOwned(job.candidate.shard), !job.isAskedToStop { return true }
        guard let current = job.current() else { return false }
        viewVersion = version
        webhook = current.webhook
        return true
    }

    private func serve() {
        wake.clear()
        producer.poll(acknowledged: &acknowledged)
        for token in acknowledged { pace.acknowledged(token) }
        acknowledged.removeAll(keepingCapacity: true)
        for delivery in tools.link.takeEnded(of: replay.id) { pace.ended(delivery) }
    }

    private func read() {
        let now = Clock.monotonic()
        let room = producer.isBehind ? 0 : pace.room(now: now)
        guard room > 0 else {
            let next = pace.nextMoment(now: now)
            return wake.wait(milliseconds: next > now ? min(20, Int((next - now) / 1_000_000) + 1) : 20)
        }
        let count = reader.poll(
            milliseconds: 50, limit: room, while: { !job.isAskedToStop && pace.mayGoOn(now: Clock.monotonic()) }
        ) { take($0) }
        pace.read(count, now: now)
        if count > 0 {
            nextExistenceCheck = now + Self.existenceCheckNanoseconds
        } else if now >= nextExistenceCheck {
            nextExistenceCheck = now + Self.existenceCheckNanoseconds
            leaveWhatIsGone()
        }
        tools.records.add(count)
    }

    private func take(_ message: borrowing KafkaMessage) {
        let topic = message.topic
        switch course.place(of: topic, message.partition, message.offset) {
        case .behind: return
        case .beyond:
            // What it still had to give before this record will not come.
            guard passed.insert("\(topic)/\(message.partition)").inserted else { return }
            return reader.leave(topic, message.partition)
        case .wanted: break
        }
        noteLoss(before: message, topic)
        guard let value = message.value, course.covers(message.timestamp) else {
            return course.took(topic, message.partition, message.offset, .passedOver)
        }
        headers.removeAll(keepingCapacity: true)
        message.forEachHeader { headers.append(RecordHeader(name: $0, value: $1)) }
        let record = DomainRecord(
            topic: topic, partition: message.partition, offset: message.offset, timestamp: message.timestamp,
            value: value, headers: headers)
        course.took(topic, message.partition, message.offset, translate(record, key: message.key))
    }

    private func translate(_ record: DomainRecord, key: UnsafeRawBufferPointer) -> ReplayCourse.Outcome {
        do throws(Translator.Refusal) {
            switch try translator.translate(
                record, key: key, for: .one(webhook, run: replay.id.description, replay: replay.id, anyType: false),
                emit: { delivery, body in write(delivery, body) })
            {
            case .routed(let count): return .events(count)
            case .passedOver, .unmapped: return .passedOver
            }
        } catch {
            // It is a dead letter since it came; here it is counted.
            return .unmappable
        }
    }

    /// A gap is nothing to speak of, transactions and compaction leave them; unless the log begins behind it, because
    /// retention was faster.
    private func noteLoss(before message: borrowing KafkaMessage, _ topic: String) {
        guard let expected = course.next(of: topic, message.partition), message.offset > expected else { return }
        let now = Clock.monotonic()
        let name = "\(topic)/\(message.partition)"
        guard now >= nextLossCheck[name] ?? 0 || message.offset - expected > 100 else { return }
        nextLossCheck[name] = now + Self.lossCheckNanoseconds
        let (offset, timestamp) = (message.offset, message.timestamp)
        guard let kept = try? reader.offsets(of: topic, message.partition, milliseconds: Self.questionMilliseconds),
            course.missing(of: topic, message.partition, logBegin: kept.lowerBound) > 0
        else { return }
        course.lost(before: timestamp)
        warn(topic, message.partition, behind: min(kept.lowerBound, offset))
    }

    private func warn(_ topic: String, _ partition: Int32, behind logBegin: Int64) {
        Log.warning(
            "a topic has dropped records before a replay came to them", .run(replay.id.description), .topic(topic),
            .partition(partition), .count(course.missing(of: topic, partition, logBegin: logBegin)))
    }

    /// Of some partitions nothing more comes. What was still to come is a hole at the end of their range, or gone with all
    /// before: where the log begins behind it, and where it ends before the range does, since the topic was made anew. A
    /// question or two for all of them: a broker that does not answer must not hold the end of the process up.
    private func leaveWhatEnded() {
        let ended = course.open.filter {
            passed.contains("\($0.topic)/\($0.partition)") || reader.hasReachedEnd(of: $0.topic, $0.partition)
        }
        let places = ended.map { (topic: $0.topic, partition: $0.partition) }
        // Asked again at the next turn where the broker does not say.
        guard !ended.isEmpty,
            let begins = try? reader.offsets(at: .beginning, of: places, milliseconds: Self.questionMilliseconds),
            let ends = try? reader.offsets(at: .end, of: places, milliseconds: Self.questionMilliseconds)
        else { return }
        for (part, (begin, end)) in zip(ended, zip(begins, ends)) {
            let lostBehind = end.map { $0 < part.end } == true ? Int64.max : begin ?? 0
            if course.missing(of: part.topic, part.partition, logBegin: lostBehind) > 0 {
                course.lostAll()
                warn(part.topic, part.partition, behind: lostBehind)
            }
            leave(part)
        }
    }

    /// A topic that was deleted gives nothing and has no end. Seen to be gone twice it is: a cluster that changes may leave
    /// one out once.
    private func leaveWhatIsGone() {
        let open = course.open
        let places = open.map { (topic: $0.topic, partition: $0.partition) }
        guard let existence = try? reader.existence(of: places, milliseconds: Self.questionMilliseconds) else { return }
        let before = missed
        missed = []
        for (part, exists) in zip(open, existence) where exists == false {
            let name = "\(part.topic)/\(part.partition)"
            guard before.contains(name) else {
                missed.insert(name)
                continue
            }
            course.lostAll()
            warn(part.topic, part.partition, behind: .max)
            leave(part)
        }
    }

    private func leave(_ part: ReplayPart) {
        course.reachedEnd(of: part.topic, part.partition)
        reader.leave(part.topic, part.partition)
    }

    private func write(_ delivery: borrowing Delivery, _ body: UnsafeRawBufferPointer) {
        guard !replay.isDryRun else { return }
        var late = copy delivery
        late.deferredAt = Timestamp(milliseconds: Clock.wallMilliseconds())
        let token = pace.wrote(late.id, now: Clock.monotonic())
        producer.produce(
            deferred, partition: job.candidate.shard, key: key, value: body, headers: late.headers(), token: token)
        tools.deliveries.add()
    }

    /// - Returns: whether the broker has everything.
    private func flush() -> Bool {
        let deadline = Clock.monotonic() + ReplayJob.flushNanoseconds
        serve()
        while producer.unacknowledged > 0, Clock.monotonic() < deadline {
            wake.wait(milliseconds: 20)
            serve()
        }
        return producer.unacknowledged == 0
    }
}
