// Who owns the registry: one epoch after the other, each begun by a marker on the registry's own topics. Decisions only;
// Sources/Registry reads the topics to this value and writes what it says.

/// The topics that an owner of the registry reads and writes, each an order of its own.
package enum RegistryLog: Int, CaseIterable, Sendable {
    /// The fence: what stands here decides whether a command has its answer.
    case results
    case accounts
    case subscriptions
}

/// The first record of an epoch on a topic: whoever reads it back as the first of its epoch owns the registry.
package struct EpochMarker: Equatable, Sendable {
    package var epoch: Int
    /// Random, one for each take-over.
    package var owner: UInt64

    package init(epoch: Int, owner: UInt64) {
        self.epoch = epoch
        self.owner = owner
    }
}

/// The highest epoch of one topic up to here. A record below it comes from an owner who had been superseded when it was
/// written down.
package struct EpochFence: Equatable, Sendable {
    package private(set) var highest = 0

    package init() {}

    /// - Returns: whether the epoch is higher than any before.
    @discardableResult
    package mutating func pass(_ epoch: Int) -> Bool {
        defer { highest = max(highest, epoch) }
        return epoch > highest
    }

    /// - Parameter epoch: nil of a record from before there were epochs, or from somebody else's hand: it counts.
    package func isSuperseded(_ epoch: Int?) -> Bool { epoch.map { $0 < highest } ?? false }
}

/// One take-over of the registry, from reading its topics to the loss of them.
package struct RegistryOwnership: Sendable {
    package enum Phase: Equatable, Sendable {
        /// The topics have not been read to their ends.
        case reading
        /// A marker is on its way to `results`; others may be before it.
        case claiming
        /// The epoch is this owner's; the markers of the other topics are on their way.
        case marking
        case owning
        /// Somebody has a higher epoch: nothing more is written.
        case superseded
    }

    package enum Action: Equatable, Sendable {
        /// Write the marker to `results`.
        case claim(EpochMarker)
        /// Write the marker to the state's topics.
        case mark(EpochMarker)
        /// Begin to apply commands.
        case begin
        /// Write nothing more and give the partition up.
        case stop
    }

    package enum Verdict: Equatable, Sendable {
        /// Belongs to the state as it was handed over.
        case take
        /// Written by this owner: it has come as far as it had to.
        case own
        /// A superseded owner's: the key's state has to be written again, and an answer counts for nothing.
        case superseded
        /// A higher epoch's: write nothing more.
        case stop
    }

    package private(set) var phase = Phase.reading
    package private(set) var epoch = 0
    private let owner: UInt64
    private var fences = [EpochFence](repeating: EpochFence(), count: RegistryLog.allCases.count)
    private var marked: Set<RegistryLog> = []

    /// - Parameter owner: random.
    package init(owner: UInt64) { self.owner = owner }

    package var marker: EpochMarker { EpochMarker(epoch: epoch, owner: owner) }

    /// All three topics have been read to their ends.
    package mutating func reachedEnds() -> Action? {
        guard phase == .reading else { return nil }
        phase = .claiming
        return claim()
    }

    private mutating func claim() -> Action {
        epoch = (fences.map(\.highest).max() ?? 0) + 1
        return .claim(marker)
    }

    package mutating func saw(_ marker: EpochMarker, on log: RegistryLog) -> Action? {
        let isFirst = fences[log.rawValue].pass(marker.epoch)
        let isOwn = marker == self.marker
        switch phase {
        case .reading, .superseded: return nil
        case .claiming:
            guard marker.epoch >= epoch else { return nil }
            // Another's, of the same epoch or a higher one, came first: this owner is the later one and goes above it.
            guard isOwn, isFirst else { return claim() }
            phase = .marking
            return .mark(marker)
        case .marking, .owning:
            if marker.epoch > epoch {
                phase = .superseded
                return .stop
            }
            guard isOwn, phase == .marking, log != .results else { return nil }
            marked.insert(log)
            guard marked.count == RegistryLog.allCases.count - 1 else { return nil }
            phase = .owning
            return .begin
        }
    }

    /// - Parameter epoch: nil of a record without one.
    package mutating func saw(recordOf epoch: Int?, on log: RegistryLog) -> Verdict {
        guard let epoch else { return .take }
        let isSuperseded = fences[log.rawValue].isSuperseded(epoch)
        fences[log.rawValue].pass(epoch)
        if phase == .marking || phase == .owning {
            // Its marker may have been compacted away, or stand on another topic and not be read yet.
            if epoch > self.epoch { phase = .superseded }
            if epoch == self.epoch { return .own }
        }
        if phase == .superseded { return .stop }
        return isSuperseded ? .superseded : .take
    }
}
