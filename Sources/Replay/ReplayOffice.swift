// Runs the replays of the webhooks whose shard this process's delivery stage owns: it looks at the view, gives each a
// thread of its own, and takes it back when the shard goes. Nothing on the data's way waits for it.
package import Core
package import Kafka
package import Pipeline
package import Registry
internal import Runtime
internal import Synchronization
package import Translate

/// Owns one thread, and one for each replay that runs.
package final class ReplayOffice: Sendable {
    private let tools: ReplayTools
    private let isStopping = Atomic(false)
    private let thread = Guarded<OwnedThread?>(nil)
    private let runningGauge = Metrics.gauge("replays_running", "Replays that this process runs.")

    /// How soon a replay begins that was asked for.
    private static let lookMilliseconds = 100

    /// - Parameters:
    ///   - client: how progress gets into the webhook's record.
    ///   - eventsPerSecond: `limits.eventsPerSecond`; 0 is no limit.
    ///   - payloadBytes: the largest body, `limits.payloadBytes`.
    ///   - recordBytes: the largest record of the bridge's topics.
    package init(
        kafka: KafkaConfiguration, topics: Topics, plans: MappingPlans, view: RegistryView, link: ReplayLink,
        client: any RegistryClient, eventsPerSecond: Int, payloadBytes: Int, recordBytes: Int
    ) {
        tools = ReplayTools(
            kafka: kafka, topics: topics, plans: plans, view: view, link: link, client: client,
            eventsPerSecond: eventsPerSecond, payloadBytes: payloadBytes, recordBytes: recordBytes)
    }

    package func start() {
        let started = OwnedThread(name: "replays") { [self] in watch() }
        thread.withLock { $0 = started }
    }

    /// Lets the replays report how far they came.
    package func stop() {
        isStopping.store(true, ordering: .releasing)
        tools.link.wake.signal()
        thread.withLock { $0.take() }?.join()
    }

    private func watch() {
        var roster = ReplayRoster()
        var jobs: [ReplayJob] = []
        while !isStopping.load(ordering: .acquiring) {
            tools.link.wake.wait(milliseconds: Self.lookMilliseconds)
            tools.link.wake.clear()
            let now = Clock.monotonic()
            roster.owns(tools.link.shards, now: now)
            for job in jobs where job.isOver { job.join() }
            jobs.removeAll(where: \.isOver)
            let stalled = jobs.count(where: \.isStalled)
            let running = Set(jobs.map(\.candidate.replay))
            for candidate in roster.next(candidates(), running: running, stalled: stalled, now: now) {
                jobs.append(ReplayJob(candidate, tools, ended: tools.link.wake))
            }
            runningGauge.set(jobs.count)
        }
        for job in jobs { job.stop() }
        for job in jobs { job.join() }
        runningGauge.set(0)
    }

    /// The replays that the view shows as running, whoever runs them.
    private func candidates() -> [ReplayRoster.Candidate] {
        let shards = tools.topics.shards
        return tools.view.read { state in
            state.replaying.compactMap { id in
                state.webhooks[id]?.runningReplay.map { replay in
                    ReplayRoster.Candidate(
                        webhook: id, replay: replay.id, shard: id.shard(of: shards), createdAt: replay.createdAt)
                }
            }
        }
    }
}
