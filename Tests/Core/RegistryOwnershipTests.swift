import Core
import Testing

@Suite struct RegistryOwnershipTests {
    private typealias Step = (event: Event, action: RegistryOwnership.Action?, phase: RegistryOwnership.Phase)

    private enum Event {
        case ends
        case marker(Int, UInt64, RegistryLog)
    }

    private func marker(_ epoch: Int, _ owner: UInt64 = 7) -> EpochMarker { EpochMarker(epoch: epoch, owner: owner) }

    /// Owner 7 goes through the events of a table.
    private func walk(_ steps: [Step], _ name: Comment) -> RegistryOwnership {
        var ownership = RegistryOwnership(owner: 7)
        for step in steps {
            let action =
                switch step.event {
                case .ends: ownership.reachedEnds()
                case .marker(let epoch, let owner, let log): ownership.saw(marker(epoch, owner), on: log)
                }
            #expect(action == step.action, name)
            #expect(ownership.phase == step.phase, name)
        }
        return ownership
    }

    @Test func theFirstMarkerOfAnEpochOwnsIt() {
        let begun: [Step] = [
            (.marker(3, 1, .accounts), nil, .reading),
            (.ends, .claim(marker(4)), .claiming),
            (.marker(4, 7, .results), .mark(marker(4)), .marking),
            (.marker(4, 7, .accounts), nil, .marking),
            (.marker(4, 7, .subscriptions), .begin, .owning),
        ]
        _ = walk(begun, "nobody else")
        _ = walk(
            begun + [(.marker(4, 1, .results), nil, .owning), (.marker(4, 1, .accounts), nil, .owning)],
            "the second of its epoch is nobody")
        _ = walk(begun + [(.marker(5, 1, .results), .stop, .superseded), (.ends, nil, .superseded)], "a higher one")
        _ = walk(begun + [(.marker(5, 1, .accounts), .stop, .superseded)], "a higher one, seen elsewhere first")
        _ = walk(
            Array(begun[..<3]) + [
                (.marker(5, 1, .results), .stop, .superseded), (.marker(4, 7, .accounts), nil, .superseded),
            ], "a higher one before the markers are through")
    }

    @Test func whoComesSecondGoesAbove() {
        _ = walk(
            [
                (.ends, .claim(marker(1)), .claiming),
                (.marker(1, 1, .results), .claim(marker(2)), .claiming),
                (.marker(1, 7, .results), nil, .claiming),
                (.marker(2, 7, .results), .mark(marker(2)), .marking),
            ], "the same epoch")
        _ = walk(
            [
                (.ends, .claim(marker(1)), .claiming),
                (.marker(6, 1, .results), .claim(marker(7)), .claiming),
                (.marker(7, 7, .results), .mark(marker(7)), .marking),
            ], "a higher one")
        _ = walk(
            [
                (.ends, .claim(marker(1)), .claiming),
                (.marker(1, 1, .subscriptions), .claim(marker(2)), .claiming),
                (.marker(1, 1, .results), nil, .claiming),
            ], "seen elsewhere first")
    }

    @Test func recordsAreJudgedByWhatStandsBeforeThem() {
        var ownership = RegistryOwnership(owner: 7)
        #expect(ownership.saw(recordOf: nil, on: .accounts) == .take, "from before there were epochs")
        #expect(ownership.saw(recordOf: 2, on: .accounts) == .take, "its marker was compacted away")
        #expect(ownership.saw(recordOf: 1, on: .accounts) == .superseded)
        #expect(ownership.saw(recordOf: 1, on: .subscriptions) == .take, "each topic is an order of its own")
        #expect(ownership.reachedEnds() == .claim(marker(3)))
        #expect(ownership.saw(recordOf: 2, on: .results) == .take, "written before the claim")
        #expect(ownership.saw(marker(3), on: .results) == .mark(marker(3)))
        #expect(ownership.saw(recordOf: 2, on: .results) == .superseded)
        #expect(ownership.saw(recordOf: 2, on: .subscriptions) == .take, "no marker there yet")
        _ = ownership.saw(marker(3), on: .accounts)
        #expect(ownership.saw(marker(3), on: .subscriptions) == .begin)
        #expect(ownership.saw(recordOf: 2, on: .subscriptions) == .superseded)
        #expect(ownership.saw(recordOf: 3, on: .subscriptions) == .own)
        #expect(ownership.saw(recordOf: nil, on: .subscriptions) == .take)
        #expect(ownership.saw(recordOf: 4, on: .subscriptions) == .stop)
        #expect(ownership.phase == .superseded)
        #expect(ownership.saw(recordOf: 3, on: .subscriptions) == .stop, "nothing of it counts from there on")
    }

