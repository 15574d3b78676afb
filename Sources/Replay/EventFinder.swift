// One event again: finds the record it came from and translates it as then, or, where that is gone, takes the body from the
// newest dead letter of a delivery that was given up.
internal import Core
internal import Crypto
internal import Kafka
internal import Mapping
internal import Pipeline
internal import Registry
internal import Runtime
internal import Translate

/// What all searches of one thread share.
final class EventFinder {
    fileprivate let kafka: KafkaConfiguration
    fileprivate let topics: Topics
    fileprivate let translator: Translator

    init(kafka: KafkaConfiguration, topics: Topics, plans: MappingPlans, view: RegistryView, payloadBytes: Int) {
        self.kafka = kafka
        self.topics = topics
        translator = Translator(plans: plans, topics: topics, view: view, payloadBytes: payloadBytes)
    }

    /// - Parameters:
    ///   - origin: where the log says the event came from; nil where the log does not know the event.
    ///   - run: makes the delivery another one than those before.
    ///   - deadline: monotonic nanoseconds.
    func search(
        for event: EventID, from origin: RecordOrigin?, for webhook: Webhook, run: RetryID, deadline: UInt64
    ) -> EventSearch {
        EventSearch(self, event, origin, webhook, run, deadline)
    }
}

/// One event looked for, bit by bit: dead letters of weeks may have to be read, and others want to know something meanwhile.
/// Blocks its caller; one thread.
final class EventSearch {
    private let finder: EventFinder
    private let event: EventID
    private let origin: RecordOrigin?
    private let webhook: Webhook
    private let run: RetryID
    private let deadline: UInt64
    private var reader: KafkaReader?
    /// Among the dead letters, once they are looked at.
    private var walk: BackwardWalk?
    private var piece: Range<Int64> = 0..<0
    private var next: Int64 = 0
    /// The newest letter of the piece so far.
    private var letter: Delivery?

    private var topics: Topics { finder.topics }
    private var translator: Translator { finder.translator }
    private var shard: Int32 { webhook.id.shard(of: topics.shards) }
    private var left: Int { ReplayPlanner.left(until: deadline) }

    /// How much earlier than its webhook a dead letter may seem to be: clocks differ.
    private static let slackMilliseconds: Int64 = 3_600_000

    fileprivate init(
        _ finder: EventFinder, _ event: EventID, _ origin: RecordOrigin?, _ webhook: Webhook, _ run: RetryID,
        _ deadline: UInt64
    ) {
        self.finder = finder
        self.event = event
        self.origin = origin
        self.webhook = webhook
        self.run = run
        self.deadline = deadline
    }

    /// Goes on for a while.
    /// - Parameter until: monotonic nanoseconds; reading the one record of the event's source may take longer.
    /// - Returns: nil when there is more to do.
    func goOn(until: UInt64) throws(ReplayFault) -> Delivery? {
        do throws(KafkaError) {
            if let found = try step(until) { return found }
        } catch {
            Log.warning("an event could not be looked for", .event(event.description), .error(error.description))
            throw .late
        }
        if let walk, walk.isOver, next >= piece.upperBound { throw origin == nil ? .unknown : .expired }
        return nil
    }

    private func step(_ until: UInt64) throws(KafkaError) -> Delivery? {
        guard let reader else {
            let made = try KafkaReader(finder.kafka, purpose: "event")
            self.reader = made
            if let origin, let found = try translated(origin, made) { return found }
            walk = BackwardWalk(try whereLettersAre(made))
            return nil
        }
        while next < piece.upperBound || begin(reader) {
            guard Clock.monotonic() < deadline else {
                throw KafkaError(tookTooLong: "reading \(topics.deadLetters)/\(shard)")
            }
            read(reader)
            if next >= piece.upperBound, let letter { return try delivery(of: letter, reader) }
            if Clock.monotonic() >= until { return nil }
        }
        return nil
    }

