// What the delivery stage tells whoever runs replays in the same process: which shards it owns, and which deliveries of a
// replay have come to their end. The stage never waits for it and knows nothing else of replays.
package import Core
package import Runtime

/// Any thread.
package final class ReplayLink: Sendable {
    /// Rings when shards come or go.
    package let wake = EventFD()
    private let state = Guarded(State())

    private struct State {
        var shards: Set<Int32> = []
        /// Only of replays that somebody runs here; the others' have nobody to count them.
        var ended: [ReplayID: [DeliveryID]] = [:]
    }

    /// Ends of one replay that wait to be taken. More than its window can only be repetitions.
    private static let keptEnds = 10 * ReplayPace.window

    package init() {}

    // MARK: The delivery stage

    package func owns(_ shards: Set<Int32>) {
        state.withLock { $0.shards = shards }
        wake.signal()
    }

    /// A delivery was accepted by its receiver, given up or dropped.
    package func ended(_ delivery: DeliveryID, of run: ReplayID) {
        state.withLock { state in
            guard let count = state.ended[run]?.count, count < Self.keptEnds else { return }
            state.ended[run]?.append(delivery)
        }
    }

    // MARK: Who runs replays

    package var shards: Set<Int32> { state.withLock { $0.shards } }

    package func isOwned(_ shard: Int32) -> Bool { state.withLock { $0.shards.contains(shard) } }

    /// Ends are kept from now on, unless they are already.
    package func open(_ run: ReplayID) { state.withLock { $0.ended[run] = $0.ended[run] ?? [] } }
    package func close(_ run: ReplayID) { state.withLock { $0.ended[run] = nil } }

    package func takeEnded(of run: ReplayID) -> [DeliveryID] {
        state.withLock { state in
            guard let ended = state.ended[run], !ended.isEmpty else { return [] }
            state.ended[run] = []
            return ended
        }
    }
}
