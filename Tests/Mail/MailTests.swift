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
    private static let day: Int64 = 86_400_000
    private static let quarter = MailTry.shortestDeferralNanoseconds

    @Test func whatTheServerSaysDecides() {
        func verdict(_ outcome: MailTry, age: Int64 = 0, putOffFor: UInt64 = 0) -> MailTry.Verdict {
            outcome.verdict(ageMilliseconds: age, putOffFor: putOffFor, blamedFor: 0)
        }
        #expect(verdict(.taken) == .done)
        #expect(
            verdict(.answered(code: 550, to: .recipient))
                == .giveUp(reason: "the mail server refused the recipient for good (550)"))
        #expect(
            verdict(.answered(code: 554, to: .message))
                == .giveUp(reason: "the mail server refused the message for good (554)"))
        for part in [MailTry.Part.recipient, .message] {
            for code in [421, 450, 451, 452] { #expect(verdict(.answered(code: code, to: part)) == .setAside) }
        }
        // The configuration's fault, not the mail's: every mail would meet it, and none is lost by it.
        for code in [530, 534, 535, 538] {
            for part in [MailTry.Part.sender, .recipient, .message] {
                #expect(
                    verdict(.answered(code: code, to: part), age: 3 * Self.day, putOffFor: 3 * Self.quarter) == .wait)
            }
        }
        for code in [451, 501, 550, 553, 554] {
            #expect(
                verdict(.answered(code: code, to: .sender), age: 3 * Self.day, putOffFor: 3 * Self.quarter) == .wait)
        }
        #expect(
            verdict(.answered(code: 552, to: .sender))
                == .giveUp(reason: "the mail server refused the sender for good (552)"), "the size is the message's")
        #expect(
            verdict(.failed(cause: "no route", hadBegun: false), age: 30 * Self.day, putOffFor: 3 * Self.quarter)
                == .wait,
            "a server that is away loses nothing")
    }

    /// A connection that breaks with the message on its way, or an answer to it that does not come, is about this mail; so is
    /// what others do not meet. Neither is tried for ever.
    @Test func aFailureThatIsTheMailsOwnHasAnEnd() {
        let begun = MailTry.failed(cause: "late", hadBegun: true)
        #expect(begun.verdict(ageMilliseconds: 0, putOffFor: 0, blamedFor: 0) == .setAside)
        #expect(begun.verdict(ageMilliseconds: Self.day, putOffFor: Self.quarter - 1, blamedFor: 0) == .setAside)
        #expect(begun.verdict(ageMilliseconds: Self.day - 1, putOffFor: Self.quarter, blamedFor: 0) == .setAside)
        guard case .giveUp = begun.verdict(ageMilliseconds: Self.day, putOffFor: Self.quarter, blamedFor: 0) else {
            return #expect(Bool(false), "a day has an end")
        }
        let before = MailTry.failed(cause: "reset", hadBegun: false)
        #expect(before.verdict(ageMilliseconds: Self.day, putOffFor: 0, blamedFor: Self.quarter - 1) == .wait)
        #expect(before.verdict(ageMilliseconds: Self.day - 1, putOffFor: 0, blamedFor: Self.quarter) == .wait)
        guard case .giveUp = before.verdict(ageMilliseconds: Self.day, putOffFor: 0, blamedFor: Self.quarter) else {
            return #expect(Bool(false), "a day has an end")
        }
        #expect(begun.isServerWorking && !before.isServerWorking)
    }

    /// By the mail's own age, which a restart does not change; but not at the first try after a long absence.
    @Test func aMailIsPutOffForADayAndAtLeastForAQuarterOfAnHour() {
        for part in [MailTry.Part.recipient, .message] {
            let outcome = MailTry.answered(code: 450, to: part)
            func verdict(_ age: Int64, _ putOffFor: UInt64) -> MailTry.Verdict {
                outcome.verdict(ageMilliseconds: age, putOffFor: putOffFor, blamedFor: 0)
            }
            #expect(verdict(Self.day - 1, 100 * Self.quarter) == .setAside)
            #expect(verdict(9 * Self.day, Self.quarter - 1) == .setAside)
            #expect(
                verdict(Self.day, Self.quarter)
                    == .giveUp(reason: "the mail server has put the \(part.rawValue) off for a day (450)"))
        }
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

