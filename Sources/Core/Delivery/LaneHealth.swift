// Why a webhook's deliveries wait: the one word and the figures that ride on `attempts` and that the API shows as `health`.

package enum LaneState: String, Sendable, CaseIterable {
    /// What comes goes out.
    case healthy
    /// It gets more events than its rate allows; they wait for their turn.
    case limited
    /// The endpoint answers slower than events come.
    case slow
    /// Its attempts fail.
    case failing
    /// The webhook is not active.
    case disabled

    /// Failures in a row from which one speaks of failing.
    package static let failures = 3
    /// A median answer from which one speaks of slow.
    package static let slowMilliseconds: UInt32 = 1000

    /// - Parameters:
    ///   - isBehind: whether records wait, in hand or on `deferred`.
    ///   - isLimited: whether the rate is what they wait for.
    ///   - isSaturated: whether as many attempts are under way as may be.
    ///   - medianMilliseconds: of the latest answers; nil without any.
    package static func judge(
        isActive: Bool, isCircuitOpen: Bool, failuresInRow: Int, isBehind: Bool, isLimited: Bool, isSaturated: Bool,
        medianMilliseconds: UInt32?
    ) -> LaneState {
        if !isActive { return .disabled }
        if isCircuitOpen || failuresInRow >= failures { return .failing }
        if isBehind, isLimited { return .limited }
        if isBehind && isSaturated || (medianMilliseconds ?? 0) >= slowMilliseconds { return .slow }
        return .healthy
    }
}

/// The latest answers of an endpoint and how long they took; bounded, and sorted only now and then.
package struct RecentLatencies: Sendable {
    package static let kept = 64
    /// Percentiles are taken anew after so many more answers.
    private static let refresh = 16

    private var milliseconds: [UInt32] = []
    private var position = 0
    private var sinceSorted = 0
    package private(set) var p50: UInt32?
    package private(set) var p99: UInt32?

    package init() {}

    package mutating func add(milliseconds value: Int) {
        let value = UInt32(clamping: value)
        if milliseconds.count < Self.kept {
            milliseconds.append(value)
        } else {
            milliseconds[position] = value
            position = (position + 1) % Self.kept
        }
        sinceSorted += 1
        // The first ones count at once: there are few to sort.
        guard sinceSorted >= Self.refresh || milliseconds.count <= 4 else { return }
        sinceSorted = 0
        let sorted = milliseconds.sorted()
        p50 = sorted[(sorted.count - 1) / 2]
        p99 = sorted[(sorted.count * 99 + 99) / 100 - 1]
    }
}
