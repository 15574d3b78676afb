// The loop that every stage runs on one owner thread: read its partitions, let the stage decide, write what it decided,
// and move each partition's committed offset when everything a record caused is acknowledged.
package import Core
internal import Glibc
package import Kafka
package import Runtime

/// A record being worked on, named so that a late result cannot be taken for one of another assignment.
package struct RecordReference: Hashable, Sendable {
    package let assignment: UInt32
    package let offset: Int64
}

/// A partition the stage owns, with its ledger.
package final class StagePartition {
    package let kafka: KafkaPartition
    package fileprivate(set) var ledger = Ledger()
    fileprivate var firstOffset: Int64 = 0
    fileprivate var storedOffset: Int64 = -1
    /// Set where the log began anew under offsets that were read already: where the next assignment is to begin.
    fileprivate var restart: Int64?
    fileprivate var restartRule = RestartRule()
    /// The highest offset the stage has called finished; -1 for none.
    package fileprivate(set) var highestFinished: Int64 = -1
    /// What the stage keeps of the partition, for its own use.
    package var attachment: AnyObject?

    package var topic: String { kafka.topic }
    package var number: Int32 { kafka.number }
    package var assignment: UInt32 { kafka.assignment }

    fileprivate init(_ kafka: KafkaPartition) { self.kafka = kafka }
}

