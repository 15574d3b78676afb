// One name, asked for both families at once. A pure value: the two halves come in, what the name resolves to comes out.
// Addresses of one family do not wait long for the other (RFC 8305 §3): a nameserver that drops AAAA questions would
// otherwise cost every attempt its whole time.
package import Core

package struct NameLookup: Sendable {
    package enum Half: Equatable, Sendable {
        /// - seconds: the shortest time to live of the answer.
        case addresses([IPAddress], seconds: Int)
        case failed(AttemptFailure)
    }

    package struct Answer: Equatable, Sendable {
        package let resolution: Resolution
        package let seconds: Int

        package init(resolution: Resolution, seconds: Int) {
            self.resolution = resolution
            self.seconds = seconds
        }
    }

    /// RFC 8305 §8, "Resolution Delay".
    package static let graceNanoseconds: UInt64 = 50_000_000
    /// A name with more is refused: every address has to be judged at every use.
    package static let maximumAddresses = 256

    private var v4: Half?
    private var v6: Half?
    /// When the half that came is answer enough; nil while none has addresses, or all was said.
    package private(set) var answerDue: UInt64?

    package init() {}

    package var isComplete: Bool { v4 != nil && v6 != nil }

    /// One half came. The second one answers at once, also when the first was answer enough already: the name has more
    /// addresses then than were known.
    package mutating func finished(isV6: Bool, _ half: Half, now: UInt64) -> Answer? {
        if isV6 { v6 = half } else { v4 = half }
        if isComplete {
            answerDue = nil
            return answer
        }
        if case .addresses = half { answerDue = now + Self.graceNanoseconds }
        return nil
    }

    /// The time is over that the other half had.
    package mutating func takeDue(now: UInt64) -> Answer? {
        guard let due = answerDue, now >= due else { return nil }
        answerDue = nil
        return answer
    }

    /// What a half that came is good for while the other is still missing.
    package var known: Answer? {
        for case .addresses in [v6, v4] { return answer }
        return nil
    }

    private var answer: Answer {
        var found: [[IPAddress]] = []
        var seconds = Int.max
        var failure: AttemptFailure?
        for half in [v6, v4] {
            switch half {
            case .addresses(let addresses, let told):
                found.append(addresses)
                seconds = min(seconds, told)
            case .failed(let cause):
                found.append([])
                // "There is none" is certain only when nobody failed to say so.
                if failure == nil || failure == .dnsNotFound { failure = cause }
            case nil: found.append([])
            }
        }
        let count = found[0].count + found[1].count
        guard count > 0 else { return Answer(resolution: .failed(failure ?? .dnsNotFound), seconds: 0) }
        guard count <= Self.maximumAddresses else { return Answer(resolution: .failed(.dnsFailed), seconds: 0) }
        return Answer(
            resolution: .addresses(AddressRace.interleaved(v6: found[0], v4: found[1])), seconds: seconds)
    }
}
