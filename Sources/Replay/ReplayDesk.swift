// Looks things up in Kafka for those who must not wait for it: where a time range lies, and the record of one event.
package import Core
package import Kafka
package import Registry
internal import Runtime
internal import Synchronization
package import Translate

/// Owns one thread, on which everything is looked up: where ranges lie one after the other, and a few events in turns between
/// them, for one of those may take long.
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

    /// Events that are looked for at once; each has a client of its own.
    private static let mostSearches = 4
    /// How long one of them reads before it is the next one's turn.
    private static let turnNanoseconds: UInt64 = 100_000_000

    private struct Order: Sendable {
        let deadline: UInt64
        let question: Question
        let refuse: @Sendable (ReplayFault) -> Void
    }

    private enum Question: Sendable {
        /// Answered at once, on the desk's thread.
        case range(@Sendable (ReplayPlanner) -> Void)
        case event(
            begin: @Sendable (EventFinder) -> EventSearch, completion: @Sendable (Result<Delivery, ReplayFault>) -> Void
        )
    }

    private struct Search {
        let state: EventSearch
        let completion: @Sendable (Result<Delivery, ReplayFault>) -> Void

        /// - Returns: whether it came to its end.
        func goOn() -> Bool {
            do throws(ReplayFault) {
                guard let found = try state.goOn(until: Clock.monotonic() + ReplayDesk.turnNanoseconds) else {
                    return false
                }
                completion(.success(found))
            } catch { completion(.failure(error)) }
            return true
        }
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
        let question = Question.range { planner in
            do throws(ReplayFault) {
                completion(.success(try planner.plan(since: since, until: until, deadline: deadline)))
            } catch { completion(.failure(error)) }
        }
        put(Order(deadline: deadline, question: question) { completion(.failure($0)) })
    }

    /// Finds one event and makes a delivery of it. As ``plan(since:until:completion:)`` is asked.
    package func find(
        _ event: EventID, from origin: RecordOrigin?, for webhook: Webhook, run: RetryID,
        completion: @escaping @Sendable (Result<Delivery, ReplayFault>) -> Void
    ) {
        let deadline = Clock.monotonic() + Self.patienceNanoseconds
        let question = Question.event(
            begin: { $0.search(for: event, from: origin, for: webhook, run: run, deadline: deadline) },
            completion: completion)
        put(Order(deadline: deadline, question: question) { completion(.failure($0)) })
    }

    private func put(_ order: Order) {
        guard waiting.wrappingAdd(1, ordering: .relaxed).newValue <= Self.mostWaiting else {
            waiting.wrappingSubtract(1, ordering: .relaxed)
            return order.refuse(.busy)
        }
        inbox.put(order)
    }

    private func serve() {
        let planner = ReplayPlanner(kafka: kafka, plans: plans)
        let finder = EventFinder(kafka: kafka, topics: topics, plans: plans, view: view, payloadBytes: payloadBytes)
        var arrived: [Order] = []
        var orders: [Order] = []
        var searches: [Search] = []
        while true {
            if orders.isEmpty, searches.isEmpty { inbox.wake.wait(milliseconds: 10_000) }
            inbox.wake.clear()
            inbox.take(into: &arrived)
            orders += arrived
            let isStopping = isStopping.load(ordering: .acquiring)
            orders.removeAll { order in
                if isStopping || Clock.monotonic() >= order.deadline {
                    order.refuse(.late)
                } else {
                    switch order.question {
                    case .range(let answer): answer(planner)
                    case .event where searches.count >= Self.mostSearches: return false
                    case .event(let begin, let completion):
                        searches.append(Search(state: begin(finder), completion: completion))
                    }
                }
                waiting.wrappingSubtract(1, ordering: .relaxed)
                return true
            }
            searches.removeAll { search in
                guard isStopping else { return search.goOn() }
                search.completion(.failure(.late))
                return true
            }
            if isStopping { return }
        }
    }
}
