// One mail: what the record says, and the header lines made of it. Whatever a record carries, no field can end a line.
package import Core
package import JSON

/// Why a record of `emails` is none; names the field and never shows its value.
package struct MalformedEmail: Error, Equatable, CustomStringConvertible {
    package let description: String
}

package struct MailMessage: Equatable, Sendable {
    package let id: EmailID
    package let account: AccountID
    package let template: String
    /// Never logged.
    package let to: String
    package let subject: String
    package let text: String
    package let html: String
    package let createdAt: Timestamp

    package init(
        id: EmailID, account: AccountID, template: String, to: String, subject: String, text: String, html: String,
        createdAt: Timestamp
    ) throws(MalformedEmail) {
        guard MailAddress.isOne(to) else { throw MalformedEmail(description: "field to is no address") }
        self.id = id
        self.account = account
        self.template = template
        self.to = to
        self.subject = subject
        self.text = text
        self.html = html
        self.createdAt = createdAt
    }

    package init(json: JSONValue) throws(MalformedEmail) {
        func text(_ name: String) throws(MalformedEmail) -> String {
            guard let value = json[name]?.string else { throw Self.wrong(name) }
            return value
        }
        func id<Kind>(_ name: String) throws(MalformedEmail) -> ID<Kind> {
            guard let id = ID<Kind>(try text(name)) else { throw Self.wrong(name) }
            return id
        }
        guard let createdAt = Timestamp(rfc3339: try text("createdAt")) else { throw Self.wrong("createdAt") }
        try self.init(
            id: try id("id"), account: try id("accountId"), template: try text("template"), to: try text("to"),
            subject: try text("subject"), text: try text("text"), html: try text("html"), createdAt: createdAt)
    }

    private static func wrong(_ name: String) -> MalformedEmail {
        MalformedEmail(description: "field \(name) misses or is of the wrong kind")
    }

    /// The header lines without their ends; only a folded one has a CRLF inside, before a space. The version of MIME is
    /// added by libcurl.
    /// - Parameter sender: `mail.from`, checked when it was configured.
    package func headerLines(from sender: String) -> [String] {
        let domain = sender.split(separator: "@").last.map(String.init) ?? "localhost"
        return [
            "Date: \(MailText.date(createdAt))",
            "From: Learnault Webhooks <\(sender)>",
            "To: <\(to)>",
            "Subject: \(MailText.encodedWords(subject, behind: 9))",
            // The same for every copy: what a crash sends again is known by it.
            "Message-ID: <\(id)@\(domain)>",
            "Auto-Submitted: auto-generated",
            "Content-Type: multipart/alternative",
        ]
    }

    /// The body's parts as they are before their encoding: lines end as mail's do.
    package var parts: [(type: String, content: String)] {
        [
            ("text/plain; charset=utf-8", MailText.withLineEnds(text)),
            ("text/html; charset=utf-8", MailText.withLineEnds(html)),
        ]
    }
}
