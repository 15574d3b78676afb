// The HTTP engine of a process and the way its results come back to the delivery stage.
internal import Core
internal import HTTPEngine
internal import Runtime

final class EngineRoom: Sendable {
    /// The delivery loop's wake: the engine rings it when results are there.
    let wake = EventFD()
    let results: Inbox<HTTPResult>
    let engine: HTTPEngine
    let policy: AddressPolicy
    private let metrics: MetricsCollection

    init(settings: Settings, ownListeners: Set<AddressPolicy.Listener>) throws(BridgeFault) {
        results = Inbox(wake: wake)
        policy = AddressPolicy(settings.egress, ownListeners: ownListeners)
        var configuration = HTTPEngineConfiguration()
        configuration.policy = policy
        configuration.authoritiesFile = settings.egress.caFile
        configuration.nameservers = settings.egress.nameservers
        configuration.sourceAddresses = settings.egress.sourceAddresses.compactMap { IPAddress($0) }
        configuration.maximumConnectionsPerHost = settings.deliver.connectionsPerHost
        let inbox = results
        do {
            engine = try HTTPEngine(configuration: configuration, threads: settings.deliver.threads) {
                inbox.put(contentsOf: $0)
            }
        } catch {
            throw .engine("the HTTP engine cannot start: \(error)")
        }
        metrics = Metrics.collect { [weak engine] page in engine?.counters.write(to: &page) }
    }

    func stop() {
        metrics.cancel()
        engine.stop()
    }
}

extension AddressPolicy {
    init(_ egress: Settings.Egress, ownListeners: Set<Listener>) {
        self.init(
            allow: egress.allowNetworks.compactMap { Network($0) },
            deny: egress.denyNetworks.compactMap { Network($0) },
            ownListeners: ownListeners.union(Self.onEveryInterface(ownListeners)))
    }

    /// A listener on the wildcard address hears every address of this machine.
    private static func onEveryInterface(_ listeners: Set<Listener>) -> [Listener] {
        let wildcards = listeners.filter { $0.address == IPAddress(v4: 0) || $0.address == IPAddress(high: 0, low: 0) }
        guard !wildcards.isEmpty else { return [] }
        return InterfaceAddresses.all().flatMap { address in
            wildcards.map { Listener(address: address, port: $0.port) }
        }
    }
}
