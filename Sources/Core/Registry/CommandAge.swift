// When a command comes too late. Its sender tells its user after five seconds that a change did not happen; from then on it
// must not happen any more.

package enum CommandAge {
    /// Clocks of a cluster differ; up to so much is taken for agreement.
    package static let skewMilliseconds: Int64 = 1000
    /// How long a sender waits for the answer before it tells its user that the change did not happen (contract §1).
    package static let senderMilliseconds: Int64 = 5000
    /// A command's `notAfter`, after its sender's clock: the skew before the sender gives up, and 1.5 s in which what was applied
    /// at the last moment is written and read.
    package static let validMilliseconds: Int64 = 2500

    package enum Verdict: Equatable, Sendable {
        case inTime
        case tooLate
        /// The sender's clock is ahead of this one by more than the skew: how old the command is nobody can say, so it is
        /// refused as well.
        case fromTheFuture
    }

    /// - Parameters:
    ///   - at: when the sender made the command, by its clock.
    ///   - notAfter: by the same clock; nil: whoever sends it wants it whenever it is.
    ///   - written: the record's timestamp; the broker's clock where the topic says so, else the sender's.
    ///   - now: the registry's clock.
    package static func judge(at: Timestamp, notAfter: Timestamp?, written: Timestamp?, now: Timestamp) -> Verdict {
        guard let notAfter else { return .inTime }
        // Whichever clock says that it is over: refusing is safe, applying is not.
        if now > notAfter || written.map({ $0 > notAfter }) ?? false { return .tooLate }
        return at.milliseconds > now.milliseconds + skewMilliseconds ? .fromTheFuture : .inTime
    }
}
