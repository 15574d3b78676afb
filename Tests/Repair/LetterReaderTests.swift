// Reading letters, on the embedded broker: up to the end there was, and each by its name.
import Core
import Kafka
import Repair
import Runtime
import Testing

@Suite(.timeLimit(.minutes(2))) struct LetterReaderTests {
    private static let topic = "webhooks.dead-letters"
    private let cluster: KafkaMockCluster
    private let producer: KafkaProducer
    private let wake = EventFD()

    init() throws {
        cluster = try KafkaMockCluster()
        try cluster.createTopic(Self.topic, partitions: 3)
        producer = try KafkaProducer(
            KafkaConfiguration([("bootstrap.servers", cluster.bootstrapServers)]), maxMessageBytes: 1_000_000,
            wake: wake)
    }

    private func write(_ letters: (partition: Int32, value: UInt8)...) throws {
        let topic = producer.topic(Self.topic)
        for letter in letters {
            producer.produce(
                topic, partition: letter.partition, key: [], value: [letter.value], headers: KafkaHeaders(capacity: 1),
                token: 1)
        }
        let deadline = Clock.monotonic() + 60_000_000_000
        var tokens: [UInt64] = []
        while producer.unacknowledged > 0 {
            try #require(Clock.monotonic() < deadline, "acknowledged")
            wake.wait(milliseconds: 20)
            wake.clear()
            producer.poll(acknowledged: &tokens)
        }
    }

    private func reader() throws -> LetterReader {
        try LetterReader(
            KafkaConfiguration([("bootstrap.servers", cluster.bootstrapServers)] + KafkaMockCluster.clientProperties),
            topic: Self.topic, partitions: 3)
    }

    @Test func `what is written after the start is left alone`() throws {
        try write((0, 1), (0, 2), (2, 3))
        let reader = try reader()
        try write((0, 4), (1, 5), (2, 6))
        var values: [UInt8] = []
        try reader.read(age: nil) { values.append($0.value?.first ?? 0) }
        #expect(values.sorted() == [1, 2, 3])
    }

    @Test func `letters are found by partition and offset, and what is not there is named`() throws {
        try write((0, 1), (0, 2), (0, 3), (2, 4))
        let reader = try reader()
        func read(_ names: String...) throws -> [UInt8] {
            var values: [UInt8] = []
            try reader.read(names.compactMap { DeadLetterPosition($0) }) { values.append($0.value?.first ?? 0) }
            return values.sorted()
        }
        #expect(try read("0/2") == [3])
        #expect(try read("0/0", "0/2", "2/0") == [1, 3, 4])
        func complaint(_ name: String) -> String? {
            do { _ = try read(name) } catch { return "\(error)" }
            return nil
        }
        #expect(complaint("0/3") == "there is no letter 0/3: the last one of partition 0 is 0/2")
        #expect(complaint("1/0") == "there is no letter 1/0: partition 1 has none")
        #expect(complaint("3/0") == "there is no letter 3/0: \(Self.topic) has partitions 0 to 2")
    }
}