@Suite struct MailQueueTests {
    private static let second: UInt64 = 1_000_000_000

    private func tried(_ queue: inout MailQueue<Int>, at now: UInt64) -> Int? {
        guard case .try(let job) = queue.next(now: now) else { return nil }
        return job
    }

    private func wait(_ queue: inout MailQueue<Int>, at now: UInt64) -> UInt64? {
        guard case .wait(let until) = queue.next(now: now) else { return nil }
        return until
    }

    @Test func oneThatIsPutOffHoldsNobodyUp() {
        var queue = MailQueue<Int>()
        for job in 1...3 { queue.add(job) }
        var now = Self.second
        #expect(tried(&queue, at: now) == 1)
        queue.setAside(now: now, byServer: true)
        for job in 2...3 {
            #expect(tried(&queue, at: now) == job)
            queue.ended(now: now, serverAnswered: true)
        }
        #expect(wait(&queue, at: now) == 2 * Self.second && queue.count == 1 && queue.asideCount == 1)
        // Its waits are its own: a second, then two, whatever others meet.
        now = 2 * Self.second
        #expect(tried(&queue, at: now) == 1 && queue.putOffFor(now: now) == Self.second)
        queue.setAside(now: now, byServer: true)
        queue.add(4)
        #expect(tried(&queue, at: now) == 4 && queue.putOffFor(now: now) == 0)
        queue.ended(now: now, serverAnswered: true)
        #expect(wait(&queue, at: now) == 4 * Self.second)
        #expect(tried(&queue, at: 4 * Self.second) == 1)
        queue.ended(now: now, serverAnswered: true)
        guard case .nothing = queue.next(now: now) else { return #expect(Bool(false), "it is empty") }
    }

    @Test func aServerThatDoesNotWorkHoldsAllUp() {
        var queue = MailQueue<Int>()
        for job in 1...2 { queue.add(job) }
        #expect(tried(&queue, at: 0) == 1)
        queue.setAside(now: 0, byServer: true)
        for (now, until) in [(0, 1), (1, 3), (3, 7)] as [(UInt64, UInt64)] {
            #expect(tried(&queue, at: now * Self.second) != nil)
            queue.paused(now: now * Self.second)
            #expect(wait(&queue, at: now * Self.second) == until * Self.second)
        }
        // One answer, and it works again.
        queue.add(3)
        #expect(tried(&queue, at: 7 * Self.second) != nil)
        queue.ended(now: 7 * Self.second, serverAnswered: true)
        #expect(tried(&queue, at: 7 * Self.second) != nil)
        queue.paused(now: 7 * Self.second)
        #expect(wait(&queue, at: 7 * Self.second) == 8 * Self.second)
    }

    /// What came of the tries of a while, when each mail in `broken` makes the server fail and others are taken.
    private func tries(_ queue: inout MailQueue<Int>, broken: Set<Int>, until end: UInt64) -> [(job: Int, at: UInt64)] {
        var list: [(Int, UInt64)] = []
        var now: UInt64 = 1
        while now < end {
            switch queue.next(now: now) {
            case .try(let job):
                list.append((job, now))
                if broken.contains(job) {
                    queue.paused(now: now)
                } else {
                    queue.ended(now: now, serverAnswered: true)
                }
            case .wait(let until): now = until
            case .nothing: return list
            }
        }
        return list
    }

    /// It looks like a server that is away until another mail is taken; then it stands aside, with waits of its own.
    @Test func oneThatMakesTheServerFailHoldsNobodyUp() {
        var queue = MailQueue<Int>()
        for job in 1...5 { queue.add(job) }
        let list = tries(&queue, broken: [1], until: 3600 * Self.second)
        #expect(list.prefix(7).map(\.job) == [1, 1, 1, 2, 3, 4, 5])
        #expect(queue.count == 1 && queue.asideCount == 1)
        #expect(list.count < 40, "\(list.count) tries in an hour")
        // Later ones do not wait for three failures again.
        queue.add(6)
        let now = list.last!.at + 400 * Self.second
        #expect(tried(&queue, at: now) != nil)
        #expect(queue.blamedFor(now: now) == 0 || queue.blamedFor(now: now) > 1000 * Self.second)
        queue.paused(now: now)
        #expect(tried(&queue, at: now + Self.second * 300) == 6)
    }

    /// A mail that was found to blame is not given up because the server is away for everybody since.
    @Test func anOutageIsNotHeldAgainstTheOneThatFailedBefore() {
        var queue = MailQueue<Int>()
        for job in 1...2 { queue.add(job) }
        _ = tries(&queue, broken: [1], until: 20 * Self.second)
        #expect(queue.count == 1 && queue.asideCount == 1)
        var now = 600 * Self.second
        #expect(tried(&queue, at: now) == 1 && queue.blamedFor(now: now) > 0, "another was answered a moment ago")
        queue.paused(now: now)
        // Now nobody is answered for a day.
        while now < 86_400 * Self.second {
            while case .wait(let until) = queue.next(now: now) { now = until }
            queue.paused(now: now)
        }
        while case .wait(let until) = queue.next(now: now) { now = until }
        #expect(queue.blamedFor(now: now) == 0)
        queue.ended(now: now, serverAnswered: true)
        while case .wait(let until) = queue.next(now: now) { now = until }
        #expect(queue.blamedFor(now: now) < MailTry.shortestDeferralNanoseconds, "it is counted anew")
    }

    @Test func severalThatMakeTheServerFailHoldNobodyUp() {
        var queue = MailQueue<Int>()
        for job in 1...6 { queue.add(job) }
        let list = tries(&queue, broken: [1, 2, 4], until: 3600 * Self.second)
        #expect(list.prefix(7).map(\.job) == [1, 1, 1, 2, 2, 2, 3])
        #expect(Set(list.map(\.job)) == Set(1...6) && queue.count == 3)
    }

    @Test func aServerThatWasAwayIsNoMailsFault() {
        var queue = MailQueue<Int>()
        for job in 1...3 { queue.add(job) }
        var now: UInt64 = 1
        for _ in 0..<40 {
            while case .wait(let until) = queue.next(now: now) { now = until }
            #expect(queue.blamedFor(now: now) == 0)
            queue.paused(now: now)
        }
        // It is back.
        let list = tries(&queue, broken: [], until: now + 1000 * Self.second)
        #expect(Set(list.map(\.job)) == [1, 2, 3] && list.count == 3 && queue.count == 0)
    }

    /// An answer about it, whichever, takes the blame away.
    @Test func anAnswerTakesTheBlameAway() {
        var queue = MailQueue<Int>()
        for job in 1...2 { queue.add(job) }
        _ = tries(&queue, broken: [1], until: 100 * Self.second)
        var now = 800 * Self.second
        #expect(tried(&queue, at: now) == 1 && queue.blamedFor(now: now) > 700 * Self.second)
        queue.setAside(now: now, byServer: true)
        now += 1000 * Self.second
        #expect(tried(&queue, at: now) == 1 && queue.blamedFor(now: now) == 0)
        #expect(queue.putOffFor(now: now) == 1000 * Self.second)
    }

    @Test func oneThatTakesLongLeavesMostOfTheTimeToOthers() {
        var queue = MailQueue<Int>()
        queue.add(1)
        #expect(tried(&queue, at: 0) == 1)
        queue.setAside(now: 600 * Self.second, byServer: true, took: 600 * Self.second)
        #expect(wait(&queue, at: 600 * Self.second) == 3000 * Self.second)
    }

    @Test func bothKindsTakeTurns() {
        var queue = MailQueue<Int>()
        for job in 1...3 {
            queue.add(job)
            #expect(tried(&queue, at: 0) == job)
            queue.setAside(now: 0, byServer: true)
        }
        for job in 4...6 { queue.add(job) }
        var order: [Int] = []
        while let job = tried(&queue, at: Self.second) {
            order.append(job)
            queue.ended(now: Self.second, serverAnswered: true)
        }
        #expect(
            Set(order) == Set(1...6) && order.filter { $0 > 3 } == [4, 5, 6] && order.filter { $0 <= 3 } == [1, 2, 3])
        #expect(zip(order, order.dropFirst()).allSatisfy { ($0 > 3) != ($1 > 3) }, "\(order)")
    }

