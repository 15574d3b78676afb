// The delivery stage on its loop, on an embedded broker that all tests of the process share: each has topics of its own.
import Core
import Crypto
import Deliver
import HTTPEngine
import JSON
import Kafka
import Pipeline
import Registry
import Runtime
import Synchronization
import Testing

func eventually(_ what: Comment, seconds: Double = 60, _ isTrue: () throws -> Bool) throws {
    let deadline = Clock.monotonic() + UInt64(seconds * 1e9)
    let pause = EventFD()
    while try !isTrue() {
        try #require(Clock.monotonic() < deadline, what)
        pause.wait(milliseconds: 10)
    }
}

final class DeliverWorld: Sendable {
    private static let cluster = Guarded<KafkaMockCluster?>(nil)

    let topics: Topics
    let shards = 2
    let receiver = ScriptedReceiver()
    let view = RegistryView()
    let secrets = SecretBox(keys: [SecretBox.Key(id: "k", bytes: [UInt8](repeating: 7, count: 32))])
    let account = AccountID("acct_000000000000000000000001")!
    let configuration: KafkaConfiguration
    private let producer: Producer

    /// - Parameter name: prefix of the topics and name of the group.
    init(_ name: String) throws {
        topics = Topics(prefix: name + ".", shards: shards)
        let topics = topics
        let bootstrap = try Self.cluster.withLock { shared in
            let cluster = try shared ?? KafkaMockCluster()
            shared = cluster
            for plan in topics.plans { try cluster.createTopic(plan.name, partitions: plan.partitions) }
            return cluster.bootstrapServers
        }
        configuration = KafkaConfiguration(
            [("bootstrap.servers", bootstrap)] + KafkaMockCluster.clientProperties)
        producer = Producer(configuration)
    }

    /// A webhook whose records are all on the given shard.
    func webhook(_ number: UInt32, shard: Int32, path: String, generation: Int = 1, isActive: Bool = true) -> Webhook {
        var low = number * 1000
        while WebhookID(high: 9, low: low).shard(of: shards) != shard { low += 1 }
        let id = WebhookID(high: 9, low: low)
        let box = secrets.seal(Array(WebhookSecret.generate().utf8), context: Array("\(account)\0\(id)".utf8))
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let webhook = Webhook(
            id: id, account: account, url: receiver.url(path), description: nil, events: ["*"], isActive: isActive,
            version: "1.0", generation: generation, createdAt: now, updatedAt: now,
            secrets: [SealedSecret(keyID: "k", box: box, createdAt: now)])
        view.put(webhook)
        return webhook
    }

    /// The webhook, its secret sealed with a key that the stage does not have.
    func locked(_ webhook: Webhook) -> Webhook {
        let box = SecretBox(keys: [SecretBox.Key(id: "gone", bytes: [UInt8](repeating: 9, count: 32))])
        let context = Array("\(webhook.account)\0\(webhook.id)".utf8)
        var locked = webhook
        locked.secrets = [
            SealedSecret(
                keyID: "gone", box: box.seal(Array(WebhookSecret.generate().utf8), context: context),
                createdAt: webhook.createdAt)
        ]
        return locked
    }

    /// Produces deliveries, numbered from `first`; without `flushing` only together with the next ones.
    func produce(
        _ webhook: Webhook, _ count: Int, first: Int = 0, attempt: Int = 0, purpose: Delivery.Purpose = .delivery,
        run: ReplayID? = nil, topic: String? = nil, deferredAt: Timestamp? = nil, bytes: Int = 0, flushing: Bool = true
    ) {
        for number in first..<first + count {
            let delivery = Delivery(
                webhook: webhook.id, account: account, event: EventID(high: webhook.id.hashSeed, low: UInt32(number)),
                eventType: "user.created", id: DeliveryID(high: webhook.id.hashSeed, low: UInt32(number)),
                generation: webhook.generation, purpose: purpose, run: run, attempt: attempt,
                origin: "learnault.users/0/0", deferredAt: deferredAt,
                body: Array("{\"n\":\(number)}".utf8) + Array(repeating: 32, count: bytes))
            producer.put(
                topic ?? topics.deliveries, webhook.id.shard(of: shards), webhook.id.description, delivery.body,
                delivery)
        }
        if flushing { producer.flush() }
    }

    struct Record {
        let topic: String
        let partition: Int32
        let key: String
        let value: [UInt8]
        let headers: [String: String]
        /// Milliseconds since 1970.
        let timestamp: Int64
        var event: String { headers["event-id"] ?? "" }
    }

    func dump(_ topic: String, partitions: Int? = nil) throws -> [Record] {
        let reader = try KafkaReader(configuration, purpose: "dump")
        reader.assign((0..<Int32(partitions ?? shards)).map { (topic, $0, .beginning) })
        var records: [Record] = []
        try eventually("read to the end") {
            reader.poll(milliseconds: 20) { message in
                var headers: [String: String] = [:]
                message.forEachHeader {
                    headers[String(decoding: $0, as: UTF8.self)] = String(decoding: $1, as: UTF8.self)
                }
                records.append(
                    Record(
                        topic: message.topic, partition: message.partition,
                        key: String(decoding: message.key, as: UTF8.self), value: message.value.map { Array($0) } ?? [],
                        headers: headers, timestamp: message.timestamp))
            }
            return reader.hasReachedEnds
        }
        return records
    }

    /// Puts a record on a topic that is no delivery.
    func produce(_ value: [UInt8], to topic: String, partition: Int32, key: String) {
        producer.put(topic, partition, key, value, nil)
        producer.flush()
    }