    // MARK: Beside it

    private let now = Timestamp(milliseconds: 1_700_000_000_000)

    @Test func answersAreForgottenByAgeAndByCount() {
        func id(_ number: Int) -> CommandID { CommandID(high: UInt64(number), low: 0) }
        var memory = AnswerMemory(keptMilliseconds: 1000, most: 3)
        memory.note(id(1), .applied, at: now, now: now)
        memory.note(id(1), .refused(.tooLate), at: now, now: now)
        #expect(memory[id(1)] == .applied, "the first answer stays")
        memory.note(id(2), .applied, at: now.adding(milliseconds: -1001), now: now)
        #expect(memory[id(2)] == nil, "too old to begin with")
        for number in 3...5 { memory.note(id(number), .applied, at: now, now: now) }
        #expect(memory.count == 3)
        #expect(memory[id(1)] == nil && memory[id(3)] == .applied, "the oldest goes")
        let later = now.adding(milliseconds: 1001)
        memory.note(id(6), .applied, at: later, now: later)
        #expect(memory.count == 1)
        for number in 100...10_000 { memory.note(id(number), .applied, at: later, now: later) }
        #expect(memory.count == 3 && memory[id(10_000)] == .applied)
    }

    /// What the sender tells its user after 5 s must be true: what is applied at the last moment has still to be written.
    @Test func latenessIsJudgedByBothClocks() {
        let rows: [(name: Comment, notAfter: Int64?, written: Int64?, now: Int64, verdict: CommandAge.Verdict)] = [
            ("at once", 4000, 0, 0, .inTime), ("the last moment", 4000, 0, 4000, .inTime),
            ("a moment later", 4000, 0, 4001, .tooLate), ("no end", nil, 0, 90_000_000, .inTime),
            ("this clock is behind by the skew", 4000, 0, -1000, .inTime),
            ("this clock is behind by more: its age is unknown", 4000, 0, -1001, .fromTheFuture),
            ("no end, so its age does not matter", nil, 0, -3_600_000, .inTime),
            ("this clock is ahead by an hour", 4000, 0, 3_600_000, .tooLate),
            ("the broker's clock says that it is over", 4000, 4001, 0, .tooLate),
            ("the broker keeps no times", 4000, nil, 0, .inTime),
        ]
        for row in rows {
            let verdict = CommandAge.judge(
                at: now, notAfter: row.notAfter.map { now.adding(milliseconds: $0) },
                written: row.written.map { now.adding(milliseconds: $0) }, now: now.adding(milliseconds: row.now))
            #expect(verdict == row.verdict, row.name)
        }
        // Wherever the registry's clock stands: what it applies, it applies before the sender gives up. The clocks' difference
        // is at most the skew, or it is larger than the longest time that a command may lie there.
        for skew: Int64 in [-3_600_000, -400_000, -1000, -500, 0, 500, 1000, 400_000, 3_600_000] {
            for age: Int64 in [0, 1000, 3000, 4000, 5000, 5001, 30_000] {
                let verdict = CommandAge.judge(
                    at: now, notAfter: now.adding(milliseconds: CommandAge.validMilliseconds), written: nil,
                    now: now.adding(milliseconds: age + skew))
                if verdict == .inTime {
                    #expect(age + 1500 <= CommandAge.senderMilliseconds, "clock off by \(skew) ms")
                }
            }
        }
    }
}
