// The JSON forms of the registry's topics: accounts, subscriptions, commands. Those of answers are in ResultCodec.
package import Core
package import JSON

/// Why a record of the registry's topics cannot be read; names the field.
package struct RegistryRecordError: Error, Equatable, CustomStringConvertible {
    package let description: String
}

/// Reads fields of one JSON object and names the one that is wrong.
struct Fields {
    let object: JSONValue

    func text(_ name: String) throws(RegistryRecordError) -> String {
        guard let value = object[name]?.string else { throw wrong(name) }
        return value
    }

    func optionalText(_ name: String) -> String? { object[name]?.string }

    func integer(_ name: String) throws(RegistryRecordError) -> Int {
        guard let value = object[name]?.int else { throw wrong(name) }
        return value
    }

    /// What grows by one now and then: one that is as large as no count of ours is refused, since it could not grow.
    func count(_ name: String) throws(RegistryRecordError) -> Int {
        let value = try integer(name)
        guard (0...Webhook.mostCount).contains(value) else {
            throw RegistryRecordError(description: "field \(name) is not between 0 and \(Webhook.mostCount)")
        }
        return value
    }

    func time(_ name: String) throws(RegistryRecordError) -> Timestamp {
        guard let value = optionalTime(name) else { throw wrong(name) }
        return value
    }

    func optionalTime(_ name: String) -> Timestamp? {
        object[name]?.stringBytes.flatMap { Timestamp(rfc3339: $0) }
    }

    func id<Kind>(_ name: String) throws(RegistryRecordError) -> ID<Kind> {
        guard let bytes = object[name]?.stringBytes, let id = ID<Kind>(bytes) else { throw wrong(name) }
        return id
    }

    func texts(_ name: String) throws(RegistryRecordError) -> [String] {
        guard let value = object[name]?.stringArray else { throw wrong(name) }
        return value
    }

    func optionalIntegers(_ name: String) throws(RegistryRecordError) -> [Int]? {
        guard let value = object[name] else { return nil }
        guard value.isArray else { throw wrong(name) }
        var numbers: [Int] = []
        for element in value.elements {
            guard let number = element.int else { throw wrong(name) }
            numbers.append(number)
        }
        return numbers
    }

    func boolean(_ name: String) throws(RegistryRecordError) -> Bool {
        guard let value = object[name]?.bool else { throw wrong(name) }
        return value
    }

    func objects(_ name: String) throws(RegistryRecordError) -> [Fields] {
        guard let value = object[name], value.isArray else { throw wrong(name) }
        return value.elements.map { Fields(object: $0) }
    }

    /// A command changes what is its own account's and nothing else.
    func otherAccount(_ name: String) -> RegistryRecordError {
        RegistryRecordError(description: "field \(name) is of another account than accountId")
    }

    func wrong(_ name: String) -> RegistryRecordError {
        RegistryRecordError(description: "field \(name) misses or is of the wrong kind")
    }
}

extension Account {
    package init(json: JSONValue) throws(RegistryRecordError) {
        let fields = Fields(object: json)
        var keys: [APIKey] = []
        for key in try fields.objects("keys") { keys.append(try APIKey(key)) }
        self.init(
            id: try fields.id("id"), email: try fields.text("email"), name: fields.optionalText("name"), keys: keys,
            createdAt: try fields.time("createdAt"))
    }

    package func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("id", id.description)
            writer.field("email", email)
            if let name { writer.field("name", name) }
            writer.key("keys")
            writer.beginArray()
            for key in keys { key.write(to: &writer) }
            writer.endArray()
            writer.field("createdAt", createdAt.description)
        }
    }
}

extension Webhook {
    package init(json: JSONValue) throws(RegistryRecordError) {
        let fields = Fields(object: json)
        var secrets: [SealedSecret] = []
        for secret in try fields.objects("secrets") { secrets.append(try SealedSecret(secret)) }
        var disabled: Disabled?
        if let object = json["disabled"], object.isObject {
            let fields = Fields(object: object)
            disabled = Disabled(
                reason: try fields.text("reason"), at: try fields.time("at"), lastError: try fields.text("lastError"))
        }
        self.init(
            id: try fields.id("id"), account: try fields.id("accountId"), url: try fields.text("url"),
            description: fields.optionalText("description"), events: try fields.texts("events"),
            isActive: try fields.boolean("isActive"), version: try fields.text("version"),
            generation: try fields.count("generation"),
            revision: json["revision"] == nil ? Webhook.unknownRevision : try fields.count("revision"),
            createdAt: try fields.time("createdAt"), updatedAt: try fields.time("updatedAt"), secrets: secrets,
            disabled: disabled,
            warnedGeneration: json["warnedGeneration"]?.int, replays: try Replay.list(json["replays"]))
    }

    package func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("id", id.description)
            writer.field("accountId", account.description)
            writer.field("url", url)
            if let description { writer.field("description", description) }
            writer.field("events", events)
            writer.field("isActive", isActive)
            writer.field("version", version)
            writer.field("generation", generation)
            writer.field("revision", revision)
            writer.field("createdAt", createdAt.description)
            writer.field("updatedAt", updatedAt.description)
            writer.key("secrets")
            writer.beginArray()
            for secret in secrets { secret.write(to: &writer) }
            writer.endArray()
            if let disabled {
                writer.object("disabled") { writer in
                    writer.field("reason", disabled.reason)
                    writer.field("at", disabled.at.description)
                    writer.field("lastError", disabled.lastError)
                }
            }
            if let warnedGeneration { writer.field("warnedGeneration", warnedGeneration) }
            if !replays.isEmpty {
                writer.key("replays")
                writer.beginArray()
                for replay in replays { replay.write(to: &writer) }
                writer.endArray()
            }
        }
    }
}