    /// The records of `attempts` of a webhook, as what `read` makes of each.
    func attempts<Value>(_ webhook: Webhook, _ read: (JSONValue) -> Value) throws -> [Value] {
        let parser = JSONParser()
        return try dump(topics.attempts).filter { $0.key == webhook.id.description }.map { record in
            try record.value.withUnsafeBytes { try parser.parse($0) { read($0) } }
        }
    }

    struct Member: Sendable {
        let status: StageStatus
        let stop: @Sendable () -> Void
    }

    /// Runs a member on a thread of its own until it is told to stop.
    func run(
        _ group: String, replays: ReplayLink = ReplayLink(), eventsPerSecond: Int = 100,
        deferredAgeMilliseconds: Int64 = 48 * 3_600_000,
        waiting: Bool = true, connectionsPerHost: Int? = nil,
        handler: @escaping @Sendable (DeliverStage) -> any StageHandler = { $0 },
        configure: (inout DeliverSettings) -> Void = { _ in }
    ) throws -> Member {
        let status = StageStatus(role: group)
        let wake = EventFD()
        let flag = Flag()
        let results = Inbox<HTTPResult>(wake: wake)
        var engineSettings = HTTPEngineConfiguration()
        engineSettings.policy = AddressPolicy(allow: [Network("127.0.0.0/8")!], deny: [])
        if let connectionsPerHost { engineSettings.maximumConnectionsPerHost = connectionsPerHost }
        let engine = try HTTPEngine(configuration: engineSettings) { results.put(contentsOf: $0) }
        var settings = DeliverSettings()
        settings.eventsPerSecond = eventsPerSecond
        settings.allowHTTP = true
        settings.policy = engineSettings.policy
        settings.deferredAgeMilliseconds = deferredAgeMilliseconds
        configure(&settings)
        let thread = OwnedThread(name: group) { [self, settings] in
            guard let producer = try? KafkaProducer(configuration, maxMessageBytes: 1_000_000, wake: wake),
                let consumer = try? KafkaConsumer(
                    configuration, group: group, instanceID: nil, topics: [topics.deliveries, topics.deferred],
                    wake: wake)
            else { return }
            let stage = DeliverStage(
                topics: topics, schedule: RetrySchedule(), settings: settings, view: view, secrets: secrets,
                engine: engine, results: results, producer: producer, replays: replays)
            StageLoop(
                consumer: consumer, producer: producer, handler: handler(stage), status: status, wake: wake
            ).run { flag.isSet }
        }
        if waiting { try eventually("\(group) has its assignment") { status.hasAssignment } }
        return Member(status: status) {
            flag.set()
            wake.signal()
            thread.join()
            engine.stop()
        }
    }
}

extension WebhookID {
    /// Tells the events of one webhook from those of another.
    var hashSeed: UInt64 { UInt64(description.utf8.reduce(UInt64(7)) { $0 &* 31 &+ UInt64($1) }) }
}

final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}

/// A series of the process's metrics page; nil when it is not there.
func metric(_ series: String) -> Double? {
    Metrics.text.split(separator: "\n").first { $0.hasPrefix("webhook_bridge_\(series) ") }?
        .split(separator: " ").last.flatMap { Double($0) }
}

/// Hands everything on, and looks at the stage on its own thread after every record and every turn.
final class Watcher: StageHandler {
    private let stage: DeliverStage
    private let look: @Sendable (DeliverStage) -> Void

    init(_ stage: DeliverStage, _ look: @escaping @Sendable (DeliverStage) -> Void) {
        (self.stage, self.look) = (stage, look)
    }

    func handle(
        _ message: borrowing KafkaMessage, _ record: RecordReference, _ partition: StagePartition, _ loop: StageLoop
    ) {
        stage.handle(message, record, partition, loop)
        look(stage)
    }

    func turn(now: UInt64, _ loop: StageLoop) -> UInt64? {
        let next = stage.turn(now: now, loop)
        look(stage)
        return next
    }

    func assigned(_ partitions: [StagePartition], _ loop: StageLoop) { stage.assigned(partitions, loop) }
    func budget(for partition: StagePartition) -> Int { stage.budget(for: partition) }
    func drain(_ loop: StageLoop) { stage.drain(loop) }
    var isDrained: Bool { stage.isDrained }
    func revoked() { stage.revoked() }
    func revoked(wasLost: Bool) { stage.revoked(wasLost: wasLost) }
}

/// A backend that produces and waits until the broker has everything.
private final class Producer: Sendable {
    private struct Work: Sendable {
        let topic: String
        let partition: Int32
        let key: String
        let value: [UInt8]
        let delivery: Delivery?
    }
    private let pending = Guarded<[Work]>([])
    private let configuration: KafkaConfiguration

    init(_ configuration: KafkaConfiguration) { self.configuration = configuration }

    func put(_ topic: String, _ partition: Int32, _ key: String, _ value: [UInt8], _ delivery: Delivery?) {
        pending.withLock {
            $0.append(Work(topic: topic, partition: partition, key: key, value: value, delivery: delivery))
        }
    }

    func flush() {
        let work = pending.withLock { pending in
            defer { pending = [] }
            return pending
        }
        let wake = EventFD()
        guard let producer = try? KafkaProducer(configuration, maxMessageBytes: 1_000_000, wake: wake) else {
            return #expect(Bool(false), "no producer")
        }
        for each in work {
            producer.produce(
                producer.topic(each.topic), partition: each.partition, key: Array(each.key.utf8), value: each.value,
                headers: each.delivery?.headers() ?? KafkaHeaders(capacity: 1), token: 1)
        }
        var tokens: [UInt64] = []
        while producer.unacknowledged > 0 {
            wake.wait(milliseconds: 20)
            wake.clear()
            producer.poll(acknowledged: &tokens)
        }
    }
}
