// One event again: finds the record it came from and translates it as then, or, where that is gone, takes the body from the
// dead letter of the delivery that was given up.
internal import Core
internal import Crypto
internal import Kafka
internal import Mapping
internal import Pipeline
internal import Registry
internal import Runtime
internal import Translate

/// Blocks its caller; one thread.
final class EventFinder {
    private let kafka: KafkaConfiguration
    private let topics: Topics
    private let translator: Translator

    init(kafka: KafkaConfiguration, topics: Topics, plans: MappingPlans, view: RegistryView, payloadBytes: Int) {
        self.kafka = kafka
        self.topics = topics
        translator = Translator(plans: plans, topics: topics, view: view, payloadBytes: payloadBytes)
    }

    /// - Parameters:
    ///   - origin: where the log says the event came from; nil where the log does not know the event.
    ///   - run: makes the delivery another one than those before.
    ///   - deadline: monotonic nanoseconds.
    func find(
        _ event: EventID, from origin: RecordOrigin?, for webhook: Webhook, run: RetryID, deadline: UInt64
    ) throws(ReplayFault) -> Delivery {
        let found: Delivery?
        do throws(KafkaError) { found = try search(event, origin, webhook, run, deadline) } catch {
            Log.warning("an event could not be looked for", .event(event.description), .error(error.description))
            throw .late
        }
        guard let found else { throw origin == nil ? .unknown : .expired }
        return found
    }

    private func search(
        _ event: EventID, _ origin: RecordOrigin?, _ webhook: Webhook, _ run: RetryID, _ deadline: UInt64
    ) throws(KafkaError) -> Delivery? {
        let reader = try KafkaReader(kafka, purpose: "event")
        if let origin, let found = try translated(event, origin, webhook, run, reader, deadline) { return found }
        guard let letter = try givenUp(event, webhook, reader, deadline) else { return nil }
        // It was given up without ever having been tried, so the log could not say where it came from.
        if origin == nil, let source = RecordOrigin(letter.origin),
            let found = try translated(event, source, webhook, run, reader, deadline)
        {
            return found
        }
        return Delivery(
            webhook: webhook.id, account: webhook.account, event: event, eventType: letter.eventType,
            id: Self.deliveryID(event, webhook.id, run: run), generation: webhook.generation, purpose: .replay,
            origin: letter.origin, traceparent: letter.traceparent, body: letter.body)
    }

    /// - Returns: nil when the record is gone, or does not become this event for this webhook any more.
    private func translated(
        _ event: EventID, _ origin: RecordOrigin, _ webhook: Webhook, _ run: RetryID, _ reader: KafkaReader,
        _ deadline: UInt64
    ) throws(KafkaError) -> Delivery? {
        let limit = ReplayPlanner.left(until: deadline)
        let kept = try reader.offsets(of: origin.topic, origin.partition, milliseconds: limit)
        guard kept.contains(origin.offset) else { return nil }
        _ = translator.refresh()
        reader.assign([(origin.topic, origin.partition, .offset(origin.offset))])
        var found: Delivery?
        var isThere = true
        while isThere, Clock.monotonic() < deadline {
            let count = reader.poll(milliseconds: 50, limit: 1) { message in
                isThere = false
                // A later one is there in its place: compaction, or retention in this very moment.
                if message.offset == origin.offset { found = translate(message, event, webhook, run) }
            }
            if count == 0, reader.hasReachedEnd(of: origin.topic, origin.partition) { isThere = false }
        }
        guard !isThere else { throw KafkaError(tookTooLong: "reading \(origin)") }
        return found
    }

    private func translate(
        _ message: borrowing KafkaMessage, _ event: EventID, _ webhook: Webhook, _ run: RetryID
    ) -> Delivery? {
        guard let value = message.value else { return nil }
        var headers: [RecordHeader] = []
        message.forEachHeader { headers.append(RecordHeader(name: $0, value: $1)) }
        let record = DomainRecord(
            topic: message.topic, partition: message.partition, offset: message.offset, timestamp: message.timestamp,
            value: value, headers: headers)
        var found: Delivery?
        // Asked for by name, it goes also where the webhook does not subscribe to its type any more.
        _ = try? translator.translate(
            record, key: message.key, for: .one(webhook, run: run.description, replay: nil, anyType: true)
        ) { delivery, body in
            guard delivery.event == event else { return }
            var whole = copy delivery
            whole.body = Array(body)
            found = whole
        }
        return found
    }

    /// The newest dead letter of a delivery of the event to the webhook.
    private func givenUp(
        _ event: EventID, _ webhook: Webhook, _ reader: KafkaReader, _ deadline: UInt64
    ) throws(KafkaError) -> Delivery? {
        let partition = webhook.id.shard(of: topics.shards)
        let kept = try reader.offsets(
            of: topics.deadLetters, partition, milliseconds: ReplayPlanner.left(until: deadline))
        guard !kept.isEmpty else { return nil }
        reader.assign([(topics.deadLetters, partition, .offset(kept.lowerBound))])
        let (key, name) = (Array(webhook.id.description.utf8), Array(event.description.utf8))
        var found: Delivery?
        var next = kept.lowerBound
        while next < kept.upperBound, !reader.hasReachedEnd(of: topics.deadLetters, partition) {
            guard Clock.monotonic() < deadline else {
                throw KafkaError(tookTooLong: "reading \(topics.deadLetters)/\(partition)")
            }
            reader.poll(milliseconds: 50) { letter in
                next = letter.offset + 1
                guard letter.key.elementsEqual(key) else { return }
                var isOfEvent = false
                letter.forEachHeader { header, value in
                    if header.elementsEqual("event-id".utf8) { isOfEvent = value.elementsEqual(name) }
                }
                guard isOfEvent, let delivery = try? Delivery(letter), delivery.account == webhook.account else {
                    return
                }
                found = delivery
            }
        }
        return found
    }

    /// Contract §1: the digest over event id, webhook id and run.
    private static func deliveryID(_ event: EventID, _ webhook: WebhookID, run: RetryID) -> DeliveryID {
        let (high, low) = Digest.prefix(of: Array("\(event)\0\(webhook)\0\(run)".utf8))
        return DeliveryID(high: high, low: low)
    }
}