    @Test func noMoreStandAsideThanThereIsRoomFor() {
        var queue = MailQueue<Int>()
        let most = MailQueue<Int>.mostAside
        for job in 0...most + 1 { queue.add(job) }
        for job in 0..<most {
            #expect(tried(&queue, at: 0) == job)
            queue.setAside(now: 0, byServer: true)
        }
        // No room: it keeps its place, and waits as well.
        #expect(tried(&queue, at: 0) == most)
        queue.setAside(now: 0, byServer: true)
        #expect(queue.asideCount == most && wait(&queue, at: 0) == Self.second)
        // One of them is through, and the next has room.
        var now = Self.second
        while let job = tried(&queue, at: now), job != 0 { queue.setAside(now: now, byServer: true) }
        queue.ended(now: now, serverAnswered: true)
        while let job = tried(&queue, at: now), job != most { queue.setAside(now: now, byServer: true) }
        queue.setAside(now: now, byServer: true)
        #expect(queue.asideCount == most)
        now += 1
        while let job = tried(&queue, at: now), job != most + 1 { queue.setAside(now: now, byServer: true) }
        #expect(queue.count == most + 1)
    }

    @Test func whatIsOverIsTakenOutWhereverItStands() {
        var queue = MailQueue<Int>()
        for job in 1...4 { queue.add(job) }
        #expect(tried(&queue, at: 0) == 1)
        queue.setAside(now: 0, byServer: false)
        #expect(tried(&queue, at: 0) == 2)
        queue.paused(now: 0)
        #expect(queue.takeOut { $0 < 3 }.sorted() == [1, 2])
        #expect(tried(&queue, at: 0) == 3, "and the pause is over")
        #expect(queue.takeOut { _ in true }.sorted() == [3, 4] && queue.count == 0)
    }
}

