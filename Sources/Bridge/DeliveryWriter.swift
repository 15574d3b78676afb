// Writes deliveries that somebody asked for, test events and single events again, to `deliveries`, and says when the broker
// has them.
internal import API
internal import Core
internal import Kafka
internal import Pipeline
internal import Runtime
internal import Synchronization

/// Owns one thread and its producer, which is made with the first delivery.
final class DeliveryWriter: DeliverySink {
    private let kafka: KafkaConfiguration
    private let topics: Topics
    private let largest: Int
    private let outbox = Inbox<Order>(wake: EventFD())
    private let isStopping = Atomic<Bool>(false)
    private let thread = Guarded<OwnedThread?>(nil)

    private struct Order: Sendable {
        let delivery: Delivery
        let completion: @Sendable (Bool) -> Void
    }

    /// Contract §1: 503 after 5 s; a second of them is for letting the producer go.
    private static let patienceNanoseconds: UInt64 = 4_000_000_000
    /// The producer tries what was refused again when it is polled.
    private static let pollMilliseconds = 100
    private static let idleMilliseconds = 10_000

    /// - Parameter largest: bytes of the largest record.
    init(kafka: KafkaConfiguration, topics: Topics, largest: Int) {
        self.kafka = kafka
        self.topics = topics
        self.largest = largest
    }

    /// - Parameter eachTurn: called on the thread, which waits no longer than the moment it answers.
    func start(eachTurn: @escaping @Sendable (_ now: UInt64) -> UInt64?) {
        let started = OwnedThread(name: "test-events") { [self] in write(eachTurn) }
        thread.withLock { $0 = started }
    }

    /// Gives up what is not acknowledged yet.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        outbox.wake.signal()
        thread.withLock { $0.take() }?.join()
    }

    /// Has the thread take a turn soon.
    func wakeUp() { outbox.wake.signal() }

    func send(_ delivery: Delivery, completion: @escaping @Sendable (Bool) -> Void) {
        outbox.put(Order(delivery: delivery, completion: completion))
    }

    private func write(_ eachTurn: (UInt64) -> UInt64?) {
        var producer: KafkaProducer?
        var unacknowledged: [UInt64: (order: Order, deadline: UInt64)] = [:]
        var taken: [Order] = []
        var acknowledged: [UInt64] = []
        var lastToken: UInt64 = 0
        while true {
            let isLast = isStopping.load(ordering: .acquiring)
            outbox.wake.clear()
            outbox.take(into: &taken)
            for order in taken {
                lastToken += 1
                unacknowledged[lastToken] = (order, Clock.monotonic() + Self.patienceNanoseconds)
                if producer == nil { producer = makeProducer() }
                if let producer { produce(order.delivery, token: lastToken, producer) }
            }
            producer?.poll(acknowledged: &acknowledged)
            for token in acknowledged { unacknowledged.removeValue(forKey: token)?.order.completion(true) }
            acknowledged.removeAll(keepingCapacity: true)
            let now = Clock.monotonic()
            if !unacknowledged.isEmpty, isLast || unacknowledged.values.contains(where: { now >= $0.deadline }) {
                // A producer tries for ever, and what was given up is not to go out later: the producer goes with it, and
                // with it what came after, for which the broker is no nearer.
                producer = nil
                Log.warning("the broker did not take deliveries in time", .count(unacknowledged.count))
                for each in unacknowledged.values { each.order.completion(false) }
                unacknowledged = [:]
            }
            let next = eachTurn(now)
            if isLast { return }
            wait(until: next, polls: !unacknowledged.isEmpty)
        }
    }

    private func makeProducer() -> KafkaProducer? {
        do { return try KafkaProducer(kafka, maxMessageBytes: largest, wake: outbox.wake) } catch {
            Log.error("no producer for single deliveries", .error(error.description))
            return nil
        }
    }

    private func produce(_ delivery: Delivery, token: UInt64, _ producer: KafkaProducer) {
        producer.produce(
            producer.topic(topics.deliveries), partition: delivery.webhook.shard(of: topics.shards),
            key: Array(delivery.webhook.description.utf8), value: delivery.body, headers: delivery.headers(),
            token: token)
    }

    private func wait(until next: UInt64?, polls: Bool) {
        var milliseconds = polls ? Self.pollMilliseconds : Self.idleMilliseconds
        if let next {
            let now = Clock.monotonic()
            milliseconds = min(milliseconds, next > now ? Int((next - now) / 1_000_000) + 1 : 0)
        }
        outbox.wake.wait(milliseconds: milliseconds)
    }
}
