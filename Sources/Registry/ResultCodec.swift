// The JSON form of the registry's answers.
package import Core
package import JSON

/// A record of `results`: the registry's answer to one command.
package struct CommandResult: Equatable, Sendable {
    package var command: CommandID
    package var answer: Answer
    /// Whether a state record carries this command's id in its header `command-id`, which a view waits for.
    package var wroteState: Bool
    /// Of a command with an idempotency key. Of a refusal because of the key it is the refused request's.
    package var receipt: Receipt?
    /// ``Command/at`` of the command that this answers, where it has an idempotency key; the receipt's is the first one's.
    package var requestedAt: Timestamp?
    /// That its webhook has now; nil where there is none, of a refusal, and of a registry from before this was told.
    package var revision: Int?

    package init(
        command: CommandID, answer: Answer, wroteState: Bool, receipt: Receipt? = nil,
        requestedAt: Timestamp? = nil, revision: Int? = nil
    ) {
        self.command = command
        self.answer = answer
        self.wroteState = wroteState
        self.receipt = receipt
        self.requestedAt = requestedAt
        self.revision = revision
    }

    package init(json: JSONValue) throws(RegistryRecordError) {
        let fields = Fields(object: json)
        command = try fields.id("commandId")
        wroteState = try fields.boolean("wroteState")
        switch try fields.text("status") {
        case "applied": answer = .applied
        case "refused":
            guard let refusal = Refusal(rawValue: try fields.text("code")) else { throw fields.wrong("code") }
            answer = .refused(refusal)
        default: throw fields.wrong("status")
        }
        requestedAt = fields.optionalTime("requestedAt")
        revision = json["revision"]?.int
        if let receipt = json["receipt"] { self.receipt = try Receipt(json: receipt) }
    }

    package var json: [UInt8] {
        JSONWriter.document { writer in
            writer.field("commandId", command.description)
            switch answer {
            case .applied: writer.field("status", "applied")
            case .refused(let refusal):
                writer.field("status", "refused")
                writer.field("code", refusal.rawValue)
            }
            writer.field("wroteState", wroteState)
            if let requestedAt { writer.field("requestedAt", requestedAt.description) }
            if let revision { writer.field("revision", revision) }
            receipt?.write(to: &writer)
        }
    }
}

extension Receipt {
    init(json: JSONValue) throws(RegistryRecordError) {
        let fields = Fields(object: json)
        self.init(
            account: try fields.id("accountId"), fingerprint: try fields.text("fingerprint"), at: try fields.time("at"),
            webhook: try json["webhook"].map { json throws(RegistryRecordError) in try Webhook(json: json) })
    }

    func write(to writer: inout JSONWriter) {
        writer.object("receipt") { writer in
            writer.field("accountId", account.description)
            writer.field("fingerprint", fingerprint)
            writer.field("at", at.description)
            if let webhook {
                writer.key("webhook")
                webhook.write(to: &writer)
            }
        }
    }
}
