// Fills the log store from `attempts`, and tells those who wait for a test event's attempt. Every process with the API role
// reads all of it, without a group: each answers from its own disk. Nothing on the data's way waits for it.
internal import API
internal import Core
internal import JSON
internal import Kafka
internal import Runtime
internal import Synchronization

final class LogFeed: Sendable {
    private let logs: LogStore
    private let tests: TestEvents
    private let isStopping = Atomic<Bool>(false)
    private let thread = Guarded<OwnedThread?>(nil)

    /// How far back a lost store is rebuilt.
    private static let rebuildMilliseconds: Int64 = 24 * 3_600_000

    init(logs: LogStore, tests: TestEvents, kafka: KafkaConfiguration, topics: Topics) {
        self.logs = logs
        self.tests = tests
        let started = OwnedThread(name: "log-feed") { [self] in read(kafka, topics) }
        thread.withLock { $0 = started }
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        thread.withLock { $0.take() }?.join()
    }

    private func read(_ kafka: KafkaConfiguration, _ topics: Topics) {
        let made = persistently("logs", unless: { isStopping.load(ordering: .acquiring) }) { () throws(KafkaError) in
            try KafkaReader(kafka, purpose: "logs", pace: .leisurely)
        }
        guard let reader = made else { return }
        let parser = JSONParser()
        let pause = EventFD()
        var records = AttemptRecords()
        var generation = -1
        while !isStopping.load(ordering: .acquiring) {
            // A store that was made anew has forgotten its offsets: begin again where it says.
            // Until it is open it does not say: what comes now is read for those who wait for a test event, and again later.
            if logs.generation != generation {
                generation = logs.generation
                let offsets = logs.resumeOffsets()
                let start: KafkaReader.Position = generation == 0 ? .end : .age(milliseconds: Self.rebuildMilliseconds)
                reader.assign(
                    (0..<Int32(topics.shards)).map { partition in
                        (topics.attempts, partition, offsets[partition].map { .offset($0) } ?? start)
                    })
            }
            var next: [Int32: Int64] = [:]
            records.removeAll()
            reader.poll(milliseconds: 100) { message in
                next[message.partition] = message.offset + 1
                if let value = message.value { records.add(value, message.partition, message.offset) }
            }
            let batch = records.rows(parser)
            tests.saw(batch)
            guard generation > 0 else { continue }
            let offsets = next.map { (partition: $0.key, next: $0.value) }
            while !next.isEmpty, !logs.append(batch, offsets: offsets, generation: generation),
                !isStopping.load(ordering: .acquiring)
            {
                pause.wait(milliseconds: 20)  // the store is behind: reading waits, memory does not grow
            }
        }
    }
}

/// The records of one turn, copied, so that they can be read from the end: only a webhook's last lane counts, and reading a
/// lane costs as much as reading the rest.
private struct AttemptRecords {
    private var bytes: [UInt8] = []
    private var places: [(partition: Int32, offset: Int64, end: Int)] = []

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
    }

    mutating func add(_ value: UnsafeRawBufferPointer, _ partition: Int32, _ offset: Int64) {
        bytes.append(contentsOf: value)
        places.append((partition, offset, bytes.count))
    }

    /// What can be read of them, in their order.
    func rows(_ parser: JSONParser) -> [AttemptRow] {
        var rows: [AttemptRow] = []
        rows.reserveCapacity(places.count)
        var seen: Set<WebhookID> = []
        bytes.withUnsafeBytes { bytes in
            for index in places.indices.reversed() {
                let (partition, offset, end) = places[index]
                let start = index == 0 ? 0 : places[index - 1].end
                let row = try? parser.parse(UnsafeRawBufferPointer(rebasing: bytes[start..<end])) {
                    AttemptRow(json: $0, partition: partition, offset: offset) { seen.insert($0).inserted }
                }
                if let row = row ?? nil { rows.append(row) }
            }
        }
        rows.reverse()
        return rows
    }
}
