// When a member may start something, and when a loop has stalled.
import Core
import Testing

private let second: UInt64 = 1_000_000_000

@Suite struct StartRuleTests {
    private func rule(polledAt: UInt64) -> StartRule {
        var rule = StartRule(sessionNanoseconds: 6 * second)
        rule.polled(now: polledAt)
        return rule
    }

    @Test func nothingStartsBeforeTheFirstPollAndASecondBeforeTheSessionMayEnd() {
        #expect(!StartRule(sessionNanoseconds: 6 * second).mayStart(now: second))
        #expect(rule(polledAt: second).mayStart(now: 6 * second))
        #expect(!rule(polledAt: second).mayStart(now: 6 * second + 1))
    }

    /// After SIGCONT the poll itself says nothing yet: the client's thread wakes at the same time.
    @Test func afterAnAbsenceTheClientGetsTheTimeToNotice() {
        var rule = rule(polledAt: second)
        rule.polled(now: 20 * second)
        #expect(!rule.mayStart(now: 21 * second))
        rule.polled(now: 21 * second)
        #expect(!rule.mayStart(now: 21 * second))
        #expect(rule.mayStart(now: 22 * second))
    }

    @Test func shortSessionsStillAllowSomething() {
        var rule = StartRule(sessionNanoseconds: second)
        rule.polled(now: second)
        #expect(rule.mayStart(now: second + second / 2) && !rule.mayStart(now: 2 * second))
    }
}

@Suite struct StallRuleTests {
    @Test func aLoopThatStandsIsSaidAfterTenSecondsAndGivenUpAfterTwoMinutes() {
        var rule = StallRule()
        var verdicts: [StallRule.Verdict] = []
        for now in 1...130 { verdicts.append(rule.look(turn: 5, now: UInt64(now) * second)) }
        #expect(verdicts.prefix(10).allSatisfy { $0 == .turning })
        #expect(verdicts[10] == .stalled(seconds: 10))
        #expect(verdicts[119] == .stalled(seconds: 119) && verdicts[120] == .hopeless(seconds: 120))
        #expect(rule.look(turn: 6, now: 200 * second) == .turning)
    }

    @Test func timeInWhichTheProcessStoodStillIsNotHeldAgainstALoop() {
        var rule = StallRule()
        _ = rule.look(turn: 5, now: second)
        #expect(rule.look(turn: 5, now: 3600 * second) == .turning)
    }

    @Test func whatDoesNotRunDoesNotStand() {
        var rule = StallRule()
        for now in 1...300 { #expect(rule.look(turn: nil, now: UInt64(now) * second) == .turning) }
    }
}
