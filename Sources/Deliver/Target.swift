// Where and with what a webhook's attempts go out: its endpoint and its signers, made ready once and kept until the
// registry's view changes.
internal import Core
internal import Crypto
internal import HTTPEngine
internal import Registry
internal import Runtime

/// What the view says of a webhook at this moment.
enum TargetState {
    /// Not in the view: created a moment ago in another process, or deleted long ago.
    case unknown
    case deleted
    case inactive(generation: Int)
    /// Active, but its secret cannot be opened or its URL is not allowed any more.
    case unusable(Target.Fault, generation: Int)
    case active(Target)

    var generation: Int? {
        switch self {
        case .unknown, .deleted: nil
        case .inactive(let generation), .unusable(_, let generation): generation
        case .active(let target): target.webhook.generation
        }
    }
}

final class Target {
    enum Fault {
        case secret
        case endpoint
    }

    let webhook: Webhook
    let endpoint: HTTPEndpoint
    private let signers: [Signer]

    private struct Signer {
        let secret: WebhookSecret
        let expiresAt: Timestamp?
    }

    static let fixedLines = Array("Content-Type: application/json\r\nUser-Agent: Learnault-Webhooks/1.0\r\n".utf8)

    private init(webhook: Webhook, endpoint: HTTPEndpoint, signers: [Signer]) {
        self.webhook = webhook
        self.endpoint = endpoint
        self.signers = signers
    }

    static func make(_ webhook: Webhook, secrets: SecretBox, allowHTTP: Bool, policy: AddressPolicy) -> TargetState {
        guard let url = try? EndpointURL(webhook.url, allowHTTP: allowHTTP, policy: policy) else {
            return .unusable(.endpoint, generation: webhook.generation)
        }
        do {
            let context = Array("\(webhook.account)\0\(webhook.id)".utf8)
            let signers = try webhook.secrets.map { secret in
                Signer(
                    secret: try WebhookSecret(secrets.open(secret.box, keyID: secret.keyID, context: context)),
                    expiresAt: secret.expiresAt)
            }
            guard !signers.isEmpty else { throw CryptoError(description: "the webhook has no secret") }
            return .active(
                Target(webhook: webhook, endpoint: HTTPEndpoint(url, fixedLines: fixedLines), signers: signers))
        } catch {
            // Said once a change of the view, not once a record: nothing is sent, and nothing is lost.
            Log.error(
                "signing secret cannot be opened; deliveries wait", .webhook(webhook.id.description),
                .error("\(error)"), .fix("put the key that sealed it into secrets.keyFile"))
            return .unusable(.secret, generation: webhook.generation)
        }
    }

    /// The header lines of one attempt (contract §1).
    func headerLines(for delivery: Delivery, attempt: Int, at now: Timestamp) -> [UInt8] {
        var lines: [UInt8] = []
        lines.reserveCapacity(512)
        func line(_ name: StaticString, _ value: (inout [UInt8]) -> Void) {
            lines.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
            value(&lines)
            lines.append(0x0D)
            lines.append(0x0A)
        }
        let attemptDigits = Array(String(attempt).utf8)
        let seconds = Array(String(now.milliseconds / 1000).utf8)
        var eventID: [UInt8] = []
        delivery.event.append(to: &eventID)
        line("X-Learnault-Event: ") { $0.append(contentsOf: delivery.eventType.utf8) }
        line("X-Learnault-Delivery: ") {
            delivery.id.append(to: &$0)
            $0.append(UInt8(ascii: "."))
            $0.append(contentsOf: attemptDigits)
        }
        let valid = signers.filter { $0.expiresAt.map { now < $0 } ?? true }
        // While a secret is rotated the old one signs X-Learnault-Signature; it stands behind the new one.
        line("X-Learnault-Signature: ") { text in
            (valid.last ?? signers[0]).secret.signBody(delivery.body) { text.appendHex($0) }
        }
        line("webhook-id: ") { $0.append(contentsOf: eventID) }
        line("webhook-timestamp: ") { $0.append(contentsOf: seconds) }
        line("webhook-signature: ") { text in
            for (index, signer) in (valid.isEmpty ? [signers[0]] : valid).enumerated() {
                if index > 0 { text.append(UInt8(ascii: " ")) }
                text.append(
                    contentsOf: signer.secret.standardSignature(id: eventID, timestamp: seconds, body: delivery.body))
            }
        }
        return lines
    }
}

extension [UInt8] {
    fileprivate mutating func appendHex(_ bytes: UnsafeRawBufferPointer) {
        for byte in bytes {
            append(hexDigit(byte >> 4))
            append(hexDigit(byte & 15))
        }
    }
}
