// The bridge of one process: its roles as threads, what they share, and whether it is ready.
package import Core
package import Crypto
package import HTTPServer
package import Kafka
package import Mapping
internal import Pipeline
package import Registry
internal import Replay
internal import Runtime
package import Translate

/// What a process needs to know beside its settings.
package struct BridgeConfiguration: Sendable {
    package var settings: Settings
    package var roles: Set<Role>
    /// Replaced by ``Bridge/reloadMappings()``.
    package let plans: MappingPlans
    /// Needed by the roles of ``rolesWithSecrets``.
    package var secrets: SecretBox?
    /// Of `mail.username`; never logged.
    package var mailPassword: String?
    /// Of `api.tls`; nil: plain HTTP.
    package var apiTLS: HTTPServerTLS?

    /// The roles that seal or open signing secrets.
    package static let rolesWithSecrets: Set<Role> = [.api, .deliver]
    /// The roles that read domain records: also for a replay, which one plans and the other runs.
    package static let rolesWithMappings: Set<Role> = [.translate, .api, .deliver]

    package init(
        settings: Settings, roles: Set<Role>, plans: [MappingPlan], secrets: SecretBox?, mailPassword: String? = nil,
        apiTLS: HTTPServerTLS? = nil
    ) {
        precondition(
            secrets != nil || roles.isDisjoint(with: Self.rolesWithSecrets), "the caller has checked secrets.keyFile")
        self.settings = settings
        self.roles = roles
        self.plans = MappingPlans(plans)
        self.secrets = secrets
        self.mailPassword = mailPassword
        self.apiTLS = apiTLS
    }
}

/// Why a bridge cannot run at all; waiting would not help.
package enum BridgeFault: Error, Sendable, CustomStringConvertible {
    case topics([TopicFault])
    case kafka(KafkaError)
    case listener(String)
    case engine(String)

    package var description: String {
        switch self {
        case .topics(let faults): faults.map(\.description).joined(separator: "; ")
        case .kafka(let error): error.description
        case .listener(let cause), .engine(let cause): cause
        }
    }

    /// Wrong configuration, as against a failure at run time.
    package var isConfiguration: Bool {
        if case .kafka(let error) = self { return error.code < 0 }
        return true
    }
}

