// One webhook in the stage's hands: its lane, what the registry's view says of it, and what is told of it.
internal import Core
internal import Registry

/// Belongs to the delivery stage's thread.
final class WebhookLane {
    let id: WebhookID
    /// The id's text, the key of every record about it.
    let key: [UInt8]
    let shard: Int32
    var lane: Lane
    /// What of it is on `deferred`, as far as this owner knows.
    var backlog = DeferredShare.Backlog()
    /// Whether it stands among its partition's holders.
    var isHolder = false
    /// Whether it stands in the stage's queue of lanes to serve.
    var isQueued = false
    /// The earliest moment it is on the timer for; 0 for none.
    var timer: UInt64 = 0
    /// When it last had something to do, monotonic nanoseconds.
    var lastUsed: UInt64 = 0

    private(set) var latencies = RecentLatencies()
    private(set) var lastSuccessAt: Timestamp?
    private(set) var lastError: (text: String, at: Timestamp)?

    private(set) var state = TargetState.unknown
    /// What the state was made of.
    private var seen: Webhook?
    private var version: UInt64 = 0
    /// What tests of an inactive webhook go out with.
    private var targetOfInactive: (webhook: Webhook, state: TargetState)?
    private var inactive: Webhook?
    /// The newest generation a record has shown and the view has not, and since when.
    private var awaited: (generation: Int, since: UInt64)?
    private var hasSeenGeneration: Int?

    /// How long the view may be behind the record it has to explain, nanoseconds.
    private let viewPatience: UInt64

    init(id: WebhookID, shard: Int32, lane: Lane, viewPatience: UInt64 = 30_000_000_000) {
        self.viewPatience = viewPatience
        self.id = id
        self.shard = shard
        self.lane = lane
        key = Array(id.description.utf8)
    }

    // MARK: The view

    /// Looks the webhook up again if the view has changed since the last time.
    /// - Returns: whether that changed anything for its records.
    func refresh(_ view: RegistryView, make: (Webhook) -> TargetState) -> Bool {
        let current = view.version
        guard current != version else { return false }
        version = current
        guard let webhook = view.read({ $0.webhooks[id] }) else {
            inactive = nil
            seen = nil
            state = view.read { $0.wasRemoved(id) } ? .deleted : .unknown
            return true
        }
        if let seen, seen == webhook { return false }
        seen = webhook
        inactive = webhook.isActive ? nil : webhook
        state = webhook.isActive ? make(webhook) : .inactive(generation: webhook.generation)
        note(generation: webhook.generation)
        return true
    }

    /// A new generation is a webhook switched on again; one met for the first time may be.
    private func note(generation: Int) {
        if hasSeenGeneration.map({ $0 < generation }) ?? (generation > 1) { lane.activated() }
        hasSeenGeneration = generation
    }

    /// What a record goes out with now.
    func target(for purpose: Delivery.Purpose, make: (Webhook) -> TargetState) -> TargetState {
        guard purpose == .test, let inactive else { return state }
        if targetOfInactive?.webhook != inactive { targetOfInactive = (inactive, make(inactive)) }
        return targetOfInactive?.state ?? state
    }

    /// Whether a replay of this webhook was cancelled, so that what is left of it is not to be sent. One that the view does
    /// not know, or not any more, was not.
    func hasCancelled(_ run: ReplayID) -> Bool {
        guard case .active(let target) = state else { return false }
        return target.webhook.replay(run)?.status == .cancelled
    }

    /// Whether the view does not explain the record yet.
    func isAhead(_ delivery: Delivery) -> Bool {
        if case .deleted = state { return false }
        guard let generation = state.generation else { return true }
        return delivery.purpose != .test && delivery.generation > generation
    }

    func awaitView(for delivery: Delivery, now: UInt64) {
        awaited = (max(awaited?.generation ?? 0, delivery.generation), awaited?.since ?? now)
    }

    enum Wait: Equatable {
        case none
        case view
        /// The view's patience is over: what waits is judged by what is known.
        case over
    }

    /// Whether the lane's records wait for the view.
    func wait(now: UInt64) -> Wait {
        guard let awaited else { return .none }
        if case .deleted = state { return .over }
        if let generation = state.generation, generation >= awaited.generation { return .over }
        return now >= awaited.since + viewPatience ? .over : .view
    }

    func stopWaiting() { awaited = nil }

    // MARK: What is told of it

    func note(_ outcome: Outcome, milliseconds: Int, at: Timestamp) {
        if outcome.status != nil { latencies.add(milliseconds: milliseconds) }
        if let text = outcome.errorText { lastError = (text, at) } else { lastSuccessAt = at }
    }

    var isActive: Bool { inactive == nil }

    /// Whether what it has to send, or had to, cannot be signed.
    var lacksSecret: Bool {
        if case .unusable(.secret, _) = state { return true }
        if let inactive, let tested = targetOfInactive, tested.webhook == inactive,
            case .unusable(.secret, _) = tested.state
        {
            return true
        }
        return false
    }

    /// Records known to wait on `deferred` or to have come from there.
    var deferredCount: Int { backlog.count + lane.waitingDeferred }

    /// Whether it had nothing to do for so long that nothing is lost with it. What an open circuit sent to `retries` comes
    /// back up to a day later, to an endpoint that is still taken for dead.
    func isForgotten(now: UInt64, _ settings: DeliverSettings) -> Bool {
        let kept = lane.circuit.isOpen ? settings.openLaneNanoseconds : settings.idleLaneNanoseconds
        return lane.isIdle && !isQueued && backlog.count == 0 && now > lastUsed + kept
    }

    func health(now: UInt64) -> LaneState {
        let isBehind = lane.waiting > 0 || backlog.count > 0
        return LaneState.judge(
            isActive: isActive, isCircuitOpen: lane.circuit.isOpen, failuresInRow: lane.circuit.failuresInRow,
            isBehind: isBehind, isLimited: isBehind && lane.isLimited(now: now), isSaturated: lane.isSaturated,
            medianMilliseconds: latencies.p50)
    }
}
