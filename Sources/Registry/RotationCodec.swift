// The JSON forms of signing secrets and API keys, and of the commands that replace them.
internal import Core
internal import Crypto
internal import JSON

extension APIKey {
    init(_ fields: Fields) throws(RegistryRecordError) {
        self.init(
            id: try fields.text("id"), hash: try fields.text("hash"), createdAt: try fields.time("createdAt"),
            expiresAt: fields.optionalTime("expiresAt"))
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("id", id)
            writer.field("hash", hash)
            writer.field("createdAt", createdAt.description)
            if let expiresAt { writer.field("expiresAt", expiresAt.description) }
        }
    }
}

extension SealedSecret {
    init(_ fields: Fields) throws(RegistryRecordError) {
        self.init(
            keyID: try fields.text("keyId"), box: try fields.bytes("box"), createdAt: try fields.time("createdAt"),
            expiresAt: fields.optionalTime("expiresAt"))
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("keyId", keyID)
            writer.field("box", Base64.encode(box))
            writer.field("createdAt", createdAt.description)
            if let expiresAt { writer.field("expiresAt", expiresAt.description) }
        }
    }
}

extension Fields {
    /// Base64.
    fileprivate func bytes(_ name: String) throws(RegistryRecordError) -> [UInt8] {
        guard let bytes = Base64.decode(try text(name)) else { throw wrong(name) }
        return bytes
    }

    fileprivate func overlap() throws(RegistryRecordError) -> Int64 {
        let seconds = try integer("overlapSeconds")
        guard (0...RotationOverlap.mostSeconds).contains(seconds) else { throw wrong("overlapSeconds") }
        return Int64(seconds) * 1000
    }

    fileprivate func object(_ name: String) throws(RegistryRecordError) -> Fields {
        guard let value = object[name], value.isObject else { throw wrong(name) }
        return Fields(object: value)
    }
}

extension Command.Change {
    /// - Returns: nil for a type that is none of the commands about secrets, keys and requests.
    init?(rotationCommand type: String, _ fields: Fields) throws(RegistryRecordError) {
        switch type {
        case "webhook.rotate-secret":
            self = .rotateSecret(
                try fields.id("webhookId"), try SealedSecret(try fields.object("secret")),
                overlapMilliseconds: try fields.overlap())
        case "webhook.rewrap-secrets":
            var rewraps: [SecretRewrap] = []
            for rewrap in try fields.objects("rewraps") {
                rewraps.append(
                    SecretRewrap(
                        old: try rewrap.bytes("old"), keyID: try rewrap.text("keyId"), box: try rewrap.bytes("box")))
            }
            self = .rewrapSecrets(try fields.id("webhookId"), rewraps)
        case "account.rotate-key":
            self = .rotateKey(try APIKey(try fields.object("key")), overlapMilliseconds: try fields.overlap())
        case "account.revoke-key": self = .revokeKey(try fields.text("keyId"))
        case "request.note": self = .noteRequest(try fields.id("webhookId"))
        case "command.withdraw":
            self = .withdraw(
                try fields.id("commandId"), try fields.id("webhookId"), requestedAt: try fields.time("requestedAt"))
        default: return nil
        }
    }

    func writeRotation(to writer: inout JSONWriter) {
        switch self {
        case .rotateSecret(let webhook, let secret, let overlap):
            writer.field("webhookId", webhook.description)
            writer.key("secret")
            secret.write(to: &writer)
            writer.field("overlapSeconds", Int(overlap / 1000))
        case .rewrapSecrets(let webhook, let rewraps):
            writer.field("webhookId", webhook.description)
            writer.key("rewraps")
            writer.beginArray()
            for rewrap in rewraps {
                writer.object { writer in
                    writer.field("old", Base64.encode(rewrap.old))
                    writer.field("keyId", rewrap.keyID)
                    writer.field("box", Base64.encode(rewrap.box))
                }
            }
            writer.endArray()
        case .rotateKey(let key, let overlap):
            writer.key("key")
            key.write(to: &writer)
            writer.field("overlapSeconds", Int(overlap / 1000))
        case .revokeKey(let id): writer.field("keyId", id)
        default: preconditionFailure("no command about a rotation")
        }
    }
}
