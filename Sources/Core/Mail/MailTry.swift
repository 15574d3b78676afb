// What one try at sending a mail came to, and what follows from it.

package enum MailTry: Equatable, Sendable {
    /// What of a message the server answered to.
    package enum Part: String, Sendable { case sender, recipient, message }

    /// The server has taken it over.
    case taken
    /// The server answered with something else than a success.
    case answered(code: Int, to: Part)
    /// The server or the way to it does not work: nothing was said about this message.
    /// - cause: for the log; names nobody.
    case failed(cause: String)

    package enum Verdict: Equatable, Sendable {
        case done
        /// This message will never be taken.
        case giveUp(reason: String)
        case again
    }

    /// Answers that speak of the login or of encryption, whatever command they came to (RFC 4954, RFC 3207): the
    /// configuration is wrong, not the message.
    private static let aboutTheSession: Set<Int> = [530, 534, 535, 538]

    /// For how long a server may put one message off before it is given up.
    package static let longestDeferralNanoseconds: UInt64 = 24 * 3_600_000_000_000

    /// - Parameter putOffFor: nanoseconds since the server first put this message off; 0 before that.
    package func verdict(putOffFor: UInt64) -> Verdict {
        switch self {
        case .taken: return .done
        case .failed: return .again
        case .answered(let code, let part):
            if (500..<600).contains(code), !Self.aboutTheSession.contains(code) {
                return .giveUp(reason: "the mail server refused the \(part.rawValue) for good (\(code))")
            }
            // Mails go out in order, so that one the server never takes would hold up all others.
            if putOffFor >= Self.longestDeferralNanoseconds {
                return .giveUp(reason: "the mail server has put the \(part.rawValue) off for a day (\(code))")
            }
            return .again
        }
    }

    /// For the log.
    package var text: String {
        switch self {
        case .taken: "taken"
        case .answered(let code, let part): "the mail server answered \(code) to the \(part.rawValue)"
        case .failed(let cause): cause
        }
    }
}

/// The waits between tries: a second, doubled up to five minutes, and from the beginning after a success.
package struct MailBackoff: Equatable, Sendable {
    private static let first: UInt64 = 1_000_000_000
    private static let longest: UInt64 = 300_000_000_000
    private var next = MailBackoff.first

    package init() {}

    package mutating func wait() -> UInt64 {
        defer { next = min(next * 2, Self.longest) }
        return next
    }

    package mutating func reset() { next = Self.first }
}
