// The producer of a stage. Every record it takes is acknowledged by the broker in the end: what the broker refuses is
// kept and tried again, for as long as it takes, so a caller only ever learns of success. Being behind is visible
// (`isBehind`), and a caller that sees it stops reading.
internal import CRdKafka
package import Runtime

/// One owner thread. Tokens name the records to their owner; 0 is for records nobody waits for.
package final class KafkaProducer {
    private let configuration: KafkaConfiguration
    private let wake: EventFD
    private var handle: OpaquePointer
    private var queue: OpaquePointer
    private var topicNames: [String] = []
    private var topicHandles: [OpaquePointer] = []
    private var waiting: [Waiting] = []
    private var waitingSince: UInt64 = 0
    private var lastComplaint: UInt64 = 0
    private let retryAfterNanoseconds: UInt64 = 500_000_000

    /// Records taken and not yet acknowledged.
    package private(set) var unacknowledged = 0
    /// Records taken so far.
    package private(set) var taken = 0
    /// Produces the broker refused so far; each was tried again.
    package private(set) var refusals = 0

    /// A topic of this producer.
    package struct Topic: Sendable {
        fileprivate let index: Int
    }

    /// A record the broker or the local queue refused, kept until it is accepted.
    private struct Waiting {
        let topic: Int
        let partition: Int32
        let key: [UInt8]
        let value: [UInt8]?
        let headers: [(name: [UInt8], value: [UInt8]?)]
        let token: UInt64
    }

    /// - Parameters:
    ///   - maxMessageBytes: the largest record, its headers included.
    ///   - lingerMilliseconds: how long a record waits for others to go with it, where the operator says nothing else.
    ///   - wake: signalled when delivery reports are ready, so that the owner polls.
    package init(
        _ configuration: KafkaConfiguration, maxMessageBytes: Int, lingerMilliseconds: Double = 0.5, wake: EventFD
    ) throws(KafkaError) {
        self.configuration = configuration.with(
            defaults: [
                "linger.ms": String(lingerMilliseconds),
                "queue.buffering.max.messages": "100000",
                "queue.buffering.max.kbytes": "65536",
                "socket.nagle.disable": "true",
                "compression.type": "none",
            ],
            fixed: [
                "acks": "all",
                "enable.idempotence": "true",
                "message.timeout.ms": "0",
                "message.max.bytes": String(maxMessageBytes),
            ])
        self.wake = wake
        (handle, queue) = try Self.open(self.configuration, wake: wake)
    }

    private static func open(
        _ configuration: KafkaConfiguration, wake: EventFD
    ) throws(KafkaError) -> (OpaquePointer, OpaquePointer) {
        let conf = try configuration.make()
        rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR)
        var reason = [CChar](repeating: 0, count: 512)
        guard let handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, &reason, reason.count) else {
            rd_kafka_conf_destroy(conf)
            throw KafkaError(configuration: untilNUL(reason))
        }
        guard let queue = rd_kafka_queue_get_main(handle) else { throw KafkaError(configuration: "no event queue") }
        enableWake(queue, wake)
        return (handle, queue)
    }

    deinit { close() }

    private func close() {
        for topic in topicHandles { rd_kafka_topic_destroy(topic) }
        topicHandles = []
        rd_kafka_queue_destroy(queue)
        rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
    }

    package func topic(_ name: String) -> Topic {
        if let index = topicNames.firstIndex(of: name) { return Topic(index: index) }
        topicNames.append(name)
        topicHandles.append(rd_kafka_topic_new(handle, name, nil))
        return Topic(index: topicNames.count - 1)
    }

    /// Whether the owner should stop taking on more work until reports have come in.
    package var isBehind: Bool { !waiting.isEmpty || unacknowledged > 50_000 }

    /// Hands a record over; its bytes are copied. Never blocks.
    /// - Parameters:
    ///   - partition: explicit, or -1 for the client's partitioner.
    ///   - value: nil for a tombstone.
    ///   - token: comes back from ``poll(acknowledged:)`` once the broker has the record.
    package func produce(
        _ topic: Topic, partition: Int32, key: [UInt8], value: UnsafeRawBufferPointer?,
        headers: consuming KafkaHeaders, token: UInt64
    ) {
        let raw = headers.take()
        key.withUnsafeBytes { produce(topic.index, partition, $0, value, raw, token) }
    }

    package func produce(
        _ topic: Topic, partition: Int32, key: [UInt8], value: [UInt8], headers: consuming KafkaHeaders, token: UInt64
    ) {
        let raw = headers.take()
        key.withUnsafeBytes { key in value.withUnsafeBytes { produce(topic.index, partition, key, $0, raw, token) } }
    }

    private func produce(
        _ topic: Int, _ partition: Int32, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?,
        _ raw: OpaquePointer?, _ token: UInt64
    ) {
        unacknowledged += 1
        taken += 1
        var error: KafkaError?
        // Behind others that wait it waits too: nothing overtakes what came before it.
        if waiting.isEmpty {
            error = send(topic, partition, key, value, raw, token)
            guard error != nil else { return }
            // Refused on the spot (the local queue is full, or a fatal state): kept, and tried again from poll().
            refusals += 1
        }
        keep(
            Waiting(
                topic: topic, partition: partition, key: Array(key), value: value.map { Array($0) },
                headers: raw.map(copyHeaders) ?? [], token: token))
        if let raw { rd_kafka_headers_destroy(raw) }
        if let error { complainIfNeeded(error) }
    }

    /// - Returns: the error, or nil when librdkafka took the record (and the headers with it).
    private func send(
        _ topic: Int, _ partition: Int32, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?,
        _ headers: OpaquePointer?, _ token: UInt64
    ) -> KafkaError? {
        let error = crdkafka_produce(
            handle, topicHandles[topic], partition, key.baseAddress, key.count, value?.baseAddress, value?.count ?? 0,
            headers, UnsafeMutableRawPointer(bitPattern: UInt(token)))
        return error.map { KafkaError(consuming: $0, place: "produce to \(topicNames[topic])") }
    }

    /// Serves delivery reports; never blocks.
    /// - Parameter acknowledged: gets the tokens of records the broker now has.
    package func poll(acknowledged: inout [UInt64]) {
        let before = unacknowledged
        if !late.isEmpty {
            acknowledged.append(contentsOf: late)
            late.removeAll()
        }
        while let event = rd_kafka_queue_poll(queue, 0) {
            switch rd_kafka_event_type(event) {
            case RD_KAFKA_EVENT_DR:
                while let message = rd_kafka_event_message_next(event) { report(message, &acknowledged) }
            case RD_KAFKA_EVENT_ERROR:
                complainIfNeeded(
                    KafkaError(
                        rd_kafka_event_error(event), place: "producer",
                        text: String(cString: rd_kafka_event_error_string(event))))
            default: break
            }
            rd_kafka_event_destroy(event)
        }
        // Acknowledgements make room in a full local queue; without any the broker is given time.
        let madeRoom = unacknowledged < before
        if !waiting.isEmpty, madeRoom || Clock.monotonic() - waitingSince >= retryAfterNanoseconds { sendWaiting() }
    }

    private func report(_ message: UnsafePointer<rd_kafka_message_t>, _ acknowledged: inout [UInt64]) {
        let token = UInt64(UInt(bitPattern: message.pointee._private))
        if message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
            unacknowledged -= 1
            if token != 0 { acknowledged.append(token) }
            return
        }
        var headers: OpaquePointer?
        rd_kafka_message_headers(message, &headers)
        let name = String(cString: rd_kafka_topic_name(message.pointee.rkt))
        keep(
            Waiting(
                topic: topicNames.firstIndex(of: name) ?? 0, partition: message.pointee.partition,
                key: Array(UnsafeRawBufferPointer(start: message.pointee.key, count: message.pointee.key_len)),
                value: message.pointee.payload.map {
                    Array(UnsafeRawBufferPointer(start: $0, count: message.pointee.len))
                },
                headers: headers.map(copyHeaders) ?? [], token: token))
        refusals += 1
        complainIfNeeded(KafkaError(message.pointee.err, place: "produce to \(name)"))
    }

    private func keep(_ record: Waiting) {
        if waiting.isEmpty { waitingSince = Clock.monotonic() }
        waiting.append(record)
    }

    private func sendWaiting() {
        recoverFromFatalError()
        var position = 0
        while position < waiting.count {
            let record = waiting[position]
            let headers = KafkaHeaders(capacity: record.headers.count)
            for header in record.headers { headers.add(name: header.name, header.value) }
            let raw = headers.take()
            let error = record.key.withUnsafeBytes { key in
                if let value = record.value {
                    value.withUnsafeBytes { send(record.topic, record.partition, key, $0, raw, record.token) }
                } else {
                    send(record.topic, record.partition, key, nil, raw, record.token)
                }
            }
            if let error {
                if let raw { rd_kafka_headers_destroy(raw) }
                complainIfNeeded(error)
                break
            }
            position += 1
        }
        waiting.removeFirst(position)
        waitingSince = Clock.monotonic()
    }

    /// A fatal idempotence error leaves a producer useless (a cluster that lost records can cause it). Nothing is lost:
    /// what was in flight comes back as failed reports, and goes out through a new producer.
    private func recoverFromFatalError() {
        var reason = [CChar](repeating: 0, count: 512)
        let code = rd_kafka_fatal_error(handle, &reason, reason.count)
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
        Log.error("producer met a fatal error and is replaced", .error(untilNUL(reason)))
        rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        var acknowledged: [UInt64] = []
        while let event = rd_kafka_queue_poll(queue, 100) {
            if rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR {
                while let message = rd_kafka_event_message_next(event) { report(message, &acknowledged) }
            }
            rd_kafka_event_destroy(event)
        }
        late.append(contentsOf: acknowledged)
        guard let fresh = try? Self.open(configuration, wake: wake) else { return }
        close()
        (handle, queue) = fresh
        topicHandles = topicNames.map { rd_kafka_topic_new(handle, $0, nil) }
    }

    /// Acknowledgements that came in while the producer was replaced.
    private var late: [UInt64] = []

    private func copyHeaders(_ headers: OpaquePointer) -> [(name: [UInt8], value: [UInt8]?)] {
        var copies: [(name: [UInt8], value: [UInt8]?)] = []
        forEachKafkaHeader(headers) { copies.append((Array($0), $1.baseAddress == nil ? nil : Array($1))) }
        return copies
    }

    /// One line every five seconds says that the broker does not take records; silence would hide it, a line each
    /// would drown it.
    private func complainIfNeeded(_ error: KafkaError) {
        let now = Clock.monotonic()
        guard lastComplaint == 0 || now - lastComplaint > 5_000_000_000 else { return }
        lastComplaint = now
        Log.warning(
            "broker does not take records; they are kept and tried again", .error(error.description),
            .count(waiting.count), .address(configuration.bootstrapServers))
    }
}

func enableWake(_ queue: OpaquePointer, _ wake: EventFD) {
    var one: UInt64 = 1
    rd_kafka_queue_io_event_enable(queue, wake.descriptor, &one, 8)
}

func untilNUL(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
