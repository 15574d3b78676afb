// What a retry of dead letters came to.

package struct RetryTotals: Equatable, Sendable, CustomStringConvertible {
    package private(set) var translated = 0
    package private(set) var deliveries = 0
    package private(set) var passedOver = 0
    package private(set) var sentAgain = 0
    package private(set) var failed = 0

    package init() {}

    package mutating func add(_ outcome: Repairer.Outcome) {
        switch outcome {
        case .translated(let count):
            translated += 1
            deliveries += count
        case .passedOver: passedOver += 1
        case .sentAgain: sentAgain += 1
        case .failed: failed += 1
        }
    }

    package var description: String {
        let parts =
            "\(translated) translated into \(Self.deliveries(deliveries)), \(passedOver) passed over, \(failed) failed"
        return sentAgain == 0
            ? parts : "\(parts), \(sentAgain) given-up \(sentAgain == 1 ? "delivery" : "deliveries") sent again"
    }

    private static func deliveries(_ count: Int) -> String { "\(count) \(count == 1 ? "delivery" : "deliveries")" }
}
