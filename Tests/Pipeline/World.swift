// What the tests of stages share: an embedded broker with the bridge's topics, and stages that run on threads of their own.
import Core
import Kafka
import Pipeline
import Runtime
import Synchronization
import Testing

func eventually(_ what: Comment, seconds: Double = 60, _ isTrue: () throws -> Bool) throws {
    let deadline = Clock.monotonic() + UInt64(seconds * 1e9)
    let pause = EventFD()
    while try !isTrue() {
        try #require(Clock.monotonic() < deadline, what)
        pause.wait(milliseconds: 5)
    }
}

/// An embedded broker with the bridge's topics.
final class World: Sendable {
    let topics = Topics(prefix: "webhooks.", shards: 2)
    let cluster: KafkaMockCluster

    private let properties: [(name: String, value: String)]

    /// - Parameter properties: more of them for its clients.
    init(brokers: Int = 1, properties: [(name: String, value: String)] = []) throws {
        self.properties = properties
        cluster = try KafkaMockCluster(brokers: brokers)
        for plan in topics.plans { try cluster.createTopic(plan.name, partitions: plan.partitions) }
    }

    var configuration: KafkaConfiguration {
        KafkaConfiguration(
            [("bootstrap.servers", cluster.bootstrapServers)] + KafkaMockCluster.clientProperties + properties)
    }

    struct Record {
        let topic: String
        let partition: Int32
        let key: String
        let value: String?
        let timestamp: Int64
        /// The header `command-id`.
        let command: String?
    }

    /// Everything in some topics, in the order of each partition.
    func dump(_ names: (topic: String, partitions: Int)...) throws -> [Record] {
        let reader = try KafkaReader(configuration, purpose: "dump")
        reader.assign(names.flatMap { name in (0..<Int32(name.partitions)).map { (name.topic, $0, .beginning) } })
        var records: [Record] = []
        try eventually("read to the end") {
            reader.poll(milliseconds: 20) { message in
                records.append(
                    Record(
                        topic: message.topic, partition: message.partition,
                        key: String(decoding: message.key, as: UTF8.self),
                        value: message.value.map { String(decoding: $0, as: UTF8.self) }, timestamp: message.timestamp,
                        command: message.header("command-id")))
            }
            return reader.hasReachedEnds
        }
        return records
    }

    func produce(_ topic: String, partition: Int32, key: String, value: [UInt8]?, headers: consuming KafkaHeaders)
        throws
    {
        let wake = EventFD()
        let producer = try KafkaProducer(configuration, maxMessageBytes: 1_000_000, wake: wake)
        if let value {
            producer.produce(
                producer.topic(topic), partition: partition, key: Array(key.utf8), value: value, headers: headers,
                token: 1)
        } else {
            producer.produce(
                producer.topic(topic), partition: partition, key: Array(key.utf8), value: nil, headers: headers,
                token: 1)
        }
        var tokens: [UInt64] = []
        try eventually("acknowledged") {
            producer.poll(acknowledged: &tokens)
            return tokens == [1]
        }
    }

    /// Runs a stage on a thread of its own until the returned closure is called.
    func run(
        group: String, reading: [String], fetch: KeyValuePairs<String, String> = KafkaConsumer.roomyFetch,
        _ make: @escaping @Sendable (KafkaProducer) -> any StageHandler
    ) throws -> @Sendable () -> Void {
        let status = StageStatus(role: group)
        let configuration = configuration
        let wake = EventFD()
        let flag = Flag()
        let thread = OwnedThread(name: group) {
            guard let producer = try? KafkaProducer(configuration, maxMessageBytes: 1_000_000, wake: wake),
                let consumer = try? KafkaConsumer(
                    configuration, group: group, instanceID: nil, topics: reading, fetch: fetch, wake: wake)
            else { return }
            StageLoop(consumer: consumer, producer: producer, handler: make(producer), status: status, wake: wake)
                .run { flag.isSet }
        }
        try eventually("\(group) has its assignment") { status.hasAssignment }
        return {
            flag.set()
            wake.signal()
            thread.join()
        }
    }
}

final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}
