// `replay`, `replay status` and `replay cancel`: asks the registry as the API would, and looks on.
internal import Configuration
internal import Core
internal import Crypto
internal import Kafka
internal import Registry
internal import Replay
internal import Runtime
internal import Translate

enum ReplayCommand {
    private static let planNanoseconds: UInt64 = 10_000_000_000

    static func run(_ options: ReplayOptions) throws(Exit) {
        let loaded = try LoadedConfiguration.load(options.configuration, needs: [.cluster, .mappings])
        let plans = MappingPlans(try loaded.mappingPlans())
        let registry = try RegistryAccess(loaded)
        defer { registry.close() }
        let webhook = try registry.webhook(options.webhook)
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let since = options.since.start(now: now)
        let until = min(options.until?.start(now: now) ?? now, now)
        guard since < until else {
            throw .configuration("nothing lies between \(since.secondsText) and \(until.secondsText)")
        }
        guard webhook.isActive else {
            throw .failure("webhook \(webhook.id) is inactive; set its isActive to true first")
        }
        let plan: ReplayPlan
        do throws(ReplayFault) {
            plan = try ReplayPlanner(kafka: loaded.kafka, plans: plans).plan(
                since: since, until: until, deadline: Clock.monotonic() + planNanoseconds)
        } catch {
            guard error != .tooWide else {
                throw .failure("the range lies in more than \(ReplayPlan.mostParts) partitions")
            }
            throw .failure("the topics at \(loaded.kafka.bootstrapServers) could not be looked up in time")
        }
        let replay = Replay(
            id: ReplayID(bytes: Random.bytes(12)), since: since, until: until, from: plan.from,
            isDryRun: options.isDryRun, generation: webhook.generation, createdAt: now, parts: plan.parts)
        if plan.from > since {
            Terminal.error(
                "warning: not everything is kept any more; from \(plan.from.secondsText) on nothing is missing")
        }
        try registry.send(.startReplay(webhook.id, replay), of: webhook)
        Terminal.print(line(replay))
        if options.follows || options.isDryRun { try follow(replay, of: webhook.id, registry) }
    }

    static func status(_ choice: ReplayChoice) throws(Exit) {
        let registry = try RegistryAccess(try LoadedConfiguration.load(choice.configuration, needs: .cluster))
        defer { registry.close() }
        let webhook = try registry.webhook(choice.webhook)
        if let id = choice.replay { return Terminal.print(line(try named(id, webhook))) }
        guard !webhook.replays.isEmpty else { return Terminal.print("no replays") }
        for replay in webhook.replays { Terminal.print(line(replay)) }
    }

    static func cancel(_ choice: ReplayChoice) throws(Exit) {
        let registry = try RegistryAccess(try LoadedConfiguration.load(choice.configuration, needs: .cluster))
        defer { registry.close() }
        let webhook = try registry.webhook(choice.webhook)
        let id: ReplayID
        if let given = choice.replay {
            id = try named(given, webhook).id
        } else if let running = webhook.runningReplay {
            id = running.id
        } else {
            throw .failure("no replay of webhook \(webhook.id) is running")
        }
        try registry.send(.cancelReplay(webhook.id, id), of: webhook)
        Terminal.print(line(try named(id, registry.webhook(choice.webhook))))
    }

    private static func named(_ id: ReplayID, _ webhook: Webhook) throws(Exit) -> Replay {
        guard let replay = webhook.replay(id) else {
            throw .failure(
                "webhook \(webhook.id) has no replay \(id); the newest \(Webhook.rememberedReplays) are kept")
        }
        return replay
    }

    /// A line whenever the bridge has said how far it is, until it has ended.
    private static func follow(
        _ started: Replay, of webhook: WebhookID, _ registry: RegistryAccess
    ) throws(Exit) {
        let pause = EventFD()
        var said = started
        while true {
            let replay = try named(started.id, try registry.webhook(webhook))
            if replay.counts != said.counts || replay.status != said.status { Terminal.print(line(replay)) }
            said = replay
            switch replay.status {
            case .running: pause.wait(milliseconds: 100)
            case .finished: return
            case .cancelled, .failed: throw Exit(code: 1)
            }
        }
    }

    private static func line(_ replay: Replay) -> String {
        let counts = replay.counts
        var parts = ["\(replay.id)", replay.status.rawValue]
        if replay.isDryRun { parts.append("dry run") }
        parts.append("\(replay.from.secondsText) to \(replay.until.secondsText)")
        parts.append("read \(counts.read) of \(counts.records) records, \(counts.events) events")
        if counts.unmappable > 0 { parts.append("\(counts.unmappable) records unmappable") }
        if let reason = replay.reason { parts.append(reason) }
        return parts.joined(separator: "  ")
    }
}
