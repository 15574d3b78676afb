// The circuit of one webhook: when an endpoint is taken for dead, and when it is asked again. It delays and never counts:
// what it holds back keeps its number of attempts.

package struct Circuit: Sendable {
    /// It opens after this many failures in a row …
    package static let failures = 10
    /// … the first and the last of which are at least this far apart: one bad second of a busy webhook opens nothing.
    package static let spanNanoseconds: UInt64 = 10_000_000_000
    /// From the start of one probe to the next.
    package static let probeNanoseconds: UInt64 = 5_000_000_000

    package private(set) var isOpen = false
    package private(set) var failuresInRow = 0
    private var firstFailureAt: UInt64 = 0
    /// When an open circuit lets the next attempt through, monotonic nanoseconds.
    package private(set) var nextProbeAt: UInt64 = 0

    package init() {}

    /// An answer that is a success closes it, also one to an attempt made before it opened.
    package mutating func succeeded() {
        isOpen = false
        failuresInRow = 0
    }

    package mutating func failed(now: UInt64) {
        failuresInRow += 1
        if failuresInRow == 1 { firstFailureAt = now }
        guard !isOpen, failuresInRow >= Self.failures, now >= firstFailureAt + Self.spanNanoseconds else { return }
        isOpen = true
        nextProbeAt = now + Self.probeNanoseconds
    }

    package mutating func probeStarted(now: UInt64) { nextProbeAt = now + Self.probeNanoseconds }
}