    private func delivery(of letter: Delivery, _ reader: KafkaReader) throws(KafkaError) -> Delivery {
        // It was given up without ever having been tried, so the log could not say where it came from.
        if origin == nil, let source = RecordOrigin(letter.origin), let found = try translated(source, reader) {
            return found
        }
        return Delivery(
            webhook: webhook.id, account: webhook.account, event: event, eventType: letter.eventType,
            id: Self.deliveryID(event, webhook.id, run: run), generation: webhook.generation, purpose: .replay,
            origin: letter.origin, traceparent: letter.traceparent, body: letter.body)
    }

    // MARK: Its source

    /// - Returns: nil when the record is gone, or does not become this event for this webhook any more.
    private func translated(_ origin: RecordOrigin, _ reader: KafkaReader) throws(KafkaError) -> Delivery? {
        guard try reader.exists(origin.topic, origin.partition, milliseconds: left) else { return nil }
        let kept = try reader.offsets(of: origin.topic, origin.partition, milliseconds: left)
        guard kept.contains(origin.offset) else { return nil }
        _ = translator.refresh()
        reader.assign([(origin.topic, origin.partition, .offset(origin.offset))])
        var found: Delivery?
        var isThere = true
        while isThere, Clock.monotonic() < deadline {
            let count = reader.poll(milliseconds: 50, limit: 1) { message in
                isThere = false
                // A later one is there in its place: compaction, or retention in this very moment.
                if message.offset == origin.offset { found = translate(message) }
            }
            if count == 0, reader.hasReachedEnd(of: origin.topic, origin.partition) { isThere = false }
        }
        guard !isThere else { throw KafkaError(tookTooLong: "reading \(origin)") }
        return found
    }

    private func translate(_ message: borrowing KafkaMessage) -> Delivery? {
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

    // MARK: Its dead letter

    /// The dead letters that may be of this webhook: none is older than it.
    private func whereLettersAre(_ reader: KafkaReader) throws(KafkaError) -> Range<Int64> {
        let kept = try reader.offsets(of: topics.deadLetters, shard, milliseconds: left)
        guard !kept.isEmpty else { return kept }
        let since = webhook.createdAt.milliseconds - Self.slackMilliseconds
        func first(since: Int64) throws(KafkaError) -> Int64? {
            try reader.offsets(at: .time(since), of: [(topics.deadLetters, shard)], milliseconds: left)[0]
        }
        if let begin = try first(since: since) {
            return min(max(kept.lowerBound, begin), kept.upperBound)..<kept.upperBound
        }
        // A broker that knows no times finds nothing since 1970 either.
        return try first(since: 0) == nil ? kept : kept.upperBound..<kept.upperBound
    }

    private func begin(_ reader: KafkaReader) -> Bool {
        guard let following = walk?.next() else { return false }
        piece = following
        next = piece.lowerBound
        reader.assign([(topics.deadLetters, shard, .offset(next))])
        return true
    }

    /// A handful of letters, keeping the newest one of the event.
    private func read(_ reader: KafkaReader) {
        let (key, name) = (Array(webhook.id.description.utf8), Array(event.description.utf8))
        reader.poll(milliseconds: 50) { message in
            // The reader goes on into what has been read already.
            guard message.offset < piece.upperBound else { return next = piece.upperBound }
            next = message.offset + 1
            guard message.key.elementsEqual(key) else { return }
            var isOfEvent = false
            message.forEachHeader { header, value in
                if header.elementsEqual("event-id".utf8) { isOfEvent = value.elementsEqual(name) }
            }
            guard isOfEvent, let delivery = try? Delivery(message), delivery.account == webhook.account else { return }
            letter = delivery
        }
        if reader.hasReachedEnd(of: topics.deadLetters, shard) { next = piece.upperBound }
    }

    /// Contract §1: the digest over event id, webhook id and run.
    private static func deliveryID(_ event: EventID, _ webhook: WebhookID, run: RetryID) -> DeliveryID {
        let (high, low) = Digest.prefix(of: Array("\(event)\0\(webhook)\0\(run)".utf8))
        return DeliveryID(high: high, low: low)
    }
}
