// Emails as records of the topic `emails`. Their ids are derived from template, webhook and generation, so that a repeated
// transition repeats the id and never multiplies it.
package import Core
internal import Crypto
internal import JSON

extension EmailOrder {
    var id: EmailID {
        EmailID(bytes: Digest.sha256(Array("email\0\(template.rawValue)\0\(webhook)\0\(generation)".utf8)))
    }

    /// - Parameter api: where subscribers reach the API; nil: `$API`.
    package func json(account: AccountID, api: String?) -> [UInt8] {
        let page = page(account: account, api: api)
        return JSONWriter.document { writer in
            writer.field("id", id.description)
            writer.field("template", template.rawValue)
            writer.field("to", address)
            writer.field("subject", page.subject)
            writer.field("text", page.text)
            writer.field("html", page.html)
            writer.field("accountId", account.description)
            writer.field("webhookId", webhook.description)
            writer.field("createdAt", at.secondsText)
        }
    }
}
