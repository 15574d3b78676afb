// Requests with an idempotency key that make a delivery and no record of the registry's: tests and single retries. The
// registry remembers two things of each: that it was made, before anything is sent, and that the broker has the delivery,
// before anybody is told. Whoever asks again, in whatever process, is told by the second and not by the time that passed.
internal import Core
internal import Crypto
internal import HTTPServer
internal import Registry
internal import Runtime

/// One request among those with its key.
struct KeyedRequest: Sendable {
    enum Standing: Equatable {
        /// It is this request that sends.
        case sends
        /// The broker has the delivery.
        case sent
        /// Another one with this key may still be sending, here or in another process.
        case underWay
    }

    /// What the ids of the delivery are made of: the same for all requests with the key.
    let command: CommandID
    let standing: Standing
    /// When it has to have begun to send, monotonic nanoseconds: later another process may take it for given up.
    let sendsBefore: UInt64

    func maySend(now: UInt64 = Clock.monotonic()) -> Bool { now < sendsBefore }
}

final class KeyedRequests: Sendable {
    private let webhooks: WebhookHandlers
    private let own = Guarded(Own())

    /// What this process knows of its own requests.
    private struct Own {
        var sending: Set<CommandID> = []
        /// Those that ended here with nothing sent: nobody has to wait for them.
        var ended = BoundedSet<CommandID>(kept: 1000)
        var sent = BoundedSet<CommandID>(kept: 1000)
    }

    /// For the first note, and for what has to be looked up before anything is sent.
    private static let preparingMilliseconds: Int64 = 12_000
    /// As long as the sink goes on trying.
    private static let sendingMilliseconds: Int64 = 4000
    /// For the second note; less than its sender waits for the answer.
    private static let noteMilliseconds: Int64 = 2500
    /// Of the second note, some five seconds each.
    private static let noteTries = 12
    /// How long a request of another process may be at it, from its making. Then nothing more comes of it.
    private static let patienceMilliseconds =
        preparingMilliseconds + sendingMilliseconds + noteMilliseconds + CommandAge.skewMilliseconds

    init(webhooks: WebhookHandlers) { self.webhooks = webhooks }

    /// Has the registry remember the request where it has a key.
    /// - Parameter then: is told how it stands; nil of a request without a key. Not called where the call was answered, as
    ///   with a key of another request. One that ``KeyedRequest/Standing/sends`` has to be settled.
    func claim(
        _ webhook: WebhookID, for call: APICall, then: @escaping @Sendable (KeyedRequest?) -> Void
    ) {
        let sendsBefore = Clock.monotonic() + UInt64(Self.preparingMilliseconds) * 1_000_000
        webhooks.note(webhook, for: call) { [self] noted in
            guard let noted else { return then(nil) }
            let command = noted.command
            let told = { @Sendable (standing: KeyedRequest.Standing) in
                then(KeyedRequest(command: command, standing: standing, sendsBefore: sendsBefore))
            }
            guard let first = noted.repeats else {
                own.withLock { _ = $0.sending.insert(command) }
                return told(.sends)
            }
            let known = own.withLock { standing(of: command, first: nil, &$0) }
            if let known { return told(known) }
            // Refused as late by any registry, and applied where it is remembered: a question that leaves no answer behind.
            send(webhook, command, at: Timestamp(milliseconds: 0), lasting: 0, call) { [self] outcome in
                switch outcome {
                // The question was not answered; the request itself may have been sent.
                case .unconfirmed: call.respond(.requestUnderWay())
                case .refused(.tooLate):
                    told(own.withLock { standing(of: command, first: first, &$0) ?? .underWay })
                // Also where the webhook went before it could be noted: asked at all was only who had sent.
                default: told(.sent)
                }
            }
        }
    }

    /// - Parameter first: when the first request was made, once the registry knows of nothing that was sent; nil before it
    ///   was asked.
    /// - Returns: nil where this process does not know.
    private func standing(of command: CommandID, first: Timestamp?, _ own: inout Own) -> KeyedRequest.Standing? {
        if own.sent.contains(command) { return .sent }
        if own.sending.contains(command) { return .underWay }
        guard let first else { return nil }
        let age = Clock.wallMilliseconds() - first.milliseconds
        guard age > Self.patienceMilliseconds || own.ended.contains(command) else { return nil }
        own.sending.insert(command)
        return .sends
    }

    /// Ends what ``claim(_:for:then:)`` began.
    /// - Parameters:
    ///   - isSent: whether the broker has the delivery.
    ///   - then: is told whether the asker may be told so: the registry remembers it too, or there is no key.
    func settle(
        _ request: KeyedRequest?, isSent: Bool, _ webhook: WebhookID, for call: APICall,
        then: @escaping @Sendable (_ isSent: Bool) -> Void
    ) {
        guard let request, request.standing == .sends else { return then(isSent) }
        let command = request.command
        guard isSent else {
            own.withLock { own in
                own.sending.remove(command)
                own.ended.insert(command)
            }
            return then(false)
        }
        own.withLock { $0.sent.insert(command) }
        tellRegistry(webhook, command, call, triesLeft: Self.noteTries, firstTry: then)
    }

    /// Has the registry remember that the broker has it. The asker hears what the first try came to; where that came to nothing, for
    /// the registry moves or is slow, it is told again behind him, or another process would send once more.
    private func tellRegistry(
        _ webhook: WebhookID, _ command: CommandID, _ call: APICall, triesLeft: Int,
        firstTry: (@Sendable (_ isNoted: Bool) -> Void)?
    ) {
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        send(webhook, command, at: now, lasting: Self.noteMilliseconds, call) { [self] outcome in
            let isNoted = outcome != .unconfirmed && outcome != .refused(.tooLate)
            firstTry?(isNoted)
            if isNoted || triesLeft <= 1 {
                own.withLock { _ = $0.sending.remove(command) }
            } else {
                tellRegistry(webhook, command, call, triesLeft: triesLeft - 1, firstTry: nil)
            }
        }
    }

    /// The note that the broker has it; its id is made of the first note's.
    private func send(
        _ webhook: WebhookID, _ first: CommandID, at: Timestamp, lasting milliseconds: Int64, _ call: APICall,
        _ completion: @escaping @Sendable (CommandOutcome) -> Void
    ) {
        webhooks.client.send(
            Command(
                id: CommandID(bytes: Digest.sha256(Array("sent\0\(first)".utf8))), account: call.account,
                at: at, notAfter: at.adding(milliseconds: milliseconds),
                change: .noteRequest(webhook), actor: .key(call.keyID),
                fingerprint: Digest.sha256Hex(Array("sent\0\(first)".utf8))),
            completion: completion)
    }
}

extension APIError {
    /// The first one may yet fail, so nobody is told that it did not.
    static func requestUnderWay() -> APIError {
        APIError(
            status: 503, code: "UNCONFIRMED",
            message: "The first request with this Idempotency-Key is still under way. Try again with the same key.",
            headers: [("Retry-After", "1")])
    }
}
