// Signing secrets as the API makes and shows them: at registration, and at `POST /v1/webhooks/:webhookId/rotate-secret`.
// Shown once, which with an idempotency key means: in every answer to the same request.
internal import Core
internal import Crypto
internal import HTTPServer
internal import JSON
internal import Registry
internal import Runtime

/// The body of a rotation, which may be left out.
struct RotationRequest: Equatable {
    var overlapSeconds = RotationOverlap.defaultSeconds

    init() {}

    init(_ body: inout RequestBody) {
        overlapSeconds =
            body.integer("overlapSeconds", in: 0...RotationOverlap.mostSeconds) ?? RotationOverlap.defaultSeconds
    }
}

extension WebhookHandlers {
    /// A secret that was made for one request.
    struct NewSecret: Sendable {
        let text: String
        let sealed: SealedSecret
    }

    func newSecret(of webhook: WebhookID, _ call: APICall, at now: Timestamp) -> NewSecret {
        let text = WebhookSecret.generate()
        let box = secretBox.seal(Array(text.utf8), context: secretContext(account: call.account, webhook: webhook))
        return NewSecret(
            text: text, sealed: SealedSecret(keyID: secretBox.sealingKeyID, box: box, createdAt: now))
    }

    /// The secret that a command left as the current one: the one made for it, or that of the first request with its key,
    /// which another process may have made.
    /// - Returns: nil where it cannot be opened.
    func text(of made: NewSecret, in webhook: Webhook) -> String? {
        guard let current = webhook.secrets.first, current.box != made.sealed.box else { return made.text }
        do {
            let context = secretContext(account: webhook.account, webhook: webhook.id)
            let text = try secretBox.open(current.box, keyID: current.keyID, context: context)
            return String(decoding: text, as: UTF8.self)
        } catch {
            Log.error(
                "the signing secret of a repeated request cannot be opened", .webhook("\(webhook.id)"),
                .error("\(error)"), .fix("put the key that sealed it into secrets.keyFile"))
            return nil
        }
    }

    func rotateSecret(_ call: APICall) {
        let id: WebhookID
        let request: RotationRequest
        do throws(APIError) {
            id = try target(of: call)
            request =
                call.request.body.isEmpty
                ? RotationRequest() : try RequestBody.read(call.request) { RotationRequest(&$0) }
        } catch {
            return call.respond(error)
        }
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let secret = newSecret(of: id, call, at: now)
        let overlap = Int64(request.overlapSeconds) * 1000
        send(.rotateSecret(id, secret.sealed, overlapMilliseconds: overlap), at: now, for: call) { applied in
            guard let webhook = applied.webhook ?? view.read({ $0.webhooks[id] }) else {
                return APIError.webhookNotFound().response
            }
            guard let text = self.text(of: secret, in: webhook) else { return APIError.secretUnopenable().response }
            return .rotated(webhook, signingSecret: text).tagged(webhook)
        }
    }
}

extension HTTPServerResponse {
    static func rotated(_ webhook: Webhook, signingSecret: String) -> HTTPServerResponse {
        // Without an overlap the old one ended when the new one was made.
        let current = webhook.secrets[0]
        let end = webhook.secrets.dropFirst().first?.expiresAt ?? current.createdAt
        return data(200) { json in
            json.object { json in
                json.field("id", webhook.id.description)
                json.field("signingSecret", signingSecret)
                json.field("createdAt", current.createdAt.secondsText)
                json.field("previousSecretExpiresAt", end.secondsText)
            }
        }
    }
}

extension APIError {
    static func secretUnopenable() -> APIError {
        unavailable("The signing secret cannot be shown now. The request was carried out; try again with the same key.")
    }
}
