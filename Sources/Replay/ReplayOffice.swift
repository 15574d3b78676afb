// Runs the replays of the webhooks whose shard this process's delivery stage owns: it looks at the view, gives each a
// thread of its own, and takes it back when the shard goes. Nothing on the data's way waits for it.
package import Core
package import Kafka
package import Pipeline
package import Registry
internal import Runtime
internal import Synchronization
package import Translate

/// What all jobs of a process share.
struct ReplayTools: Sendable {
    let kafka: KafkaConfiguration
    let topics: Topics
    let plans: MappingPlans
    let view: RegistryView
    let link: ReplayLink
    let client: any RegistryClient
    let eventsPerSecond: Int
    let payloadBytes: Int
    /// The largest record of `deferred`.
    let recordBytes: Int
    let records = Metrics.counter("replay_records_total", "Domain records read by replays.")
    let deliveries = Metrics.counter("replay_deliveries_total", "Deliveries written by replays.")
}

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
            takeBack(&jobs, &roster, now)
            let candidates = candidates()
            for replay in roster.forgetReleased(but: candidates) { tools.link.close(replay) }
            for replay in roster.releasedReplays { roster.ended(tools.link.takeEnded(of: replay), of: replay) }
            let running = jobs.map { job in
                ReplayRoster.Running(
                    replay: job.candidate.replay, account: job.candidate.account, stalledSince: job.stalledSince,
                    isLeaving: job.isAskedToStop)
            }
            let turn = roster.next(candidates, running: running, now: now)
            for candidate in turn.begin {
                jobs.append(
                    ReplayJob(
                        candidate, unfinished: roster.takeUp(candidate.replay), tools, ended: tools.link.wake))
            }
            for job in jobs where turn.release.contains(job.candidate.replay) { job.release() }
            runningGauge.set(jobs.count)
        }
        for job in jobs { job.stop() }
        for job in jobs { job.join() }
        runningGauge.set(0)
    }

    private func takeBack(_ jobs: inout [ReplayJob], _ roster: inout ReplayRoster, _ now: UInt64) {
        let over = jobs.filter(\.isOver)
        jobs.removeAll { job in over.contains { $0 === job } }
        for job in over {
            job.join()
            guard let unfinished = job.unfinishedOfReleased else { continue }
            roster.wasReleased(job.candidate.replay, unfinished: unfinished, now: now)
        }
    }

    /// The replays that the view shows as running, whoever runs them.
    private func candidates() -> [ReplayRoster.Candidate] {
        let shards = tools.topics.shards
        return tools.view.read { state in
            state.replaying.compactMap { id in
                guard let webhook = state.webhooks[id], let replay = webhook.runningReplay else { return nil }
                return ReplayRoster.Candidate(
                    webhook: id, account: webhook.account, replay: replay.id, shard: id.shard(of: shards),
                    createdAt: replay.createdAt)
            }
        }
    }
}