package final class Bridge: Sendable {
    /// How commands reach the registry from this process; needs a role of ``rolesWithCommands``.
    package var registry: any RegistryClient { feed }
    private let configuration: BridgeConfiguration
    private let planner: TopicPlanner
    private let kafka: KafkaConfiguration
    private let view = RegistryView()
    private let feed: RegistryFeed
    private let state = Guarded(State())
    private let pauseEvent = EventFD()
    private let replayLink = ReplayLink()
    private let mappingMetrics = MappingMetrics()

    private struct State {
        var reachedBroker = false
        var topicsAreRight = false
        var registryCaughtUp = false
        var isStopping = false
        var fault: BridgeFault?
        var stages: [StageRunner] = []
        var front: FrontDoor?
        var engineRoom: EngineRoom?
        var watch: StageWatch?
        var replays: ReplayOffice?
    }

    /// The roles that send commands by way of ``registry``: replays report how far they came.
    private static let rolesWithCommands: Set<Role> = [.api, .deliver]

    package init(_ configuration: BridgeConfiguration) {
        self.configuration = configuration
        planner = TopicPlanner(configuration.settings)
        kafka = KafkaConfiguration(configuration.settings.kafka.pairs)
        feed = RegistryFeed(view: view, topics: planner.topics)
        mappingMetrics.files.set(configuration.plans.current.count)
    }

    // MARK: Starting

    /// Starts everything and returns once the stages run; they join their groups on their own. Waits as long as it takes
    /// for a broker, and says so.
    /// - Throws: ``BridgeFault`` when waiting would not help.
    package func start() throws(BridgeFault) {
        let settings = configuration.settings
        let front = try FrontDoor(
            settings: settings,
            unreadiness: { [weak self] in self?.unreadiness ?? ["stopping"] },
            complaints: { [weak self] in self?.complaints ?? [] })
        let rule = StallRule(stalled: settings.ops.stallWarning.count, hopeless: settings.ops.stallExit.count)
        let watch = StageWatch(rule: rule) { [weak self] in self?.state.withLock { $0.stages } ?? [] }
        state.withLock {
            $0.front = front
            $0.watch = watch
        }
        try waitForTopics()
        guard !isStopping else { return }
        let sendsCommands = !configuration.roles.isDisjoint(with: Self.rolesWithCommands)
        do { try feed.start(kafka, sendsCommands: sendsCommands) } catch { throw .kafka(error) }
        // The one stage that looks nothing up in the view: it joins its group and reads its state meanwhile.
        let registry = configuration.roles.contains(.registry) ? makeStage(.registry) : nil
        state.withLock { $0.stages = [registry].compactMap(\.self) }
        while !feed.isLoaded, !isStopping { pause(milliseconds: 5) }
        guard !isStopping else { return }
        if configuration.roles.contains(.api), let secrets = configuration.secrets {
            try front.openAPI(
                kafka: kafka, topics: planner.topics, plans: configuration.plans, view: view, client: feed,
                secrets: secrets, tls: configuration.apiTLS)
        }
        if configuration.roles.contains(.deliver) {
            let room = try EngineRoom(settings: settings, ownListeners: front.listeners)
            state.withLock { $0.engineRoom = room }
        }
        let others = configuration.roles.subtracting([.registry]).sorted { $0.rawValue < $1.rawValue }
        let stages = [registry].compactMap(\.self) + others.compactMap(makeStage)
        state.withLock { $0.stages = stages }
        if configuration.roles.contains(.deliver) {
            let replays = ReplayOffice(
                kafka: kafka, topics: planner.topics, plans: configuration.plans, view: view, link: replayLink,
                client: feed, eventsPerSecond: settings.limits.eventsPerSecond,
                payloadBytes: settings.limits.payloadBytes, recordBytes: TopicPlanner.largestRecord(settings))
            replays.start()
            state.withLock { $0.replays = replays }
        }
        Log.info(
            "bridge started", .name(settings.applicationID),
            .role(configuration.roles.map(\.rawValue).sorted().joined(separator: ",")))
    }

    private func waitForTopics() throws(BridgeFault) {
        var complaints = 0
        while !isStopping {
            do {
                // A new client each time: its first look-up tries every bootstrap address again.
                let admin = try KafkaAdmin(kafka)
                let cluster = try admin.describe(timeoutMilliseconds: 3000)
                state.withLock { $0.reachedBroker = true }
                try judgeTopics(cluster.partitions, planner.recordBytes(admin, timeoutMilliseconds: 3000))
                state.withLock { $0.topicsAreRight = true }
                return
            } catch let error as KafkaError {
                if error.place == "configuration" { throw .kafka(error) }
                if complaints % 5 == 0 {
                    Log.warning(
                        "no broker answers; trying again", .address(kafka.bootstrapServers), .error(error.description),
                        .fix("start the broker, or set kafka.bootstrap.servers to one that runs"))
                }
                complaints += 1
                pause(milliseconds: 300)
            } catch let fault as BridgeFault {
                throw fault
            } catch {
                preconditionFailure("only these two are thrown")
            }
        }
    }

    private func judgeTopics(_ counts: [String: Int], _ recordBytes: [String: Int]) throws(BridgeFault) {
        let faults = planner.faults(in: counts, recordBytes: recordBytes, domain: configuration.plans.topics)
        for fault in faults where fault.isWarning {
            Log.warning("topic is not as it should be", .topic(fault.topic), .reason(fault.cause), .fix(fault.mend))
        }
        let serious = faults.filter { !$0.isWarning }
        guard serious.isEmpty else { throw .topics(serious) }
    }

    private func makeStage(_ role: Role) -> StageRunner? {
        let factory = StageFactory(
            configuration: configuration, kafka: kafka, topics: planner.topics, view: view,
            engineRoom: state.withLock { $0.engineRoom }, replays: replayLink,
            registryCaughtUp: { [weak self] in self?.state.withLock { $0.registryCaughtUp = true } })
        return factory.make(role) { [weak self] error in self?.fail(.kafka(error)) }
    }

    private func fail(_ fault: BridgeFault) {
        state.withLock { if $0.fault == nil { $0.fault = fault } }
    }

    /// Reads the mapping files again. Records are translated by the new plans from then on; where a file has a fault all of
    /// the old ones stay.
    package func reloadMappings() {
        let loaded = MappingFolder.load(configuration.settings)
        guard loaded.faults.isEmpty else {
            mappingMetrics.refused.add()
            for fault in loaded.faults {
                Log.error("mapping file has a fault", .path(fault.file), .key(fault.key), .reason(fault.cause))
            }
            return Log.error(
                "mappings were not taken up; the old ones stay", .count(loaded.faults.count),
                .fix("mend the files and send SIGHUP again"))
        }
        if !loaded.isChecked {
            Log.warning(
                "no payload schemas; the mappings were not checked", .path(configuration.settings.schemasFolder))
        }
        configuration.plans.replace(with: loaded.plans)
        mappingMetrics.taken.add()
        mappingMetrics.files.set(loaded.plans.count)
        Log.info("mappings were taken up", .count(loaded.plans.count))
    }

    // MARK: Being asked

    /// A stage that could not be made; the process should end.
    package var fault: BridgeFault? { state.withLock { $0.fault } }

    /// The port the API really listens on; nil before it is open.
    package var apiPort: Int? { state.withLock { $0.front }?.apiPort }
    package var opsPort: Int? { state.withLock { $0.front }?.opsPort }

    /// What is missing until the process is ready; empty when it is (contract §4, `readyz`).
    package var unreadiness: [String] {
        let (current, stages) = state.withLock { ($0, $0.stages) }
        if current.isStopping { return ["stopping"] }
        if let fault = current.fault { return [fault.description] }
        guard current.reachedBroker else { return ["no broker reached at \(kafka.bootstrapServers)"] }
        guard current.topicsAreRight else { return ["topics are not checked yet"] }
        guard feed.isLoaded else { return ["registry view is not loaded"] }
        let wanted = configuration.roles.subtracting([.api]).count
        guard stages.count == wanted else { return ["stages are starting"] }
        var missing = complaints
        missing += stages.flatMap { $0.status.complaints }
        missing += stages.filter { !$0.status.hasAssignment }.map { "\($0.status.role) has no assignment yet" }
        if configuration.roles.contains(.registry), !current.registryCaughtUp {
            missing.append("registry has not applied the commands it found")
        }
        return missing
    }

    package var isReady: Bool { unreadiness.isEmpty }

    /// What is wrong with a process that lives: stages that stand still. Empty when all is well (`healthz`).
    package var complaints: [String] { state.withLock { $0.watch }?.complaints ?? [] }

    /// Whether a stage stands still for good: the process is to end at once, so that its partitions move to others.
    package var isHopeless: Bool { state.withLock { $0.watch }?.isHopeless ?? false }

    // MARK: Stopping

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    /// Lets ``start()`` return soon; ``stop()`` is called once it has.
    package func requestStop() { state.withLock { $0.isStopping = true } }

    /// Stops taking on work, lets what is under way come to its end, commits and leaves the groups.
    package func stop() {
        let (front, stages) = state.withLock { current in
            current.isStopping = true
            return (current.front, current.stages)
        }
        front?.closeAPI()
        // Before the stages: their shards are still owned, so what the replays report counts for whoever is next.
        state.withLock { $0.replays }?.stop()
        for stage in stages { stage.stop() }
        for stage in stages { stage.join() }
        let (room, watch) = state.withLock { ($0.engineRoom, $0.watch) }
        watch?.stop()
        room?.stop()
        feed.stop()
        front?.close()
        state.withLock {
            $0.stages = []
            $0.front = nil
            $0.engineRoom = nil
            $0.watch = nil
            $0.replays = nil
        }
    }

    private func pause(milliseconds: Int) { pauseEvent.wait(milliseconds: milliseconds) }
}
