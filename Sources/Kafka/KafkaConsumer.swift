// A member of a consumer group. Each partition's queue is split off before it is assigned, so that a stage stops a
// partition by not reading its queue: librdkafka's pause throws the prefetch away and its resume may rewind.
internal import CRdKafka
internal import Glibc
package import Runtime

/// A partition during one assignment. The same partition assigned again is another object with another `assignment`,
/// so results of an earlier assignment cannot be taken for this one's.
package final class KafkaPartition {
    package let topic: String
    package let number: Int32
    /// Unique within the consumer.
    package let assignment: UInt32
    /// Whether everything that was in the partition has been read once; known only to consumers that ask for it.
    package fileprivate(set) var hasReachedEnd = false
    /// Where its log ended when ``KafkaConsumer/askLogEnds(of:milliseconds:)`` asked last.
    fileprivate var askedEnd: Int64 = -1
    /// Records between the committed offset and the log's start, at the assignment.
    package let lost: Int64
    /// Where reading begins; nil where the client decides.
    package let start: Int64?
    fileprivate let queue: OpaquePointer

    fileprivate init(
        topic: String, number: Int32, assignment: UInt32, start: Int64?, lost: Int64, queue: OpaquePointer
    ) {
        self.start = start
        self.lost = lost
        self.topic = topic
        self.number = number
        self.assignment = assignment
        self.queue = queue
    }

    deinit { rd_kafka_queue_destroy(queue) }
}

/// Where a partition without a committed offset starts.
package enum KafkaStart: Sendable {
    case earliest
    /// At the first record not older than this; at the earliest where the broker cannot say.
    case age(milliseconds: Int64)
}

