// Which records under known offsets are new.
import Core
import Testing

@Suite struct RestartRuleTests {
    @Test func aTopicMadeAgainIsNewFromItsFirstRecord() {
        var rule = RestartRule()
        for time in [1000, 1010, 1005] as [Int64] { rule.read(time) }
        #expect(rule.isNew(1011))
    }

    @Test func ofALogThatLostItsEndOnlyWhatCameSinceIsNew() {
        var rule = RestartRule()
        for time in 0..<100 { rule.read(Int64(time)) }
        // Read again from the start: 0…79 are known, the records since the election are not.
        #expect((0..<80).allSatisfy { !rule.isNew(Int64($0)) })
        #expect(rule.isNew(150))
    }

    @Test func withoutATimeNothingIsTakenForNew() {
        var rule = RestartRule()
        #expect(!rule.isNew(-1))
        rule.read(-1)
        #expect(!rule.isNew(-1) && rule.isNew(0))
    }
}
