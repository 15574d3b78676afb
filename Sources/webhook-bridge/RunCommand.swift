// `run`: the bridge until SIGTERM or SIGINT, then a drain and exit 0.
internal import Bridge
internal import Configuration
internal import Core
internal import Glibc
internal import HTTPServer
internal import Mapping
internal import Runtime

enum RunCommand {
    static func run(_ options: RunOptions) throws(Exit) {
        let signals = StopSignals()
        var needs: ConfigurationRequest.Needs = .all
        if let roles = options.roles.map({ Set($0) }) {
            if roles.isDisjoint(with: BridgeConfiguration.rolesWithSecrets) { needs.remove(.secrets) }
            if roles.isDisjoint(with: BridgeConfiguration.rolesWithMappings) { needs.remove(.mappings) }
            if !roles.contains(.api) { needs.remove(.apiTLS) }
        }
        let loaded = try LoadedConfiguration.load(options.configuration, needs: needs)
        let roles = Set(options.roles ?? Role.defaults(mailIsConfigured: loaded.settings.mail.isConfigured))
        guard !roles.contains(.mail) || loaded.settings.mail.isConfigured else {
            throw .configuration("the role mail needs mail.smtp and mail.from in the configuration")
        }
        let plans = roles.isDisjoint(with: BridgeConfiguration.rolesWithMappings) ? [] : try plans(loaded)
        let bridge = Bridge(
            BridgeConfiguration(
                settings: loaded.settings, roles: roles, plans: plans, secrets: loaded.secretBox,
                mailPassword: loaded.mailPassword,
                apiTLS: loaded.apiTLS.map { HTTPServerTLS(certificate: $0.certificate, key: $0.key) }))
        try serve(bridge) {
            switch signals.next(milliseconds: 100) {
            case .stop: return true
            case .reload:
                if !roles.isDisjoint(with: BridgeConfiguration.rolesWithMappings) { bridge.reloadMappings() }
                return false
            case nil: return false
            }
        }
    }

    /// What is found on the way goes where the log goes, as everything else of a running bridge.
    private static func plans(_ loaded: LoadedConfiguration) throws(Exit) -> [MappingPlan] {
        try loaded.mappingPlans {
            Log.warning(
                "no payload schemas; the mappings were not checked by them", .path($0),
                .fix("set schemas to their folder"))
        }
    }

    /// Starts a bridge, and stops it when `isOver` says so or it cannot go on.
    static func serve(_ bridge: Bridge, until isOver: () -> Bool) throws(Exit) {
        let outcome = Guarded<BridgeFault?>(nil)
        let starter = OwnedThread(name: "start") {
            do throws(BridgeFault) { try bridge.start() } catch { outcome.withLock { $0 = error } }
        }
        var fault: BridgeFault?
        while !isOver() {
            endIfHopeless(bridge)
            fault = outcome.withLock { $0 } ?? bridge.fault
            if let fault {
                report(fault)
                break
            }
        }
        Log.info("stopping")
        endIfStuck()
        // First the start, so that no stage is made behind the stop's back.
        bridge.requestStop()
        starter.join()
        bridge.stop()
        Log.info("stopped")
        if let fault { throw Exit(code: fault.isConfiguration ? 2 : 1) }
    }

    private static func report(_ fault: BridgeFault) {
        guard case .topics(let faults) = fault else {
            return Log.error("the bridge cannot run", .error(fault.description))
        }
        for fault in faults {
            Log.error("topic is not as it must be", .topic(fault.topic), .reason(fault.cause), .fix(fault.mend))
        }
    }

    /// A stage that stands still cannot be stopped either; without the process its partitions move to others.
    private static func endIfHopeless(_ bridge: Bridge) {
        guard bridge.isHopeless else { return }
        Log.error(
            "a stage stands still for good; leaving so that others take over", .reason(bridge.complaints.joined()))
        _exit(1)
    }

    /// Closing a client can hang in the library; what was committed is committed, so leaving hard loses nothing.
    private static func endIfStuck() {
        _ = OwnedThread(name: "stop-watchdog") {
            sleep(30)
            Log.error("stopping took longer than 30 s; leaving without it")
            _exit(1)
        }
    }
}