/// One owner thread. Rebalances are events of ``poll()``, in two steps for a revocation.
package final class KafkaConsumer {
    package enum Event {
        case assigned([KafkaPartition])
        /// The owner drains, then calls ``finishRevoke()``. After a lost assignment others own the partitions already.
        case revoking(lost: Bool)
    }

    private let handle: OpaquePointer
    private let queue: OpaquePointer
    private let gate: FetchGate
    private let wake: EventFD
    private let start: KafkaStart
    private let group: String
    private let bootstrapServers: String
    private var assignments: UInt32 = 0
    /// What is subscribed to.
    private var topics: [String]
    private var isRevoking: Bool?
    /// Lower offsets that the group does not know of yet.
    private var restarts: [(partition: KafkaPartition, offset: Int64)] = []
    private var lastComplaint: UInt64 = 0
    package private(set) var partitions: [KafkaPartition] = []
    /// When ``poll()`` last served the client, monotonic nanoseconds.
    package private(set) var lastPoll: UInt64 = 0
    /// After so long without a heartbeat the group gives the partitions to others, milliseconds.
    package let sessionTimeoutMilliseconds: Int

    /// - Parameters:
    ///   - instanceID: static membership (`group.instance.id`).
    ///   - fetch: memory bounds; they count per partition once queues are split.
    ///   - wake: signalled when a queue has something to read.
    package init(
        _ configuration: KafkaConfiguration, group: String, instanceID: String?, topics: [String],
        start: KafkaStart = .earliest, fetch: KeyValuePairs<String, String> = KafkaConsumer.roomyFetch,
        pace: FetchPace = .prompt, wake: EventFD
    ) throws(KafkaError) {
        self.wake = wake
        self.start = start
        self.group = group
        gate = FetchGate(pace)
        bootstrapServers = configuration.bootstrapServers
        var own = configuration.with(
            defaults: [
                "session.timeout.ms": "10000",
                // A rebalance is noticed with a heartbeat: a member that works on in the meantime works for nothing.
                "heartbeat.interval.ms": "1000",
                "fetch.wait.max.ms": "100",
                "socket.nagle.disable": "true",
                "allow.auto.create.topics": "false",
                "topic.metadata.refresh.interval.ms": "60000",
            ],
            fixed: [
                "group.id": group,
                "partition.assignment.strategy": "range",
                "auto.offset.reset": "earliest",
                "enable.auto.offset.store": "false",
                "enable.auto.commit": "true",
                "auto.commit.interval.ms": "1000",
            ])
        own = own.with(defaults: fetch, fixed: [:])
        if let instanceID { own = own.with(defaults: [:], fixed: ["group.instance.id": instanceID]) }
        sessionTimeoutMilliseconds = own.number("session.timeout.ms") ?? 10_000
        let conf = try own.make()
        gate.install(in: conf)
        rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_ERROR)
        var reason = [CChar](repeating: 0, count: 512)
        guard let handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, &reason, reason.count) else {
            rd_kafka_conf_destroy(conf)
            throw KafkaError(configuration: untilNUL(reason))
        }
        self.handle = handle
        rd_kafka_poll_set_consumer(handle)
        guard let queue = rd_kafka_queue_get_consumer(handle) else {
            throw KafkaError(configuration: "no consumer queue")
        }
        self.queue = queue
        enableWake(queue, wake)
        self.topics = topics
        let status = Self.subscribe(handle, topics)
        guard status == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(status, place: "subscribe") }
    }

    /// Changes what the member reads; a rebalance follows.
    package func subscribe(to topics: [String]) {
        self.topics = topics
        let status = Self.subscribe(handle, topics)
        if status != RD_KAFKA_RESP_ERR_NO_ERROR { complainIfNeeded(KafkaError(status, place: "subscribe")) }
    }

    /// Has the group assign its partitions again, one of them from a lower offset than was committed. Blocks for a commit.
    package func rejoin(_ partition: KafkaPartition, from offset: Int64) {
        store([(partition, offset)])
        restarts.append((partition, offset))
        commitRestarts()
        subscribe(to: topics)
    }

    /// What is stored is only committed where it is above what was committed before; a list of its own is taken as it is. It names
    /// partitions of this assignment only.
    private func commitRestarts() {
        guard !restarts.isEmpty else { return }
        let list = rd_kafka_topic_partition_list_new(Int32(restarts.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for (partition, offset) in restarts {
            rd_kafka_topic_partition_list_add(list, partition.topic, partition.number).pointee.offset = offset
        }
        let status = rd_kafka_commit(handle, list, 0)
        if status == RD_KAFKA_RESP_ERR_NO_ERROR {
            restarts = []
        } else {
            complainIfNeeded(KafkaError(status, place: "commit"))
        }
    }

    private static func subscribe(_ handle: OpaquePointer, _ topics: [String]) -> rd_kafka_resp_err_t {
        let list = rd_kafka_topic_partition_list_new(Int32(topics.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for topic in topics { rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA) }
        return rd_kafka_subscribe(handle, list)
    }

    /// For the registry, which has to know when it has read the commands that were waiting for it.
    package static var noticingEnds: KeyValuePairs<String, String> { ["enable.partition.eof": "true"] }

    /// For stages that move many records.
    package static var roomyFetch: KeyValuePairs<String, String> {
        [
            "queued.max.messages.kbytes": "2048", "queued.min.messages": "2000", "fetch.message.max.bytes": "262144",
            "fetch.max.bytes": "4194304",
        ]
    }

    /// For the retry stage, whose partitions are many and whose heads wait for hours: hold little more than the head. Of
    /// 128 partitions 64 records each were 10 MB, 16 are 3 (`./dev bench parked`).
    package static var frugalFetch: KeyValuePairs<String, String> {
        ["queued.max.messages.kbytes": "32", "queued.min.messages": "16", "fetch.message.max.bytes": "16384"]
    }

    deinit {
        rd_kafka_queue_destroy(queue)
        rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
    }

    /// Serves the client: group membership, errors. Never blocks, but for the look-up of starting offsets in an
    /// assignment. Call it at least every 100 ms.
    package func poll() -> [Event] {
        lastPoll = Clock.monotonic()
        var events: [Event] = []
        while isRevoking == nil, let event = rd_kafka_queue_poll(queue, 0) {
            switch rd_kafka_event_type(event) {
            case RD_KAFKA_EVENT_REBALANCE: rebalance(event, &events)
            case RD_KAFKA_EVENT_ERROR:
                complainIfNeeded(
                    KafkaError(
                        rd_kafka_event_error(event), place: "consumer",
                        text: String(cString: rd_kafka_event_error_string(event))))
            default: break
            }
            rd_kafka_event_destroy(event)
        }
        return events
    }

    private func rebalance(_ event: OpaquePointer, _ events: inout [Event]) {
        guard rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS,
            let list = rd_kafka_event_topic_partition_list(event)
        else {
            let lost = rd_kafka_assignment_lost(handle) != 0
            isRevoking = lost
            events.append(.revoking(lost: lost))
            return
        }
        let lost = setStartingOffsets(list)
        partitions = (0..<Int(list.pointee.cnt)).compactMap { index in
            let entry = list.pointee.elems[index]
            guard let queue = rd_kafka_queue_get_partition(handle, entry.topic, entry.partition) else { return nil }
            rd_kafka_queue_forward(queue, nil)
            enableWake(queue, wake)
            assignments += 1
            return KafkaPartition(
                topic: String(cString: entry.topic), number: entry.partition, assignment: assignments,
                start: entry.offset >= 0 ? entry.offset + lost[index] : nil, lost: lost[index], queue: queue)
        }
        rd_kafka_assign(handle, list)
        // What is lost is told once: the place behind it is kept even where no record comes to be finished.
        store(partitions.compactMap { $0.lost > 0 ? ($0, $0.start ?? 0) : nil }.filter { $0.1 > 0 })
        wake.signal()
        events.append(.assigned(partitions))
    }

    /// Ends a revocation: commits what is stored, unless the assignment was lost, and gives the partitions back.
    package func finishRevoke() {
        guard let lost = isRevoking else { return }
        if !lost {
            commit()
            commitRestarts()
        }
        restarts = []
        partitions = []
        rd_kafka_assign(handle, nil)
        isRevoking = nil
        wake.signal()
    }

    /// Reads up to `limit` records of a partition; never blocks.
    /// - Returns: how many were read.
    package func read(_ partition: KafkaPartition, limit: Int, _ body: (borrowing KafkaMessage) -> Void) -> Int {
        var count = 0
        while count < limit, let message = rd_kafka_consume_queue(partition.queue, 0) {
            if message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
                body(KafkaMessage(message))
                count += 1
            } else if message.pointee.err == RD_KAFKA_RESP_ERR__PARTITION_EOF {
                partition.hasReachedEnd = true
            } else {
                complainIfNeeded(
                    KafkaError(message.pointee.err, place: "fetch \(partition.topic)/\(partition.number)"))
            }
            rd_kafka_message_destroy(message)
        }
        return count
    }

    /// Where the partition's log ended when it was fetched or asked for last, the offset behind its last record; nil before
    /// the first time.
    package func logEnd(of partition: KafkaPartition) -> Int64? {
        var low: Int64 = 0
        var high: Int64 = -1
        let status = rd_kafka_get_watermark_offsets(handle, partition.topic, partition.number, &low, &high)
        let end = max(status == RD_KAFKA_RESP_ERR_NO_ERROR ? high : -1, partition.askedEnd)
        return end >= 0 ? end : nil
    }

    /// Asks where the logs end now: a partition of which enough is here is not fetched, and so hears nothing of it.
    /// - Parameter milliseconds: blocks for a round trip, and at most so long.
    package func askLogEnds(of partitions: [KafkaPartition], milliseconds: Int32) {
        guard !partitions.isEmpty else { return }
        let list = rd_kafka_topic_partition_list_new(Int32(partitions.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for partition in partitions {
            let entry = rd_kafka_topic_partition_list_add(list, partition.topic, partition.number)
            // In the place of a time: the latest offset.
            entry?.pointee.offset = Int64(RD_KAFKA_OFFSET_END)
        }
        guard rd_kafka_offsets_for_times(handle, list, milliseconds) == RD_KAFKA_RESP_ERR_NO_ERROR else { return }
        for partition in partitions {
            guard let entry = rd_kafka_topic_partition_list_find(list, partition.topic, partition.number),
                entry.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR
            else { continue }
            partition.askedEnd = entry.pointee.offset
        }
    }

    /// Asks where the logs begin now.
    /// - Parameter milliseconds: blocks for a round trip, and at most so long.
    /// - Returns: the first offset that each partition keeps; nil where the broker does not say.
    package func askLogStarts(of partitions: [KafkaPartition], milliseconds: Int32) -> [Int64?] {
        let list = rd_kafka_topic_partition_list_new(Int32(partitions.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for partition in partitions { rd_kafka_topic_partition_list_add(list, partition.topic, partition.number) }
        guard let list else { return [Int64?](repeating: nil, count: partitions.count) }
        return logStarts(handle, list, milliseconds: milliseconds)
    }

    /// Records of the partition that are here and not read yet.
    package func fetched(of partition: KafkaPartition) -> Int { Int(rd_kafka_queue_length(partition.queue)) }

    /// Says which partitions are being read, so that fetching goes on when little of them waits.
    /// - Parameter isBusy: whether so much is read that fetches should be few and large.
    package func noteBacklog(of reading: some Sequence<KafkaPartition>, isBusy: Bool) {
        gate.note(queued: reading.reduce(0) { $0 + Int(rd_kafka_queue_length($1.queue)) }, isBusy: isBusy)
    }

    /// Stores the next offset to read for automatic commit. Refused by the client for a partition that is not assigned
    /// any more, which is the fence wanted: never commit for others.
    package func store(_ offsets: [(partition: KafkaPartition, next: Int64)]) {
        guard !offsets.isEmpty else { return }
        let list = rd_kafka_topic_partition_list_new(Int32(offsets.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for (partition, next) in offsets {
            rd_kafka_topic_partition_list_add(list, partition.topic, partition.number).pointee.offset = next
        }
        rd_kafka_offsets_store(handle, list)
    }

    /// Commits what is stored, and waits for the answer.
    package func commit() {
        let status = rd_kafka_commit(handle, nil, 0)
        if status != RD_KAFKA_RESP_ERR_NO_ERROR, status != RD_KAFKA_RESP_ERR__NO_OFFSET {
            complainIfNeeded(KafkaError(status, place: "commit"))
        }
    }

    /// Leaves the group. The owner has drained and stored before.
    package func close() {
        isRevoking = nil
        commit()
        partitions = []
        rd_kafka_consumer_close(handle)
    }

    /// Sets where to begin: at what was committed, else by ``start``.
    /// - Returns: for each partition the records that are lost.
    private func setStartingOffsets(_ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) -> [Int64] {
        let count = Int(list.pointee.cnt)
        let nothing = [Int64](repeating: 0, count: count)
        guard count > 0 else { return nothing }
        // An error is not "nothing was committed". Where an age was asked for the client's own look-up, when it begins to fetch,
        // would begin at the log's start instead: a month of mails, or of events.
        var triesLeft = 2
        while !askCommitted(list), triesLeft > 0 {
            triesLeft -= 1
            usleep(500_000)
        }
        let starts = logStarts(handle, list)
        return (0..<count).map { index in
            let entry = list.pointee.elems[index]
            guard entry.err == RD_KAFKA_RESP_ERR_NO_ERROR else { return 0 }
            if entry.offset < 0, case .age(let milliseconds) = start {
                list.pointee.elems[index].offset = startingOffset(
                    handle, entry.topic, entry.partition, age: milliseconds)
            }
            return lostRecords(committed: entry.offset, logStart: starts[index])
        }
    }

    /// Asks for the committed offsets of a list. Blocks for 5 s at most.
    /// - Returns: whether all are known. The list then has them, else their errors.
    private func askCommitted(_ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) -> Bool {
        let entries = UnsafeMutableBufferPointer(start: list.pointee.elems, count: Int(list.pointee.cnt))
        var status = rd_kafka_committed(handle, list, 5000)
        if status == RD_KAFKA_RESP_ERR_NO_ERROR {
            status = entries.first { $0.err != RD_KAFKA_RESP_ERR_NO_ERROR }?.err ?? RD_KAFKA_RESP_ERR_NO_ERROR
        } else {
            for index in entries.indices { entries[index].err = status }
        }
        guard status != RD_KAFKA_RESP_ERR_NO_ERROR else { return true }
        complainIfNeeded(KafkaError(status, place: "looking committed offsets up"))
        return false
    }

    private func complainIfNeeded(_ error: KafkaError) {
        let now = Clock.monotonic()
        guard error.isFatal || lastComplaint == 0 || now - lastComplaint > 5_000_000_000 else { return }
        lastComplaint = now
        Log.warning(
            "broker is not reached or refuses; trying again", .group(group), .error(error.description),
            .address(bootstrapServers))
    }
}
