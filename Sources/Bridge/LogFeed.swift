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
        guard let reader = try? KafkaReader(kafka, purpose: "logs", pace: .leisurely) else { return }
        let parser = JSONParser()
        let pause = EventFD()
        var generation = -1
        while !isStopping.load(ordering: .acquiring) {
            // A store that was made anew has forgotten its offsets: begin again where it says.
            if logs.generation != generation {
                generation = logs.generation
                let offsets = logs.resumeOffsets()
                reader.assign(
                    (0..<Int32(topics.shards)).map { partition in
                        (
                            topics.attempts, partition,
                            offsets[partition].map { .offset($0) } ?? .age(milliseconds: Self.rebuildMilliseconds)
                        )
                    })
            }
            var batch: [AttemptRow] = []
            var next: [Int32: Int64] = [:]
            reader.poll(milliseconds: 100) { message in
                next[message.partition] = message.offset + 1
                guard let value = message.value else { return }
                let (partition, offset) = (message.partition, message.offset)
                let row = try? parser.parse(value) { AttemptRow(json: $0, partition: partition, offset: offset) }
                if let row = row ?? nil { batch.append(row) }
            }
            tests.saw(batch)
            let offsets = next.map { (partition: $0.key, next: $0.value) }
            while !next.isEmpty, !logs.append(batch, offsets: offsets), !isStopping.load(ordering: .acquiring) {
                pause.wait(milliseconds: 20)  // the store is behind: reading waits, memory does not grow
            }
        }
    }
}
