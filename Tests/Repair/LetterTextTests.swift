// How letters are written for people and scripts.
import Core
import Repair
import Testing

@Suite struct LetterTextTests {
    private func letter(_ offset: Int64, _ reason: DeadLetterReason, at seconds: Int64 = 0) -> DeadLetterSummary {
        var letter = DeadLetterSummary(position: DeadLetterPosition(partition: 3, offset: offset))
        letter.writtenAt = Timestamp(milliseconds: seconds * 1000)
        letter.reason = reason.rawValue
        letter.origin = "learnault.modules/0/\(offset)"
        letter.message = "learnault.modules.json5: ModuleCompleted: moduleTitle: expected a text"
        return letter
    }

    @Test func `a line a letter, cut to the terminal and nowhere else`() {
        let letters = [letter(1, .unmappable), letter(12345, .noAudience)]
        let cut = LetterText.table(letters, width: 100)
        #expect(cut.allSatisfy { $0.count <= 100 })
        #expect(
            cut[1].hasPrefix("3/1      01-01 00:00:00  unmappable   learnault.modules/0/1      ModuleCompleted: mod"))
        #expect(cut[1].hasSuffix("…"))
        let whole = LetterText.table(letters, width: nil)
        #expect(whole[1].hasPrefix("3/1      1970-01-01T00:00:00Z  unmappable   "))
        #expect(whole[1].hasSuffix("  learnault.modules.json5: ModuleCompleted: moduleTitle: expected a text"))
    }

    @Test func `a given-up delivery shows its webhook and event type`() {
        var letter = letter(1, .retriesSpent)
        letter.webhook = WebhookID("wh_000000000000000000000001")
        letter.eventType = "module.completed"
        letter.message = "9 attempts failed; the last: HTTP 500"
        #expect(
            LetterText.table([letter], width: nil)[1].hasSuffix(
                "wh_000000000000000000000001  module.completed: 9 attempts failed; the last: HTTP 500"))
    }

    @Test func `nothing in a letter moves the cursor`() {
        var letter = letter(1, .unmappable)
        letter.message = "a\u{1b}[2Jb\nc\u{202e}"
        let line = LetterText.table([letter], width: nil)[1]
        #expect(line.hasSuffix("a\\u{1b}[2Jb\\u{a}c\\u{202e}"))
    }

    @Test func `the newest are kept, the oldest of them first, and all are counted`() {
        var newest = NewestDeadLetters(limit: 2)
        for second in [5, 1, 4, 2, 3] as [Int64] {
            newest.add(letter(second, second < 3 ? .unmappable : .tooLarge, at: second))
        }
        #expect(newest.newest.map(\.position.offset) == [4, 5])
        #expect(LetterText.totals(newest, shown: 2) == "5 letters: 3 too large, 2 unmappable; the newest 2 are shown")
        #expect(LetterText.totals(NewestDeadLetters(limit: 2), shown: 0) == "no letters")
    }

    @Test func `totals of a retry`() {
        var totals = RetryTotals()
        totals.add(.translated(deliveries: 2))
        totals.add(.passedOver("nobody subscribed"))
        totals.add(.failed("why"))
        #expect(
            totals.description == "1 translated into 2 deliveries, 1 passed over, 1 failed")
    }
}
