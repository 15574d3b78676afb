// The wrapper over librdkafka, on the embedded broker.
import Kafka
import Runtime
import Testing

/// Waits for a condition, doing something in between; fails when it does not come true in time.
func eventually(_ what: Comment, seconds: Double = 60, step: () -> Void, until isTrue: () -> Bool) throws {
    let deadline = Clock.monotonic() + UInt64(seconds * 1e9)
    while !isTrue() {
        try #require(Clock.monotonic() < deadline, what)
        step()
    }
}

final class World {
    let cluster: KafkaMockCluster
    let wake = EventFD()

    init(_ topics: [(String, Int)]) throws {
        cluster = try KafkaMockCluster()
        for (name, partitions) in topics { try cluster.createTopic(name, partitions: partitions) }
    }

    func configuration(_ more: [(name: String, value: String)] = []) -> KafkaConfiguration {
        KafkaConfiguration([("bootstrap.servers", cluster.bootstrapServers)] + KafkaMockCluster.clientProperties + more)
    }

    func producer(_ more: [(name: String, value: String)] = []) throws -> KafkaProducer {
        try KafkaProducer(configuration(more), maxMessageBytes: 2_000_000, wake: wake)
    }

    /// Produces and waits for every acknowledgement; returns the tokens as they came.
    func produce(_ producer: KafkaProducer, _ topic: String, _ records: [(partition: Int32, value: String)]) throws
        -> [UInt64]
    {
        for (index, record) in records.enumerated() {
            let headers = KafkaHeaders(capacity: 1)
            headers.add("number", String(index))
            producer.produce(
                producer.topic(topic), partition: record.partition, key: Array("k\(index)".utf8),
                value: Array(record.value.utf8), headers: headers, token: UInt64(index + 1))
        }
        var tokens: [UInt64] = []
        try eventually("all acknowledged") {
            wake.wait(milliseconds: 20)
            wake.clear()
            producer.poll(acknowledged: &tokens)
        } until: {
            producer.unacknowledged == 0
        }
        return tokens
    }

    /// Everything in a topic, as (partition, key, value, header `number`).
    func dump(_ topic: String, partitions: Int32) throws -> [(Int32, String, String?, String?)] {
        let reader = try KafkaReader(configuration(), purpose: "test")
        reader.assign((0..<partitions).map { (topic, $0, .beginning) })
        var records: [(Int32, String, String?, String?)] = []
        try eventually("read to the end") {
            reader.poll(milliseconds: 20) { message in
                records.append(
                    (
                        message.partition, String(decoding: message.key, as: UTF8.self),
                        message.value.map { String(decoding: $0, as: UTF8.self) }, message.header("number")
                    ))
            }
        } until: {
            reader.hasReachedEnds
        }
        return records
    }
}

@Suite(.timeLimit(.minutes(2))) struct KafkaProducerTests {
    @Test func whatTheBrokerRefusesIsKeptAndSentAgain() throws {
        let world = try World([("t", 2)])
        // 87, invalid record: not retriable, so librdkafka gives up and reports; the wrapper must not.
        world.cluster.failProduces(2, code: 87)
        let producer = try world.producer()
        let wanted = (0..<50).map { (partition: Int32($0 % 2), value: "v\($0)") }
        let tokens = try world.produce(producer, "t", wanted)
        #expect(tokens.sorted() == (1...50).map { UInt64($0) }, "each token once")
        #expect(producer.refusals > 0, "the broker did refuse some")
        let found = try world.dump("t", partitions: 2)
        #expect(Set(found.compactMap(\.2)) == Set(wanted.map(\.value)))
        for (partition, key, value, number) in found {
            let index = try #require(number.flatMap { Int($0) })
            #expect(partition == Int32(index % 2) && key == "k\(index)" && value == "v\(index)")
        }
    }

    @Test func headersComeOutAsTheyWentInAlsoAfterARefusal() throws {
        let world = try World([("t", 1)])
        world.cluster.failProduces(1, code: 87)
        let producer = try world.producer()
        let wanted: [(name: String, value: [UInt8]?)] = [
            ("binary", [0, 255, 10]), ("twice", [1]), ("empty", []), ("none", nil), ("twice", [2]),
        ]
        let headers = KafkaHeaders(capacity: wanted.count)
        for (name, value) in wanted { headers.add(name: Array(name.utf8), value) }
        producer.produce(producer.topic("t"), partition: 0, key: [], value: [1], headers: headers, token: 1)
        try eventually("acknowledged") {
            var tokens: [UInt64] = []
            world.wake.wait(milliseconds: 20)
            world.wake.clear()
            producer.poll(acknowledged: &tokens)
        } until: {
            producer.unacknowledged == 0
        }
        #expect(producer.refusals > 0, "the broker did refuse it")
        let reader = try KafkaReader(world.configuration(), purpose: "test")
        reader.assign([("t", 0, .beginning)])
        var found: [(name: String, value: [UInt8]?)] = []
        try eventually("read") {
            reader.poll(milliseconds: 20) { message in
                message.forEachHeader { name, value in
                    found.append(
                        (String(decoding: name, as: UTF8.self), value.baseAddress == nil ? nil : Array(value)))
                }
            }
        } until: {
            reader.hasReachedEnds
        }
        #expect(found.map(\.name) == wanted.map(\.name))
        #expect(found.map(\.value) == wanted.map(\.value))
    }

    @Test func aFullLocalQueueLosesNothing() throws {
        let world = try World([("t", 1)])
        let producer = try world.producer([("queue.buffering.max.messages", "10"), ("linger.ms", "5")])
        let tokens = try world.produce(producer, "t", (0..<200).map { (partition: 0, value: "v\($0)") })
        #expect(tokens.sorted() == (1...200).map { UInt64($0) })
        #expect(try world.dump("t", partitions: 1).map(\.2) == (0..<200).map { "v\($0)" })
    }

    @Test func aRecordBehindOthersThatWaitDoesNotOvertakeThem() throws {
        let world = try World([("t", 1)])
        world.cluster.failProduces(1, code: 87)
        let producer = try world.producer()
        var tokens: [UInt64] = []
        func poll() {
            world.wake.wait(milliseconds: 20)
            world.wake.clear()
            producer.poll(acknowledged: &tokens)
        }
        func produce(_ number: UInt64) {
            producer.produce(
                producer.topic("t"), partition: 0, key: [107], value: Array("v\(number)".utf8),
                headers: KafkaHeaders(capacity: 0), token: number)
        }
        produce(1)
        try eventually("refused") {
            poll()
        } until: {
            producer.refusals == 1
        }
        produce(2)
        try eventually("acknowledged") {
            poll()
        } until: {
            producer.unacknowledged == 0
        }
        #expect(try world.dump("t", partitions: 1).map(\.2) == ["v1", "v2"])
    }

    @Test func tombstonesAreNormalRecords() throws {
        let world = try World([("t", 1)])
        let producer = try world.producer()
        producer.produce(
            producer.topic("t"), partition: 0, key: [107], value: nil, headers: KafkaHeaders(capacity: 0), token: 7)
        var tokens: [UInt64] = []
        try eventually("acknowledged") {
            world.wake.wait(milliseconds: 20)
            producer.poll(acknowledged: &tokens)
        } until: {
            tokens == [7]
        }
        let found = try world.dump("t", partitions: 1)
        #expect(found.count == 1 && found[0].1 == "k" && found[0].2 == nil)
    }
}