extension Command {
    package init(json: JSONValue) throws(RegistryRecordError) {
        let fields = Fields(object: json)
        let change: Change
        switch try fields.text("type") {
        case "account.create":
            guard let account = json["account"] else { throw fields.wrong("account") }
            let made = try Account(json: account)
            guard try fields.id("accountId") == made.id else { throw fields.otherAccount("account") }
            change = .createAccount(made)
        case "account.delete": change = .deleteAccount
        case "webhook.create":
            guard let webhook = json["webhook"] else { throw fields.wrong("webhook") }
            let made = try Webhook(json: webhook)
            guard try fields.id("accountId") == made.account else { throw fields.otherAccount("webhook") }
            change = .createWebhook(made)
        case "webhook.update":
            guard let patch = json["patch"] else { throw fields.wrong("patch") }
            change = .updateWebhook(
                try fields.id("webhookId"),
                WebhookPatch(
                    url: patch["url"]?.string, description: patch["description"].map { $0.string },
                    events: patch["events"]?.stringArray, isActive: patch["isActive"]?.bool))
        case "webhook.delete": change = .deleteWebhook(try fields.id("webhookId"))
        case "webhook.disable":
            change = .disableWebhook(
                try fields.id("webhookId"),
                DisableOrder(
                    generation: try fields.integer("generation"), reason: try fields.text("reason"),
                    failedAttempts: try fields.integer("failedAttempts"), lastError: try fields.text("lastError"),
                    failingSince: try fields.time("failingSince")))
        case "webhook.warn":
            change = .warnWebhook(
                try fields.id("webhookId"),
                WarnOrder(
                    generation: try fields.integer("generation"), failedAttempts: try fields.integer("failedAttempts"),
                    lastError: try fields.text("lastError"), failingSince: try fields.time("failingSince"),
                    lastAttemptAt: try fields.time("lastAttemptAt")))
        case let type:
            if let replayChange = try Change(replayCommand: type, fields) {
                change = replayChange
            } else if let rotation = try Change(rotationCommand: type, fields) {
                change = rotation
            } else {
                throw fields.wrong("type")
            }
        }
        self.init(
            id: try fields.id("id"), account: try fields.id("accountId"), at: try fields.time("at"),
            notAfter: fields.optionalTime("notAfter"), change: change,
            actor: fields.optionalText("actor").flatMap { Actor($0) }, fingerprint: fields.optionalText("fingerprint"),
            revisions: try fields.optionalIntegers("revisions"))
    }

    /// The command as a record's value; its key is the account id.
    package var json: [UInt8] {
        JSONWriter.document { writer in
            writer.field("id", id.description)
            writer.field("type", typeName)
            writer.field("accountId", account.description)
            writer.field("at", at.description)
            if let notAfter { writer.field("notAfter", notAfter.description) }
            if let actor { writer.field("actor", actor.description) }
            if let fingerprint { writer.field("fingerprint", fingerprint) }
            if let revisions {
                writer.key("revisions")
                writer.beginArray()
                for revision in revisions { writer.integer(revision) }
                writer.endArray()
            }
            switch change {
            case .createAccount(let account):
                writer.key("account")
                account.write(to: &writer)
            case .deleteAccount: break
            case .createWebhook(let webhook):
                writer.key("webhook")
                webhook.write(to: &writer)
            case .updateWebhook(let id, let patch):
                writer.field("webhookId", id.description)
                writer.object("patch") { patch.write(to: &$0) }
            case .deleteWebhook(let id): writer.field("webhookId", id.description)
            case .disableWebhook(let id, let order):
                writer.field("webhookId", id.description)
                writer.field("generation", order.generation)
                writer.field("reason", order.reason)
                writer.field("failedAttempts", order.failedAttempts)
                writer.field("lastError", order.lastError)
                writer.field("failingSince", order.failingSince.description)
            case .warnWebhook(let id, let order):
                writer.field("webhookId", id.description)
                writer.field("generation", order.generation)
                writer.field("failedAttempts", order.failedAttempts)
                writer.field("lastError", order.lastError)
                writer.field("failingSince", order.failingSince.description)
                writer.field("lastAttemptAt", order.lastAttemptAt.description)
            case .startReplay, .progressReplay, .finishReplay, .cancelReplay: change.writeReplay(to: &writer)
            case .rotateSecret, .rewrapSecrets, .rotateKey, .revokeKey: change.writeRotation(to: &writer)
            case .noteRequest(let id): writer.field("webhookId", id.description)
            case .withdraw(let command, let id, let requestedAt):
                writer.field("commandId", command.description)
                writer.field("webhookId", id.description)
                writer.field("requestedAt", requestedAt.description)
            }
        }
    }

    package var typeName: String {
        switch change {
        case .createAccount: "account.create"
        case .deleteAccount: "account.delete"
        case .createWebhook: "webhook.create"
        case .updateWebhook: "webhook.update"
        case .deleteWebhook: "webhook.delete"
        case .disableWebhook: "webhook.disable"
        case .warnWebhook: "webhook.warn"
        case .startReplay: "replay.start"
        case .progressReplay: "replay.progress"
        case .finishReplay: "replay.finish"
        case .cancelReplay: "replay.cancel"
        case .rotateSecret: "webhook.rotate-secret"
        case .rewrapSecrets: "webhook.rewrap-secrets"
        case .rotateKey: "account.rotate-key"
        case .revokeKey: "account.revoke-key"
        case .noteRequest: "request.note"
        case .withdraw: "command.withdraw"
        }
    }
}

extension WebhookPatch {
    fileprivate func write(to writer: inout JSONWriter) {
        if let url { writer.field("url", url) }
        if let description { writer.field("description", description) }
        if let events { writer.field("events", events) }
        if let isActive { writer.field("isActive", isActive) }
    }
}
