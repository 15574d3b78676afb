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
    private let signer: WebhookSigner

    static let fixedLines = Array("Content-Type: application/json\r\nUser-Agent: Learnault-Webhooks/1.0\r\n".utf8)

    private init(webhook: Webhook, endpoint: HTTPEndpoint, signer: WebhookSigner) {
        self.webhook = webhook
        self.endpoint = endpoint
        self.signer = signer
    }

    /// - Parameter now: what is over by then is not opened: it signs nothing, and the key that sealed it may be gone.
    static func make(
        _ webhook: Webhook, secrets box: SecretBox, allowHTTP: Bool, policy: AddressPolicy, at now: Timestamp
    ) -> TargetState {
        guard let url = try? EndpointURL(webhook.url, allowHTTP: allowHTTP, policy: policy) else {
            return .unusable(.endpoint, generation: webhook.generation)
        }
        do {
            let context = Array("\(webhook.account)\0\(webhook.id)".utf8)
            var secrets: [(secret: WebhookSecret, expiresAt: Int64?)] = []
            for sealed in webhook.secrets where sealed.isValid(at: now) {
                do throws(CryptoError) {
                    let secret = try box.open(sealed.box, keyID: sealed.keyID, context: context) {
                        text throws(CryptoError) in try WebhookSecret(text)
                    }
                    secrets.append((secret, sealed.expiresAt?.milliseconds))
                } catch {
                    // Without the current one nothing verifies in the end; without one that goes the rest does.
                    guard sealed.expiresAt != nil else { throw error }
                    Log.warning(
                        "a signing secret that is being rotated out cannot be opened; the others sign",
                        .webhook(webhook.id.description), .error("\(error)"),
                        .fix("put the key that sealed it into secrets.keyFile"))
                }
            }
            guard !secrets.isEmpty else { throw CryptoError(description: "the webhook has no secret") }
            return .active(
                Target(
                    webhook: webhook, endpoint: HTTPEndpoint(url, fixedLines: fixedLines),
                    signer: WebhookSigner(secrets)))
        } catch {
            // Said once a change of the webhook, not once a record: nothing is sent, and nothing is lost.
            Log.error(
                "signing secret cannot be opened; deliveries wait", .webhook(webhook.id.description),
                .error("\(error)"), .fix("put the key that sealed it into secrets.keyFile"))
            return .unusable(.secret, generation: webhook.generation)
        }
    }

    /// The header lines of one attempt (contract §1).
    func headerLines(for delivery: Delivery, attempt: Int, at now: Timestamp) -> [UInt8] {
        var lines: [UInt8] = []
        // Enough for two signatures: the one allocation of it all.
        lines.reserveCapacity(512)
        lines.append("X-Learnault-Event: ")
        lines.append(contentsOf: delivery.eventType.utf8)
        lines.append("\r\nX-Learnault-Delivery: ")
        delivery.id.append(to: &lines)
        lines.append(UInt8(ascii: "."))
        lines.append(decimal: attempt)
        lines.append("\r\n")
        signer.appendLines(to: &lines, body: delivery.body, now: now.milliseconds) { delivery.event.append(to: &$0) }
        return lines
    }
}
