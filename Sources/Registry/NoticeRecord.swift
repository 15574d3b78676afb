// Notices as records. Their ids are derived from webhook and generation, so that a repeated transition repeats the id and
// never multiplies it.
internal import Core
internal import Crypto
internal import JSON

extension Notice {
    var id: NoticeID {
        NoticeID(bytes: Digest.sha256(Array("notice\0\(kind.rawValue)\0\(webhook)\0\(generation)".utf8)))
    }

    var json: [UInt8] {
        JSONWriter.document { writer in
            writer.field("id", id.description)
            writer.field("type", kind.rawValue)
            writer.field("created", at.secondsText)
            writer.field("accountId", account.description)
            writer.field("webhookId", webhook.description)
            writer.object("data") { writer in
                writer.field("reason", reason)
                writer.field("failedAttempts", failedAttempts)
                writer.field("lastError", lastError)
                writer.field("generation", generation)
            }
        }
    }
}
