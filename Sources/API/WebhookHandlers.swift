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

    /// A command that was applied.
    struct Applied {
        let command: CommandID
        /// The webhook as the command left it, where that is known; of a request that was sent again with its idempotency
        /// key, as the first one left it.
        let webhook: Webhook?
        /// When the first request was made, where this one has a key and is another.
        let repeats: Timestamp?
    }

    /// The webhook a write is for. With an idempotency key the registry alone can say that it is not there: the request may be
    /// the one again that deleted it.
    func target(of call: APICall) throws(APIError) -> WebhookID {
        guard call.request.headers[WriteGuards.keyHeader] == nil else {
            guard let id = call.parameters["webhookId"].flatMap({ WebhookID($0) }) else { throw .webhookNotFound() }
            return id
        }
        return try self.webhook(of: call).id
    }

    func create(_ call: APICall) {
        let body: NewWebhookFields
        do throws(APIError) {
            body = try RequestBody.read(call.request) { fields.new(&$0) }
        } catch {
            return call.respond(error)
        }
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let id = WebhookID(bytes: Random.bytes(12))
        let secret = newSecret(of: id, call, at: now)
        let made = Webhook(
            id: id, account: call.account, url: body.url, description: body.description, events: body.events,
            isActive: body.isActive, version: body.version, createdAt: now, updatedAt: now, secrets: [secret.sealed])
        send(.createWebhook(made), at: now, for: call) { applied in
            // Of a registry from before there were receipts: what its first answer left is not known, and this one's id never came
            // to be.
            guard let webhook = applied.webhook else { return APIError.carriedOut().response }
            guard let text = self.text(of: secret, in: webhook) else { return APIError.secretUnopenable().response }
            return .created(webhook, signingSecret: text).tagged(webhook)
        }
    }

    func update(_ call: APICall) {
        let id: WebhookID
        let patch: WebhookPatch
        do throws(APIError) {
            id = try target(of: call)
            patch = try RequestBody.read(call.request) { fields.patch(&$0) }
            // Nothing to decide: what the view shows is the answer.
            if patch == WebhookPatch(), call.request.headers[WriteGuards.keyHeader] == nil,
                call.request.headers["If-Match"] == nil
            {
                let webhook = try self.webhook(of: call)
                return call.respond(.data(200) { $0.webhook(webhook) }.tagged(webhook))
            }
        } catch {
            return call.respond(error)
        }
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        send(.updateWebhook(id, patch), at: now, for: call) { applied in
            // A change that changed nothing left no record. Somebody may have deleted it since.
            guard let updated = applied.webhook ?? view.read({ $0.webhooks[id] }) else {
                return APIError.webhookNotFound().response
            }
            return .data(200) { $0.webhook(updated) }.tagged(updated)
        }
    }

    func delete(_ call: APICall) {
        let id: WebhookID
        do throws(APIError) { id = try target(of: call) } catch { return call.respond(error) }
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        send(.deleteWebhook(id), at: now, for: call) { _ in HTTPServerResponse(status: 204) }
    }

    /// For what is no change of the registry's: has it remember the request where it has an idempotency key, and refuse the key
    /// where it belongs to another one. Without a key `If-Match` is held against this process's view, which is what the
    /// caller reads; there is no change that another one could get between.
    /// - Parameter then: is told the command the key makes, by which to name what the request makes.
    func note(
        _ webhook: WebhookID, for call: APICall, then: @escaping @Sendable (_ noted: Applied?) -> Void
    ) {
        guard call.request.headers[WriteGuards.keyHeader] != nil else {
            do throws(APIError) {
                let guards = try WriteGuards(call.request, account: call.account)
                let revision = try self.webhook(of: call).revision
                guard guards.revisions?.contains(revision) ?? true else { throw .preconditionFailed() }
            } catch { return call.respond(error) }
            return then(nil)
        }
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        send(.noteRequest(webhook), at: now, for: call, then: { then($0) })
    }

    /// Sends a command and answers the call once its outcome is known.
    func send(
        _ change: Command.Change, at now: Timestamp, for call: APICall,
        applied: @escaping @Sendable (Applied) -> HTTPServerResponse
    ) {
        send(change, at: now, for: call, then: { call.respond(applied($0)) })
    }

    /// The same, where the answer has to wait for more.
    /// - Parameter then: called when the command is applied; answers the call in the end.
    func send(
        _ change: Command.Change, at now: Timestamp, for call: APICall, then: @escaping @Sendable (Applied) -> Void
    ) {
        let guards: WriteGuards
        do throws(APIError) { guards = try WriteGuards(call.request, account: call.account) } catch {
            return call.respond(error)
        }
        var isNew = false
        if case .createWebhook = change { isNew = true }
        let command = Command(
            id: guards.command, account: call.account, at: now,
            notAfter: now.adding(milliseconds: CommandAge.validMilliseconds), change: change, actor: .key(call.keyID),
            fingerprint: guards.fingerprint, revisions: isNew ? nil : guards.revisions)
        client.send(command) { outcome in
            switch outcome {
            case .applied(let effect):
                let repeats = effect.requestedAt.flatMap { $0 == now ? nil : $0 }
                then(Applied(command: command.id, webhook: effect.webhook, repeats: repeats))
            case .refused(let refusal): call.respond(.refused(refusal, webhooksPerAccount: webhooksPerAccount))
            case .unconfirmed:
                Log.warning(
                    "a change through the API was not confirmed in time", .account("\(call.account)"),
                    .command("\(command.id)"))
                call.respond(.unconfirmed())
            case .unseen:
                Log.warning(
                    "a change through the API was carried out, but this process's view does not show it in time",
                    .account("\(call.account)"), .command("\(command.id)"))
                call.respond(.carriedOut())
            }
        }
    }
}

/// What a signing secret is bound to at rest: `SecretBox` opens it with the same bytes only.
package func secretContext(account: AccountID, webhook: WebhookID) -> [UInt8] {
    Array("\(account)\0\(webhook)".utf8)
}
