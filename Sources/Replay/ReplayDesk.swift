// Looks things up in Kafka for those who must not wait for it: where a time range lies, and the record of one event.
package import Core
package import Kafka
package import Registry
internal import Runtime
internal import Synchronization
package import Translate

/// Owns one thread, on which everything is looked up, one after the other.
package final class ReplayDesk: Sendable {
    private let kafka: KafkaConfiguration
    private let topics: Topics
    private let plans: MappingPlans
    private let view: RegistryView
    private let payloadBytes: Int
    private let inbox = Inbox<Order>(wake: EventFD())
    private let waiting = Atomic(0)
    private let isStopping = Atomic(false)
    private let thread = Guarded<OwnedThread?>(nil)

    private static let mostWaiting = 64
    /// From the question to its answer, the waiting included.
    private static let patienceNanoseconds: UInt64 = 5_000_000_000

    private struct Order: Sendable {
        let deadline: UInt64
        /// On the desk's thread.
        let run: @Sendable (ReplayPlanner, EventFinder) -> Void
        let refuse: @Sendable (ReplayFault) -> Void
    }

    /// - Parameter payloadBytes: the largest body, `limits.payloadBytes`.
    package init(
        kafka: KafkaConfiguration, topics: Topics, plans: MappingPlans, view: RegistryView, payloadBytes: Int
    ) {
        self.kafka = kafka
        self.topics = topics
        self.plans = plans
        self.view = view
        self.payloadBytes = payloadBytes
    }

    package func start() {
        let started = OwnedThread(name: "replay-desk") { [self] in serve() }
        thread.withLock { $0 = started }
    }

    /// Refuses what waits.
    package func stop() {
        isStopping.store(true, ordering: .releasing)
        inbox.wake.signal()
        thread.withLock { $0.take() }?.join()
    }

    /// Finds where a time range lies. Any thread; `completion` is called once, within some 5 s, on the desk's thread or the
    /// caller's, and must not block.
    package func plan(
        since: Timestamp, until: Timestamp, completion: @escaping @Sendable (Result<ReplayPlan, ReplayFault>) -> Void
    ) {
        let deadline = Clock.monotonic() + Self.patienceNanoseconds
        put(deadline, completion) { planner, _ throws(ReplayFault) in
            try planner.plan(since: since, until: until, deadline: deadline)
        }
    }

    /// Finds one event and makes a delivery of it. As ``plan(since:until:completion:)`` is asked.
    package func find(
        _ event: EventID, from origin: RecordOrigin?, for webhook: Webhook, run: RetryID,
        completion: @escaping @Sendable (Result<Delivery, ReplayFault>) -> Void
    ) {
        let deadline = Clock.monotonic() + Self.patienceNanoseconds
        put(deadline, completion) { _, finder throws(ReplayFault) in
            try finder.find(event, from: origin, for: webhook, run: run, deadline: deadline)
        }
    }

    private func put<Value>(
        _ deadline: UInt64, _ completion: @escaping @Sendable (Result<Value, ReplayFault>) -> Void,
        _ find: @escaping @Sendable (ReplayPlanner, EventFinder) throws(ReplayFault) -> Value
    ) {
        guard waiting.wrappingAdd(1, ordering: .relaxed).newValue <= Self.mostWaiting else {
            waiting.wrappingSubtract(1, ordering: .relaxed)
            return completion(.failure(.busy))
        }
        inbox.put(
            Order(
                deadline: deadline,
                run: { planner, finder in
                    do throws(ReplayFault) { completion(.success(try find(planner, finder))) } catch {
                        completion(.failure(error))
                    }
                }, refuse: { completion(.failure($0)) }))
    }

    private func serve() {
        let planner = ReplayPlanner(kafka: kafka, plans: plans)
        let finder = EventFinder(kafka: kafka, topics: topics, plans: plans, view: view, payloadBytes: payloadBytes)
        var orders: [Order] = []
        while true {
            inbox.wake.wait(milliseconds: 10_000)
            inbox.wake.clear()
            inbox.take(into: &orders)
            for order in orders {
                waiting.wrappingSubtract(1, ordering: .relaxed)
                if isStopping.load(ordering: .acquiring) || Clock.monotonic() >= order.deadline {
                    order.refuse(.late)
                } else {
                    order.run(planner, finder)
                }
            }
            if isStopping.load(ordering: .acquiring) { return }
        }
    }
}
