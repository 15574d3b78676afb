// What one try at sending a mail came to, and what follows from it.

package enum MailTry: Equatable, Sendable {
    /// What of a message the server answered to.
    package enum Part: String, Sendable { case sender, recipient, message }

    /// The server has taken it over.
    case taken
    /// The server answered with something else than a success.
    case answered(code: Int, to: Part)
    /// The connection broke, or no answer came in time.
    /// - cause: for the log; names nobody.
    /// - hadBegun: whether the server had taken the recipient and the message was on its way. Else the server or the way to it
    ///   does not work, as far as this try can tell.
    case failed(cause: String, hadBegun: Bool)

    package enum Verdict: Equatable, Sendable {
        case done
        /// This message will never be taken.
        case giveUp(reason: String)
        /// Every mail would meet the same, as it seems: it is tried again, and all others wait with it.
        case wait
        /// Only this mail is put off: it is tried again, and the others go on.
        case setAside
    }

    /// Answers that speak of the login or of encryption, whatever command they came to (RFC 4954, RFC 3207): the
    /// configuration is wrong, not the message.
    private static let aboutTheSession: Set<Int> = [530, 534, 535, 538]
    /// To MAIL FROM this is about the size that was told with it (RFC 1870), and so about the message.
    private static let tooLarge = 552

    /// For how long a server may put one message off before it is given up, from the message's making on: a restart does
    /// not begin it anew.
    package static let longestDeferralMilliseconds: Int64 = 24 * 3_600_000
    /// So long it is tried at least, however old it is: a server that was away for a day may begin with a greylist.
    package static let shortestDeferralNanoseconds: UInt64 = 15 * 60 * 1_000_000_000

    /// - Parameters:
    ///   - ageMilliseconds: since the message was made (`createdAt`), by the wall clock.
    ///   - putOffFor: nanoseconds since the server first put this message off in this process; 0 before that.
    ///   - blamedFor: nanoseconds since failures before the message are known to be this mail's own, because others were
    ///     answered in between; 0 while they are not.
    package func verdict(ageMilliseconds: Int64, putOffFor: UInt64, blamedFor: UInt64) -> Verdict {
        func isOver(_ waited: UInt64) -> Bool {
            ageMilliseconds >= Self.longestDeferralMilliseconds && waited >= Self.shortestDeferralNanoseconds
        }
        switch self {
        case .taken: return .done
        case .failed(let cause, hadBegun: true):
            if isOver(putOffFor) {
                return .giveUp(reason: "the mail server has not said for a day that it took the message (\(cause))")
            }
            return .setAside
        case .failed(let cause, hadBegun: false):
            if isOver(blamedFor) {
                return .giveUp(
                    reason: "the mail server has failed at this mail for a day, and not at others (\(cause))")
            }
            return .wait
        case .answered(let code, _) where Self.aboutTheSession.contains(code): return .wait
        // Our own address, which the configuration says: every mail has it.
        case .answered(let code, .sender) where code != Self.tooLarge: return .wait
        case .answered(let code, let part):
            if (500..<600).contains(code) {
                return .giveUp(reason: "the mail server refused the \(part.rawValue) for good (\(code))")
            }
            if isOver(putOffFor) {
                return .giveUp(reason: "the mail server has put the \(part.rawValue) off for a day (\(code))")
            }
            return .setAside
        }
    }

    /// Whether the server got as far as this very mail.
    package var isServerWorking: Bool {
        if case .failed(_, hadBegun: false) = self { return false }
        return true
    }

    /// For the log.
    package var text: String {
        switch self {
        case .taken: "taken"
        case .answered(let code, let part): "the mail server answered \(code) to the \(part.rawValue)"
        case .failed(let cause, _): cause
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
