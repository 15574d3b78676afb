// `dead-letters retry`: makes deliveries of letters again and puts them on `deliveries`.
internal import Bridge
internal import Configuration
internal import Core
internal import Kafka
internal import Mapping
internal import Pipeline
internal import Registry
internal import Repair
internal import Runtime

enum DeadLetterRetryCommand {
    private static let viewMilliseconds = 30_000

    static func run(_ options: DeadLetterRetryOptions) throws(Exit) {
        let office = try DeadLetterOffice(options.configuration, needs: [.cluster, .mappings])
        let settings = office.loaded.settings
        let plans = try office.loaded.mappingPlans()
        let deliveries = office.partitions[office.topics.deliveries]
        guard deliveries == office.topics.shards else {
            throw .configuration(
                "topic \(office.topics.deliveries) has \(deliveries ?? 0) partitions, topics.partitions says "
                    + "\(office.topics.shards)")
        }
        let view = RegistryView()
        let feed = RegistryFeed(view: view, topics: office.topics)
        do throws(KafkaError) { try feed.start(office.loaded.kafka, sendsCommands: false) } catch {
            throw .configuration(error.text)
        }
        defer { feed.stop() }
        let deadline = Clock.monotonic() + UInt64(viewMilliseconds) * 1_000_000
        let pause = EventFD()
        while !feed.isLoaded {
            guard Clock.monotonic() < deadline else {
                throw .failure("the registry's topics were not read within \(viewMilliseconds / 1000) s")
            }
            pause.wait(milliseconds: 10)
        }
        let repairer = Repairer(
            plans: plans, topics: office.topics, view: view, payloadBytes: settings.limits.payloadBytes)
        let outbox: RetryOutbox
        do throws(KafkaError) {
            outbox = try RetryOutbox(
                office.loaded.kafka, office.topics, largest: TopicPlanner.largestRecord(settings),
                isDryRun: options.isDryRun)
        } catch {
            throw .configuration(error.text)
        }
        switch options.selection {
        case .positions(let positions): try office.read(positions) { outbox.take($0, repairer) }
        case .all(let filter): try office.read(filter) { outbox.take($0, repairer) }
        }
        try outbox.finish()
    }
}

/// Sends what letters become, and says so once the broker has it.
private final class RetryOutbox {
    private struct Waiting {
        let line: String
        var deliveries: Int
    }

    private let producer: KafkaProducer
    private let deliveries: KafkaProducer.Topic
    private let topics: Topics
    private let isDryRun: Bool
    private let wake = EventFD()
    /// By the token of its deliveries.
    private var waiting: [UInt64: Waiting] = [:]
    private var lastToken: UInt64 = 0
    private var lastSign = Clock.monotonic()
    private var totals = RetryTotals()

    /// A broker that acknowledges nothing for this long is given up.
    private static let silenceNanoseconds: UInt64 = 30_000_000_000

    init(_ kafka: KafkaConfiguration, _ topics: Topics, largest: Int, isDryRun: Bool) throws(KafkaError) {
        self.topics = topics
        self.isDryRun = isDryRun
        producer = try KafkaProducer(kafka, maxMessageBytes: largest, wake: wake)
        deliveries = producer.topic(topics.deliveries)
    }

    private var hasGivenUp: Bool { Clock.monotonic() - lastSign >= Self.silenceNanoseconds }

    func take(_ letter: borrowing KafkaMessage, _ repairer: Repairer) {
        while producer.isBehind, !hasGivenUp { serve() }
        let summary = DeadLetterSummary(letter)
        let place = "\(summary.position)  \(LetterText.printable(summary.webhook?.description ?? summary.origin))"
        guard !producer.isBehind else { return totals.add(.failed("the broker takes nothing")) }
        if producer.unacknowledged == 0 { lastSign = Clock.monotonic() }
        lastToken += 1
        let outcome = repairer.repair(letter) { delivery, body in
            guard !isDryRun else { return }
            let key = Array(delivery.webhook.description.utf8)
            producer.produce(
                deliveries, partition: Murmur2.partition(key, of: topics.shards), key: key, value: body,
                headers: delivery.headers(), token: lastToken)
        }
        totals.add(outcome)
        let verb = isDryRun ? "would be sent" : "sent"
        switch outcome {
        case .translated(let count):
            report("\(place)  \(verb) as \(count) \(count == 1 ? "delivery" : "deliveries")", count)
        case .sentAgain: report("\(place)  \(verb) again", 1)
        case .passedOver(let cause): Terminal.print("\(place)  passed over: \(cause)")
        case .failed(let cause): Terminal.error("\(place)  failed: \(LetterText.printable(cause))")
        }
        serve(milliseconds: 0)
    }

    private func report(_ line: String, _ count: Int) {
        if isDryRun { Terminal.print(line) } else { waiting[lastToken] = Waiting(line: line, deliveries: count) }
    }

    private func serve(milliseconds: Int = 50) {
        if milliseconds > 0 { wake.wait(milliseconds: milliseconds) }
        wake.clear()
        var acknowledged: [UInt64] = []
        producer.poll(acknowledged: &acknowledged)
        if !acknowledged.isEmpty { lastSign = Clock.monotonic() }
        for token in acknowledged {
            waiting[token]?.deliveries -= 1
            guard let done = waiting[token], done.deliveries == 0 else { continue }
            waiting[token] = nil
            Terminal.print(done.line)
        }
    }

    /// Waits for the broker and prints the totals.
    func finish() throws(Exit) {
        while !waiting.isEmpty, !hasGivenUp { serve() }
        guard waiting.isEmpty else {
            throw .failure(
                "the broker did not acknowledge the deliveries of \(waiting.count) letters within 30 s; run it again: what "
                    + "was sent already has the same ids")
        }
        Terminal.print((isDryRun ? "dry run, nothing was sent: " : "") + totals.description)
        if totals.failed > 0 { throw Exit(code: 1) }
    }
}