/// Consumer, producer and ledgers of one stage. One owner thread: the one that calls ``run(stop:)``.
package final class StageLoop {
    package let producer: KafkaProducer
    package let wake: EventFD
    private let consumer: KafkaConsumer
    private let handler: any StageHandler
    private let status: StageStatus
    /// Their assignments are numbered one after the other.
    private var partitions: [StagePartition] = []
    private var firstAssignment: UInt32 = 0
    private var starts: StartRule
    /// The right of the present assignment to begin what the world outside sees; it goes along with what is handed to other
    /// threads, and ends with the assignment.
    package private(set) var lease = StartLease()
    private var acknowledged: [UInt64] = []
    private var lastStore: UInt64 = 0
    /// Whether the last round left a partition unread on purpose.
    private var isHoldingBack = false
    private var recordsIn = 0
    private var pace = Pace()
    private var gaps = GapWatch()
    private var nextFigures: UInt64 = 0

    private static let recordsPerRound = 256
    private static let idleMilliseconds = 100
    private static let revokeDrainNanoseconds: UInt64 = 1_000_000_000
    private static let stopDrainNanoseconds: UInt64 = 10_000_000_000

    package init(
        consumer: KafkaConsumer, producer: KafkaProducer, handler: any StageHandler, status: StageStatus, wake: EventFD
    ) {
        self.consumer = consumer
        self.producer = producer
        self.handler = handler
        self.status = status
        self.wake = wake
        starts = StartRule(sessionNanoseconds: UInt64(consumer.sessionTimeoutMilliseconds) * 1_000_000)
    }

    // MARK: What a stage may do

    /// Writes a record that `record` causes; the record is not finished before the broker has it.
    /// - Parameter value: nil for a tombstone.
    package func produce(
        _ topic: KafkaProducer.Topic, partition: Int32, key: [UInt8], value: UnsafeRawBufferPointer?,
        headers: consuming KafkaHeaders, for record: RecordReference
    ) {
        guard let token = token(for: record) else { return }
        producer.produce(topic, partition: partition, key: key, value: value, headers: headers, token: token)
    }

    package func produce(
        _ topic: KafkaProducer.Topic, partition: Int32, key: [UInt8], value: [UInt8],
        headers: consuming KafkaHeaders, for record: RecordReference
    ) {
        guard let token = token(for: record) else { return }
        producer.produce(topic, partition: partition, key: key, value: value, headers: headers, token: token)
    }

    /// Counts one more effect of a record; nil when its assignment is over.
    private func token(for record: RecordReference) -> UInt64? {
        guard let owner = partition(record.assignment) else { return nil }
        owner.ledger.add(record.offset)
        return UInt64(record.assignment) << 40 | UInt64(record.offset - owner.firstOffset)
    }

    /// The stage is done with a record; it is finished once everything produced for it is acknowledged.
    package func finish(_ record: RecordReference) {
        guard let owner = partition(record.assignment) else { return }
        owner.ledger.settle(record.offset)
        owner.highestFinished = max(owner.highestFinished, record.offset)
    }

    /// Whether the record's partition is still this loop's, in the same assignment.
    package func owns(_ record: RecordReference) -> Bool { partition(record.assignment) != nil }

    private func partition(_ assignment: UInt32) -> StagePartition? {
        let index = Int(assignment) - Int(firstAssignment)
        return index >= 0 && index < partitions.count ? partitions[index] : nil
    }

    /// Whether something may be begun that the world outside sees. Not when the group may have given the partitions to
    /// others without this member having heard of it; ask right before.
    package func mayStart() -> Bool { !lease.isOver(at: Clock.monotonic()) }

    package var sessionNanoseconds: UInt64 { starts.sessionNanoseconds }

    /// The offset behind the last record of a partition's log at the last fetch or question.
    package func logEnd(of partition: StagePartition) -> Int64 { consumer.logEnd(of: partition.kafka) ?? 0 }

    /// Asks the broker for the ends of logs that are not read on; blocks for a round trip, at most 200 ms.
    package func askLogEnds(of partitions: [StagePartition]) {
        consumer.askLogEnds(of: partitions.map(\.kafka), milliseconds: 200)
    }

    /// A stage that does something long says with this that it has not stalled.
    package func isWorking() { status.turned(at: Clock.monotonic(), records: 0) }

    /// What keeps the stage from a part of its work, for readiness; replaces what was said before.
    package func complain(_ complaints: [String]) { status.complain(complaints) }

    /// Reads other topics from the next rebalance on, which this brings about; nothing is lost or repeated by it.
    package func subscribe(to topics: [String]) { consumer.subscribe(to: topics) }

    // MARK: The loop

    /// Runs until `stop` says so, then drains, commits and leaves the group.
    package func run(stop: () -> Bool) {
        while !stop() {
            serveGroup()
            settleAcknowledged()
            let read = readRound()
            // After reading: no record may seem to come from the future.
            let now = Clock.monotonic()
            let next = handler.turn(now: now, self)
            let settled = settleAcknowledged()
            storeOffsets(force: false)
            status.turned(at: now, records: read)
            recordsIn += read
            if now >= nextFigures { publishFigures(now) }
            judgeGaps(now)
            if read == 0 {
                // Also tells the pace that it is quiet, or the next fetches would rest as if it were not.
                _ = pace.shouldPause(records: 0, now: now)
                // A partition that was full may have room now, and its queue does not ring twice.
                if settled == 0 || !isHoldingBack { sleep(until: next) }
            } else if pace.shouldPause(records: read, now: now) {
                usleep(handler.pauseMicroseconds)
            }
        }
        drain(within: Self.stopDrainNanoseconds)
        storeOffsets(force: true)
        judgeGaps(Clock.monotonic(), isLast: true)
        consumer.close()
        clearPartitions(wereLost: true)
        status.ended()
    }

    private func pollGroup() -> [KafkaConsumer.Event] {
        let events = consumer.poll()
        starts.polled(now: consumer.lastPoll)
        let isLost = events.contains { if case .revoking(lost: true) = $0 { true } else { false } }
        // Before anything is done about it: other threads may be about to begin something.
        if isLost { lease.revoke() } else { lease.renew(until: starts.startEnd(now: consumer.lastPoll)) }
        return events
    }

    private func serveGroup() {
        for event in pollGroup() {
            switch event {
            case .assigned(let assigned):
                if !partitions.isEmpty { clearPartitions(wereLost: true) }
                partitions = assigned.map(StagePartition.init)
                firstAssignment = partitions.first?.assignment ?? 0
                Log.info("partitions assigned", .role(status.role), .count(partitions.count))
                for partition in assigned where partition.lost > 0 { noteLoss(partition.lost, of: partition) }
                handler.assigned(partitions, self)
                status.assigned(partitions.count)
            case .revoking(let lost):
                Log.info(
                    "partitions revoked", .role(status.role), .count(partitions.count),
                    .reason(lost ? "lost" : "rebalance"))
                if !lost {
                    drain(within: Self.revokeDrainNanoseconds)
                    storeOffsets(force: true)
                    judgeGaps(Clock.monotonic(), isLast: true)
                }
                clearPartitions(wereLost: lost)
                consumer.finishRevoke()
            }
        }
    }

    /// Whether what was not there when it was read has been deleted.
    private func judgeGaps(_ now: UInt64, isLast: Bool = false) {
        let asked = gaps.assignmentsToAsk(now: now, isLast: isLast).compactMap { partition($0)?.kafka }
        guard !asked.isEmpty else { return }
        for (partition, start) in zip(asked, consumer.askLogStarts(of: asked, milliseconds: 200)) {
            let lost = gaps.lost(assignment: partition.assignment, logStart: start)
            if lost > 0 { noteLoss(lost, of: partition) }
        }
    }

    private func noteLoss(_ records: Int64, of partition: KafkaPartition) {
        status.lost(records)
        Log.error(
            "records were deleted before they were read", .role(status.role), .topic(partition.topic),
            .partition(partition.number), .count(records),
            .fix("keep the topic longer (retention.ms) than this role is ever stopped or behind"))
    }

    private func clearPartitions(wereLost: Bool) {
        lease.revoke()
        lease = StartLease(until: starts.startEnd(now: Clock.monotonic()))
        partitions = []
        gaps.removeAll()
        handler.revoked(wasLost: wereLost)
    }

    /// Reads every partition that has room, a little of each, so that none starves.
    private func readRound() -> Int {
        isHoldingBack = producer.isBehind
        guard !isHoldingBack else { return 0 }
        var total = 0
        defer {
            consumer.noteBacklog(
                of: partitions.lazy.filter { self.handler.budget(for: $0) > 0 }.map(\.kafka), isBusy: pace.isBusy)
        }
        for partition in partitions {
            let limit = min(
                Self.recordsPerRound, handler.budget(for: partition), Ledger.maxSpan - partition.ledger.span)
            guard limit > 0 else {
                isHoldingBack = true
                continue
            }
            var taken = 0
            while taken < limit, handler.budget(for: partition) > 0 {
                let got = consumer.read(partition.kafka, limit: 1) { take($0, partition) }
                if got == 0 { break }
                taken += 1
            }
            total += taken
        }
        return total
    }

    private func take(_ message: borrowing KafkaMessage, _ partition: StagePartition) {
        guard partition.restart == nil else { return }
        let expected = partition.ledger.hasBegun ? partition.ledger.next : partition.kafka.start ?? message.offset
        if message.offset > expected {
            gaps.note(expected..<message.offset, assignment: partition.assignment)
        }
        if !partition.ledger.hasBegun { partition.firstOffset = message.offset }
        guard partition.ledger.open(message.offset) else {
            if partition.restartRule.isNew(message.timestamp) { beginAnew(partition, at: message.offset) }
            return
        }
        partition.restartRule.read(message.timestamp)
        let record = RecordReference(assignment: partition.assignment, offset: message.offset)
        handler.handle(message, record, partition, self)
    }

    /// The log has other records now under offsets that were read before: its topic was deleted and made again, or it was cut back
    /// by an election that lost records. Another assignment begins where it does; a ledger cannot go back.
    private func beginAnew(_ partition: StagePartition, at offset: Int64) {
        partition.restart = offset
        Log.error(
            "the log begins anew at a lower offset; its partition is assigned again", .role(status.role),
            .topic(partition.topic), .partition(partition.number), .offset(offset))
        consumer.rejoin(partition.kafka, from: offset)
    }

    /// - Returns: how many acknowledgements came.
    @discardableResult
    private func settleAcknowledged() -> Int {
        acknowledged.removeAll(keepingCapacity: true)
        producer.poll(acknowledged: &acknowledged)
        for token in acknowledged {
            guard let partition = partition(UInt32(token >> 40)) else { continue }
            partition.ledger.settle(partition.firstOffset + Int64(token & 0xFF_FFFF_FFFF))
        }
        return acknowledged.count
    }

    /// The client commits what is stored every second; storing more often than every 50 ms would buy nothing.
    private func storeOffsets(force: Bool) {
        let now = Clock.monotonic()
        guard force || now - lastStore > 50_000_000 else { return }
        lastStore = now
        var offsets: [(partition: KafkaPartition, next: Int64)] = []
        // The place where a partition was begun is stored as well, before anything there is finished.
        var hasProgress = false
        for partition in partitions {
            if let restart = partition.restart {
                offsets.append((partition.kafka, restart))
                continue
            }
            guard partition.ledger.hasBegun, partition.ledger.watermark > partition.storedOffset else { continue }
            partition.storedOffset = partition.ledger.watermark
            offsets.append((partition.kafka, partition.ledger.watermark))
            hasProgress = hasProgress || partition.ledger.watermark > partition.firstOffset
        }
        if hasProgress { handler.willStore() }
        consumer.store(offsets)
    }

    private func publishFigures(_ now: UInt64) {
        nextFigures = now + StageFigures.interval
        status.publish(
            StageFigures(
                places: partitions.map { partition in
                    StageFigures.Place(
                        topic: partition.topic, partition: partition.number, lag: lag(of: partition),
                        unfinished: partition.ledger.unfinished, fetched: consumer.fetched(of: partition.kafka))
                }, recordsIn: recordsIn, recordsOut: producer.taken, produceRetries: producer.refusals,
                unacknowledged: producer.unacknowledged))
    }

    /// Before a first record was read nobody knows where the partition starts: what is fetched counts.
    private func lag(of partition: StagePartition) -> Int64? {
        guard let end = consumer.logEnd(of: partition.kafka) else { return nil }
        guard partition.ledger.hasBegun else { return Int64(consumer.fetched(of: partition.kafka)) }
        return max(0, end - max(partition.storedOffset, partition.ledger.watermark))
    }

    /// Lets what is under way come to its end, without taking on more.
    private func drain(within nanoseconds: UInt64) {
        var deadline = Clock.monotonic() + nanoseconds
        while true {
            handler.drain(self)
            settleAcknowledged()
            let now = Clock.monotonic()
            let next = handler.turn(now: now, self)
            settleAcknowledged()
            if handler.isDrained && producer.unacknowledged == 0 || now >= deadline { return }
            status.turned(at: now, records: 0)
            for case .revoking(let lost) in pollGroup() {
                guard lost else {
                    // While this member stops, the group waits for it to give up its partitions.
                    deadline = min(deadline, Clock.monotonic() + Self.revokeDrainNanoseconds)
                    continue
                }
                // Others own the partitions already: what still comes back is recorded, and nothing more follows from it.
                clearPartitions(wereLost: true)
                consumer.finishRevoke()
            }
            sleep(until: min(next ?? UInt64.max, deadline))
        }
    }

    private func sleep(until next: UInt64?) {
        var milliseconds = Self.idleMilliseconds
        if let next {
            let now = Clock.monotonic()
            milliseconds = next <= now ? 0 : min(milliseconds, Int((next - now + 999_999) / 1_000_000))
        }
        if milliseconds > 0 { wake.wait(milliseconds: milliseconds) }
        wake.clear()
    }
}
