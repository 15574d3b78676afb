// Reads whole topics without a group: the views, the registry's state, the log store. Every process that has one reads
// every record.
internal import CRdKafka
package import Runtime

/// One owner thread, which may block in ``poll(milliseconds:_:)``.
package final class KafkaReader {
    /// Where to begin in a partition.
    package enum Position: Sendable {
        case beginning
        case end
        case offset(Int64)
        /// At the first record not older than this; at the beginning where the broker cannot say.
        case age(milliseconds: Int64)
    }

    let handle: OpaquePointer
    private let gate: FetchGate
    private let bootstrapServers: String
    private var ended: Set<String> = []
    private var partitionCount = 0
    private var lastComplaint: UInt64 = 0

    /// For what is read from its beginning while everybody waits. Once more than this is fetched and not read, the client looks
    /// again only after a second: with the usual 4 MiB that second would be spent every few thousand records.
    package static let loading = 65_536

    /// - Parameters:
    ///   - prefetch: how much may be fetched and not read yet, KiB.
    ///   - wake: signalled when there is something to read, for an owner that waits elsewhere.
    package init(
        _ configuration: KafkaConfiguration, purpose: String, pace: FetchPace = .prompt, prefetch: Int = 4096,
        wake: EventFD? = nil
    ) throws(KafkaError) {
        bootstrapServers = configuration.bootstrapServers
        gate = FetchGate(pace)
        let own = configuration.with(
            defaults: [
                "fetch.wait.max.ms": "100",
                "socket.nagle.disable": "true",
                "queued.max.messages.kbytes": String(prefetch),
                "topic.metadata.refresh.interval.ms": "60000",
            ],
            fixed: [
                // librdkafka wants a group id; nothing is committed and no group is joined.
                "group.id": "unused-\(purpose)",
                "enable.auto.commit": "false",
                "enable.auto.offset.store": "false",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": "true",
            ])
        let conf = try own.make()
        gate.install(in: conf)
        var reason = [CChar](repeating: 0, count: 512)
        guard let handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, &reason, reason.count) else {
            rd_kafka_conf_destroy(conf)
            throw KafkaError(configuration: untilNUL(reason))
        }
        self.handle = handle
        rd_kafka_poll_set_consumer(handle)
        if let wake, let queue = rd_kafka_queue_get_consumer(handle) {
            enableWake(queue, wake)
            rd_kafka_queue_destroy(queue)
        }
    }

    deinit {
        rd_kafka_consumer_close(handle)
        rd_kafka_destroy(handle)
    }

    /// Begins to read these partitions, and no others.
    package func assign(_ partitions: [(topic: String, partition: Int32, position: Position)]) {
        ended = []
        partitionCount = partitions.count
        let list = rd_kafka_topic_partition_list_new(Int32(partitions.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for (topic, partition, position) in partitions {
            rd_kafka_topic_partition_list_add(list, topic, partition).pointee.offset =
                switch position {
                case .beginning: Int64(RD_KAFKA_OFFSET_BEGINNING)
                case .end: Int64(RD_KAFKA_OFFSET_END)
                case .offset(let offset): offset
                case .age(let milliseconds): startingOffset(handle, topic, partition, age: milliseconds)
                }
        }
        rd_kafka_assign(handle, list)
    }

    /// Reads nothing more of a partition until the next ``assign(_:)``. Final: a pause that is taken back may rewind.
    package func leave(_ topic: String, _ partition: Int32) {
        let list = rd_kafka_topic_partition_list_new(1)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        rd_kafka_topic_partition_list_add(list, topic, partition)
        rd_kafka_pause_partitions(handle, list)
    }

    /// Whether every partition has been read to its end at least once since ``assign(_:)``.
    package var hasReachedEnds: Bool { ended.count == partitionCount }

    /// Whether this partition has been read to its end at least once since ``assign(_:)``.
    package func hasReachedEnd(of topic: String, _ partition: Int32) -> Bool { ended.contains("\(topic)/\(partition)") }

    /// The first offset that is kept and the one the next record will get. Blocks for at most `milliseconds`.
    package func offsets(
        of topic: String, _ partition: Int32, milliseconds: Int
    ) throws(KafkaError) -> Range<Int64> {
        var low: Int64 = 0
        var high: Int64 = 0
        let status = rd_kafka_query_watermark_offsets(handle, topic, partition, &low, &high, Int32(milliseconds))
        guard status == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError(status, place: "asking for the ends of \(topic)")
        }
        return low..<max(low, high)
    }

    /// Whether the cluster has this partition. Blocks for at most `milliseconds`.
    package func exists(_ topic: String, _ partition: Int32, milliseconds: Int) throws(KafkaError) -> Bool {
        try existence(of: [(topic, partition)], milliseconds: milliseconds)[0] ?? false
    }

    /// Whether the cluster has these partitions, by one request. Blocks for at most `milliseconds`.
    /// - Returns: for each place the answer; nil where the cluster does not say.
    package func existence(
        of places: [(topic: String, partition: Int32)], milliseconds: Int
    ) throws(KafkaError) -> [Bool?] {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let status = rd_kafka_metadata(handle, 1, nil, &metadata, Int32(clamping: milliseconds))
        guard status == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else {
            throw KafkaError(status, place: "reading the cluster's topics")
        }
        defer { rd_kafka_metadata_destroy(metadata) }
        let names = Set(places.map(\.topic))
        var counts: [String: Int32?] = [:]
        for index in 0..<Int(metadata.pointee.topic_cnt) {
            let found = metadata.pointee.topics[index]
            guard let name = found.topic.map({ String(cString: $0) }), names.contains(name) else { continue }
            switch found.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR: counts[name] = .some(found.partition_cnt)
            case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC: break
            default: counts[name] = .some(nil)
            }
        }
        return places.map { place in
            guard let count = counts[place.topic] else { return false }
            return count.map { (0..<$0).contains(place.partition) }
        }
    }

    /// Reads what is there, waiting up to `milliseconds` for the first record.
    /// - Parameter goesOn: asked before each record after the first.
    /// - Returns: how many records were read, at most `limit`.
    @discardableResult
    package func poll(
        milliseconds: Int, limit: Int = 1000, while goesOn: () -> Bool = { true },
        _ body: (borrowing KafkaMessage) -> Void
    ) -> Int {
        var count = 0
        var wait = Int32(milliseconds)
        while count < limit, count == 0 || goesOn(), let message = rd_kafka_consumer_poll(handle, wait) {
            switch message.pointee.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                body(KafkaMessage(message))
                count += 1
                wait = 0
            case RD_KAFKA_RESP_ERR__PARTITION_EOF:
                ended.insert(
                    "\(String(cString: rd_kafka_topic_name(message.pointee.rkt)))/\(message.pointee.partition)")
                if count > 0 { wait = 0 }
            default: complainIfNeeded(message)
            }
            rd_kafka_message_destroy(message)
        }
        return count
    }

    private func complainIfNeeded(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
        let now = Clock.monotonic()
        guard lastComplaint == 0 || now - lastComplaint > 5_000_000_000 else { return }
        lastComplaint = now
        Log.warning(
            "broker is not reached or refuses; trying again",
            .error(
                KafkaError(
                    message.pointee.err, place: "reader",
                    text: rd_kafka_message_errstr(message).map { String(cString: $0) }
                ).description), .address(bootstrapServers))
    }
}
