// A log read from its end: piece by piece, each forwards, the youngest piece first. What is looked for is mostly young, and the
// pieces grow, so that an old one does not take a round trip for every few records.

package struct BackwardWalk: Equatable, Sendable {
    private static let firstPiece: Int64 = 1000
    private static let largestPiece: Int64 = 16_000

    private var rest: Range<Int64>
    private var piece = BackwardWalk.firstPiece

    /// - Parameter range: offsets to read.
    package init(_ range: Range<Int64>) { rest = range }

    package var isOver: Bool { rest.isEmpty }

    /// The next piece to read; nil when there is no more.
    package mutating func next() -> Range<Int64>? {
        guard !rest.isEmpty else { return nil }
        let from = max(rest.lowerBound, rest.upperBound - piece)
        defer {
            rest = rest.lowerBound..<from
            piece = min(2 * piece, Self.largestPiece)
        }
        return from..<rest.upperBound
    }
}
