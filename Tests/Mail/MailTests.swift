// Mails as values: the header lines of a message, and what follows from a server's answer.
import Core
import JSON
import Mail
import Testing

@Suite struct MailMessageTests {
    private func message(to: String = "ops@example.com", subject: String = "Disabled") throws -> MailMessage {
        try MailMessage(
            id: EmailID("eml_00112233445566778899aabb")!, account: AccountID("acct_000000000000000000000001")!,
            template: "webhook-disabled", to: to, subject: subject, text: "One\nTwo\r\nThree\rFour", html: "<p>One</p>",
            createdAt: Timestamp(rfc3339: "2024-01-15T10:30:00Z")!)
    }

    @Test func headersAreComplete() throws {
        #expect(
            try message().headerLines(from: "webhooks@bridge.example") == [
                "Date: Mon, 15 Jan 2024 10:30:00 +0000",
                "From: Learnault Webhooks <webhooks@bridge.example>",
                "To: <ops@example.com>",
                "Subject: Disabled",
                "Message-ID: <eml_00112233445566778899aabb@bridge.example>",
                "Auto-Submitted: auto-generated",
                "Content-Type: multipart/alternative",
            ])
    }

    @Test func linesEndAsMailWantsIt() throws {
        let parts = try message().parts
        #expect(parts.map(\.type) == ["text/plain; charset=utf-8", "text/html; charset=utf-8"], "the best form last")
        #expect(Array(parts[0].content.utf8) == Array("One\r\nTwo\r\nThree\r\nFour".utf8))
    }

    @Test(arguments: [
        "a@b\r\nBcc: c@d", "a@b\nX: y", "a@b\rX: y", "a@b>", "<a@b", "a b@c", "a@b c", "a@b,c@d", "a@b;c", "a", "@b",
        "a@",
        "a@b@c", "a\u{0}@b", "a@b\u{7F}", "a@b\u{85}", "a@b\u{2028}c", "\"a\"@b", "a@(b)", "",
        String(repeating: "a", count: 320) + "@b",
    ])
    func whatIsNoAddressIsRefusedUnseen(_ address: String) throws {
        let error = #expect(throws: MalformedEmail.self) { try message(to: address) }
        #expect(error?.description == "field to is no address")
    }

    @Test(arguments: [
        "ops@example.com", "first.last+tag@sub.example.co", "ö@exämple.com", "o'neil@x.y", "a!#$%&*-/=?^_`{|}~@b",
    ])
    func whatIsOneIsTaken(_ address: String) throws { #expect(try message(to: address).to == address) }

    @Test(arguments: ["one\r\nBcc: x@y", "one\nBcc: x@y", "one\rBcc: x@y", "one\u{0}two"])
    func aSubjectCannotEndItsLine(_ subject: String) throws {
        let line = try #require(
            try message(subject: subject).headerLines(from: "a@b").first { $0.hasPrefix("Subject:") })
        #expect(line.unicodeScalars.allSatisfy { $0.value >= 0x20 })
    }

    @Test func aSubjectThatIsNotASCIIBecomesEncodedWords() throws {
        let subject = String(repeating: "Ärger mit Webhooks ☹ ", count: 20)
        let line = try #require(
            try message(subject: subject).headerLines(from: "a@b").first { $0.hasPrefix("Subject:") })
        let lines = line.split(separator: "\r\n").map(String.init)
        #expect(lines.count > 5 && lines.dropFirst().allSatisfy { $0.hasPrefix(" =?utf-8?B?") })
        #expect(lines.allSatisfy { $0.utf8.count <= 76 && $0.utf8.allSatisfy { (0x20..<0x7F).contains($0) } })
        // A word may not be decoded as one already.
        #expect(MailText.encodedWords("=?utf-8?Q?x?=", behind: 9).hasPrefix("=?utf-8?B?"))
        #expect(MailText.encodedWords("Ä", behind: 9) == "=?utf-8?B?w4Q=?=")
    }

    @Test(arguments: [
        ("1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 +0000"),
        ("1969-12-31T23:59:59Z", "Wed, 31 Dec 1969 23:59:59 +0000"),
        ("2024-02-29T12:00:00Z", "Thu, 29 Feb 2024 12:00:00 +0000"),
        ("2026-11-24T19:02:22.500Z", "Tue, 24 Nov 2026 19:02:22 +0000"),
    ])
    func datesAreThoseOfTheCalendar(_ given: String, _ date: String) {
        #expect(MailText.date(Timestamp(rfc3339: given)!) == date)
    }

    @Test(arguments: ["id", "template", "to", "subject", "text", "html", "accountId", "createdAt"])
    func aRecordNeedsEachField(_ missing: String) throws {
        let fields = [
            "id": "eml_00112233445566778899aabb", "accountId": "acct_000000000000000000000001", "template": "t",
            "to": "a@b",
            "subject": "s", "text": "t", "html": "h", "createdAt": "2024-01-15T10:30:00Z",
        ]
        func read(_ fields: [String: String]) throws -> MailMessage {
            let text = "{" + fields.map { "\"\($0)\":\"\($1)\"" }.joined(separator: ",") + "}"
            return try Array(text.utf8).withUnsafeBytes { try JSONParser().parse($0) { try MailMessage(json: $0) } }
        }
        #expect(try read(fields).to == "a@b")
        let error = #expect(throws: MalformedEmail.self) { try read(fields.filter { $0.key != missing }) }
        #expect(error?.description.contains("field \(missing) ") == true)
    }
}

@Suite struct MailTryTests {
    private static let day: UInt64 = 86_400_000_000_000

    @Test func whatTheServerSaysDecides() {
        func verdict(_ outcome: MailTry, after: UInt64 = 0) -> MailTry.Verdict { outcome.verdict(putOffFor: after) }
        #expect(verdict(.taken) == .done)
        #expect(
            verdict(.answered(code: 550, to: .recipient))
                == .giveUp(reason: "the mail server refused the recipient for good (550)"))
        #expect(
            verdict(.answered(code: 554, to: .message))
                == .giveUp(reason: "the mail server refused the message for good (554)"))
        for code in [421, 450, 451, 452] { #expect(verdict(.answered(code: code, to: .recipient)) == .again) }
        for code in [530, 534, 535, 538] {
            #expect(verdict(.answered(code: code, to: .sender), after: 3 * Self.day) != .done)
            #expect(verdict(.answered(code: code, to: .sender)) == .again, "the configuration's fault, not the mail's")
        }
        #expect(
            verdict(.failed(cause: "no route"), after: 30 * Self.day) == .again, "a server that is away loses nothing")
        #expect(verdict(.answered(code: 450, to: .recipient), after: Self.day - 1) == .again)
        #expect(
            verdict(.answered(code: 450, to: .recipient), after: Self.day)
                == .giveUp(reason: "the mail server has put the recipient off for a day (450)"))
    }

    @Test func waitsDoubleUpToFiveMinutes() {
        var backoff = MailBackoff()
        let waits = (0..<12).map { _ in backoff.wait() / 1_000_000_000 }
        #expect(waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300])
        backoff.reset()
        let first = backoff.wait()
        #expect(first == 1_000_000_000)
    }

    @Test func aMemoryIsBounded() {
        var memory = BoundedSet<Int>(kept: 10)
        for number in 0..<1000 {
            memory.insert(number)
            memory.insert(number)
            #expect(memory.contains(number) && (number < 10 || memory.contains(number - 9)))
        }
        #expect((0..<1000).count { memory.contains($0) } <= 20)
    }
}
