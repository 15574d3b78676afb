// The documented webhook paths. Reads come from this process's view; a write is a command to the registry, answered
// once the view shows it, so that whoever wrote reads his write.
package import Core
internal import Crypto
internal import HTTPServer
internal import JSON
internal import Registry
internal import Runtime

struct WebhookHandlers: Sendable {
    let view: RegistryView
    let client: any RegistryClient
    let secretBox: SecretBox
    let fields: WebhookFields
    let webhooksPerAccount: Int

    /// The client gives up at 5 s; the registry must not apply a command it can no longer answer in time, also where its
    /// clock is behind by what `CommandAge` takes for agreement.
    static let commandMilliseconds: Int64 = 5000 - CommandAge.skewMilliseconds

    // MARK: Reading

    func list(_ call: APICall) {
        let webhooks = view.read { $0.webhooks(of: call.account) }
        call.respond(
            .data(200) { json in
                json.beginArray()
                for webhook in webhooks { json.webhook(webhook) }
                json.endArray()
            })
    }

    /// The webhook the path names, if it is the caller's.
    func webhook(of call: APICall) throws(APIError) -> Webhook {
        guard let id = call.parameters["webhookId"].flatMap({ WebhookID($0) }),
            let webhook = view.read({ $0.webhooks[id] }), webhook.account == call.account
        else { throw .webhookNotFound() }
        return webhook
    }

    // MARK: Writing

    func create(_ call: APICall) {
        let body: NewWebhookFields
        do throws(APIError) {
            body = try RequestBody.read(call.request) { fields.new(&$0) }
        } catch {
            return call.respond(error)
        }
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let id = WebhookID(bytes: Random.bytes(12))
        let secret = "whsec_" + Base64.encode(Random.bytes(32))
        let sealed = SealedSecret(
            keyID: secretBox.sealingKeyID,
            box: secretBox.seal(Array(secret.utf8), context: secretContext(account: call.account, webhook: id)),
            createdAt: now)
        let webhook = Webhook(
            id: id, account: call.account, url: body.url, description: body.description, events: body.events,
            isActive: body.isActive, version: body.version, createdAt: now, updatedAt: now, secrets: [sealed])
        send(.createWebhook(webhook), at: now, for: call) { command in
            Log.info(
                "webhook created", .account("\(call.account)"), .key(call.keyID), .webhook("\(id)"),
                .command("\(command)"))
            return .created(webhook, signingSecret: secret)
        }
    }

    func update(_ call: APICall) {
        let webhook: Webhook
        let patch: WebhookPatch
        do throws(APIError) {
            webhook = try self.webhook(of: call)
            patch = try RequestBody.read(call.request) { fields.patch(&$0) }
        } catch {
            return call.respond(error)
        }
        if patch == WebhookPatch() { return call.respond(.data(200) { $0.webhook(webhook) }) }
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        send(.updateWebhook(webhook.id, patch), at: now, for: call) { command in
            Log.info(
                "webhook updated", .account("\(call.account)"), .key(call.keyID), .webhook("\(webhook.id)"),
                .command("\(command)"), .name(names(of: patch)))
            // Somebody may have deleted it since.
            guard let updated = view.read({ $0.webhooks[webhook.id] }) else {
                return APIError.webhookNotFound().response
            }
            return .data(200) { $0.webhook(updated) }
        }
    }

    func delete(_ call: APICall) {
        let webhook: Webhook
        do throws(APIError) {
            webhook = try self.webhook(of: call)
        } catch {
            return call.respond(error)
        }
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        send(.deleteWebhook(webhook.id), at: now, for: call) { command in
            Log.info(
                "webhook deleted", .account("\(call.account)"), .key(call.keyID), .webhook("\(webhook.id)"),
                .command("\(command)"))
            return HTTPServerResponse(status: 204)
        }
    }

    /// The route is documented, and nothing rotates a secret yet.
    func rotateSecret(_ call: APICall) {
        do throws(APIError) {
            _ = try webhook(of: call)
            throw .notFound()
        } catch {
            call.respond(error)
        }
    }

    /// Sends a command and answers the call once its outcome is known.
    func send(
        _ change: Command.Change, at now: Timestamp, for call: APICall,
        applied: @escaping @Sendable (CommandID) -> HTTPServerResponse
    ) {
        send(change, at: now, for: call, then: { call.respond(applied($0)) })
    }

    /// The same, where the answer has to wait for more.
    /// - Parameter then: called when the command is applied; answers the call in the end.
    func send(
        _ change: Command.Change, at now: Timestamp, for call: APICall, then: @escaping @Sendable (CommandID) -> Void
    ) {
        let command = Command(
            id: CommandID(bytes: Random.bytes(12)), account: call.account, at: now,
            notAfter: now.adding(milliseconds: Self.commandMilliseconds), change: change)
        client.send(command) { outcome in
            switch outcome {
            case .applied: then(command.id)
            case .refused(let refusal): call.respond(.refused(refusal, webhooksPerAccount: webhooksPerAccount))
            case .unconfirmed:
                Log.warning(
                    "a change through the API was not confirmed in time", .account("\(call.account)"),
                    .command("\(command.id)"))
                call.respond(.unconfirmed())
            }
        }
    }

    /// What was changed, without the values: a URL may carry a credential.
    private func names(of patch: WebhookPatch) -> String {
        var names: [String] = []
        if patch.url != nil { names.append("url") }
        if patch.description != nil { names.append("description") }
        if patch.events != nil { names.append("events") }
        if patch.isActive != nil { names.append("isActive") }
        return names.joined(separator: ",")
    }
}

/// What a signing secret is bound to at rest: `SecretBox` opens it with the same bytes only.
package func secretContext(account: AccountID, webhook: WebhookID) -> [UInt8] {
    Array("\(account)\0\(webhook)".utf8)
}
