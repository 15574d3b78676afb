// Who waits for a test event, as a value: each asker has exactly one answer, and there are not too many.
import Core
import Testing

@testable import API

@Suite struct PendingTestsTests {
    private typealias Pending = PendingTests<Int>
    private let account: AccountID = sampleID(7)

    private func pending(total: Int = 4, perAccount: Int = 4) -> Pending {
        Pending(limits: Pending.Limits(total: total, perAccount: perAccount, waitNanoseconds: 100))
    }

    /// What ended, as text.
    private func text(_ ended: Pending.Ended?) -> String? {
        ended.map { ended in
            let ending =
                switch ended.ending {
                case .accepted: "accepted"
                case .attempted(let row): "attempt \(row.attempt)"
                case .unconfirmed: "unconfirmed"
                }
            return "\(ended.askers.map(String.init).joined(separator: "+")) \(ending)"
        }
    }

    @Test func theAcknowledgementAnswersWhoDoesNotWait() {
        var tests = pending()
        #expect(tests.add(sampleID(1), account: account, waits: false, asker: 1) == nil)
        #expect(text(tests.saw(sampleRow(1))) == nil)
        #expect(text(tests.acknowledged(sampleID(1), now: 5)) == "1 accepted")
        #expect(tests.isEmpty)
        #expect(text(tests.acknowledged(sampleID(1), now: 5)) == nil)
    }

    @Test func theAttemptAnswersWhoWaitsOnce() {
        var tests = pending()
        _ = tests.add(sampleID(1), account: account, waits: true, asker: 1)
        #expect(tests.nextDeadline == nil)
        #expect(text(tests.acknowledged(sampleID(1), now: 5)) == nil)
        #expect(tests.nextDeadline == 105)
        #expect(text(tests.saw(sampleRow(2))) == nil)
        #expect(text(tests.saw(sampleRow(1))) == "1 attempt 1")
        #expect(text(tests.saw(sampleRow(1))) == nil)
        #expect(tests.isEmpty && tests.expire(now: 1000).isEmpty)
    }

    @Test func theAttemptMayComeFirst() {
        var tests = pending()
        _ = tests.add(sampleID(1), account: account, waits: true, asker: 1)
        #expect(text(tests.saw(sampleRow(1))) == "1 attempt 1")
        #expect(text(tests.acknowledged(sampleID(1), now: 5)) == nil)
        #expect(tests.isEmpty)
    }

    @Test func timeEndsOnlyWhatIsAcknowledged() {
        var tests = pending()
        for number in 1...3 { _ = tests.add(sampleID(number), account: account, waits: true, asker: number) }
        _ = tests.acknowledged(sampleID(1), now: 5)
        _ = tests.acknowledged(sampleID(2), now: 6)
        #expect(tests.expire(now: 104).isEmpty)
        #expect(tests.expire(now: 105).map(text) == ["1 accepted"])
        #expect(tests.nextDeadline == 106)
        #expect(tests.expire(now: 10_000).map(text) == ["2 accepted"])
        #expect(text(tests.givenUp(sampleID(3))) == "3 unconfirmed")
        #expect(tests.isEmpty)
    }

    @Test func aReleaseAnswersWhatIsAcknowledgedNowAndLater() {
        var tests = pending()
        for number in 1...3 { _ = tests.add(sampleID(number), account: account, waits: true, asker: number) }
        _ = tests.acknowledged(sampleID(1), now: 5)
        #expect(tests.release().map(text) == ["1 accepted"])
        #expect(text(tests.acknowledged(sampleID(2), now: 6)) == "2 accepted")
        #expect(text(tests.givenUp(sampleID(3))) == "3 unconfirmed")
    }

    @Test func whoAsksAgainWaitsWithTheFirst() {
        var tests = pending(total: 3, perAccount: 2)
        #expect(tests.add(sampleID(1), account: account, waits: true, asker: 1) == nil)
        _ = tests.acknowledged(sampleID(1), now: 5)
        #expect(tests.contains(sampleID(1)) && !tests.contains(sampleID(2)))
        #expect(tests.add(sampleID(1), account: account, waits: true, asker: 2) == nil)
        #expect(tests.add(sampleID(1), account: account, waits: true, asker: 3) == .tooManyOfAccount)
        #expect(text(tests.acknowledged(sampleID(1), now: 50)) == nil && tests.nextDeadline == 105)
        #expect(text(tests.saw(sampleRow(1))) == "1+2 attempt 1")
        #expect(tests.isEmpty)
    }

    @Test func anAttemptIsHeldUntilItsTestIsRemembered() {
        var tests = pending()
        for number in 1...2 {
            _ = tests.add(sampleID(number), account: account, waits: true, holds: true, asker: number)
            #expect(text(tests.saw(sampleRow(number))) == nil)
        }
        #expect(text(tests.acknowledged(sampleID(1), now: 5)) == "1 attempt 1")
        #expect(text(tests.givenUp(sampleID(2))) == "2 unconfirmed")
    }

    @Test func thereAreNotTooMany() {
        var tests = pending(total: 3, perAccount: 2)
        let other: AccountID = sampleID(8)
        #expect(tests.add(sampleID(1), account: account, waits: true, asker: 1) == nil)
        #expect(tests.add(sampleID(2), account: account, waits: false, asker: 2) == nil)
        #expect(tests.add(sampleID(3), account: account, waits: true, asker: 3) == .tooManyOfAccount)
        #expect(tests.add(sampleID(4), account: other, waits: true, asker: 4) == nil)
        #expect(tests.add(sampleID(5), account: other, waits: true, asker: 5) == .tooMany)
        #expect(text(tests.givenUp(sampleID(3))) == nil)
        _ = tests.acknowledged(sampleID(2), now: 5)
        #expect(tests.add(sampleID(5), account: account, waits: true, asker: 5) == nil)
    }
}