@Suite(.timeLimit(.minutes(2))) struct KafkaConsumerTests {
    /// A member that reads what it is told to and remembers every record.
    final class Member {
        let consumer: KafkaConsumer
        var partitions: [KafkaPartition] = []
        var seen: [String: Int] = [:]
        var assignments: [UInt32] = []
        /// Partitions that are not read for now.
        var stopped: Set<Int32> = []

        init(_ world: World, start: KafkaStart = .earliest) throws {
            consumer = try KafkaConsumer(
                world.configuration(), group: "g", instanceID: nil, topics: ["t"], start: start, wake: world.wake)
        }

        func turn(_ world: World) {
            for event in consumer.poll() {
                switch event {
                case .assigned(let assigned):
                    partitions = assigned
                    assignments += assigned.map(\.assignment)
                case .revoking:
                    partitions = []
                    consumer.finishRevoke()
                }
            }
            for partition in partitions where !stopped.contains(partition.number) {
                var next: Int64?
                _ = consumer.read(partition, limit: 10) { message in
                    let value = message.value.map { String(decoding: $0, as: UTF8.self) } ?? ""
                    seen[value, default: 0] += 1
                    next = message.offset + 1
                }
                if let next { consumer.store([(partition, next)]) }
            }
            world.wake.wait(milliseconds: 5)
            world.wake.clear()
        }
    }

    @Test func aPartitionThatIsNotReadStopsNoOtherAndMissesNothing() throws {
        let world = try World([("t", 3)])
        let wanted = (0..<300).map { (partition: Int32($0 % 3), value: "v\($0)") }
        let producer = try world.producer()
        _ = try world.produce(producer, "t", wanted)
        let member = try Member(world)
        member.stopped = [1]
        try eventually("the others are read") {
            member.turn(world)
        } until: {
            member.seen.count == 200
        }
        _ = try world.produce(producer, "t", (300..<330).map { (partition: 1, value: "v\($0)") })
        member.stopped = []
        try eventually("all are read") {
            member.turn(world)
        } until: {
            member.seen.count == 330
        }
        #expect(member.seen.values.allSatisfy { $0 == 1 }, "no record twice")
        member.consumer.close()
    }

    @Test func everyRecordIsReadWhileMembersComeAndGo() throws {
        let world = try World([("t", 4)])
        let producer = try world.producer()
        let one = try Member(world)
        try eventually("one has all") {
            one.turn(world)
        } until: {
            one.partitions.count == 4
        }
        _ = try world.produce(producer, "t", (0..<100).map { (partition: Int32($0 % 4), value: "v\($0)") })
        let two = try Member(world)
        try eventually("they share") {
            one.turn(world)
            two.turn(world)
        } until: {
            one.partitions.count == 2 && two.partitions.count == 2
        }
        _ = try world.produce(producer, "t", (100..<200).map { (partition: Int32($0 % 4), value: "v\($0)") })
        try eventually("all so far") {
            one.turn(world)
            two.turn(world)
        } until: {
            Set(one.seen.keys).union(two.seen.keys).count == 200
        }
        #expect(!two.seen.isEmpty)
        two.consumer.close()
        _ = try world.produce(producer, "t", (200..<300).map { (partition: Int32($0 % 4), value: "v\($0)") })
        try eventually("one has taken over") {
            one.turn(world)
        } until: {
            Set(one.seen.keys).union(two.seen.keys).count == 300
        }
        #expect(Set(one.assignments).count == one.assignments.count, "an assignment's number is never used again")
        one.consumer.close()
    }

    /// The embedded broker cannot look offsets up by time: the earliest record is the safe answer.
    @Test func startAgeFallsBackToTheEarliest() throws {
        let world = try World([("t", 1)])
        _ = try world.produce(try world.producer(), "t", [(partition: 0, value: "old")])
        let member = try Member(world, start: .age(milliseconds: 1))
        try eventually("the old record") {
            member.turn(world)
        } until: {
            member.seen["old"] == 1
        }
        member.consumer.close()
    }
}