@Suite struct MailAudienceTests {
    private let young = MailAudience.deletionIsSeenMilliseconds - 1
    private let old = MailAudience.deletionIsSeenMilliseconds

    private func judge(
        known: Bool = false, removed: Bool = false, loaded: Bool = true, confirmed: Bool = true, age: Int64?
    ) -> MailAudience {
        MailAudience.judge(
            isKnown: known, wasRemoved: removed, hasLoaded: loaded, isConfirmed: confirmed, ageMilliseconds: age)
    }

    /// Compaction has taken the tombstone of an account that was deleted days ago: only its absence tells.
    @Test func anAccountThatIsGoneGetsNoMail() {
        #expect(judge(known: true, age: old) == .wanted && judge(known: true, loaded: false, age: nil) == .wanted)
        #expect(judge(removed: true, age: 0) == .gone && judge(removed: true, loaded: false, age: 0) == .gone)
        #expect(judge(age: old) == .gone && judge(age: nil) == .gone)
        // A younger mail's account would have been seen to go.
        #expect(judge(age: young) == .wanted && judge(confirmed: false, age: young) == .wanted)
        // As long as the view may be behind nothing is concluded from what it does not have.
        #expect(judge(confirmed: false, age: old) == .unknown && judge(confirmed: false, age: nil) == .unknown)
        #expect(judge(loaded: false, confirmed: false, age: young) == .unknown)
    }
}
