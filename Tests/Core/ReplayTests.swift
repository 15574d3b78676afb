// Replays as values: where a time range lies, how far it came, who runs it, how much of it may be on its way.
import Core
import Testing

private let replayID = ReplayID(high: 1, low: 1)
private let start = Timestamp(milliseconds: 1_700_000_000_000)

private func replay(_ parts: [ReplayPart], generation: Int = 1, id: ReplayID = replayID) -> Replay {
    Replay(
        id: id, since: start, until: start.adding(milliseconds: 60_000), from: start, isDryRun: false,
        generation: generation, createdAt: start, parts: parts)
}

private func part(
    _ partition: Int32, _ first: Int64, next: Int64? = nil, _ end: Int64, events: Int = 0, unmappable: Int = 0
) -> ReplayPart {
    ReplayPart(
        topic: "t", partition: partition, first: first, next: next ?? first, end: end, events: events,
        unmappable: unmappable)
}

@Suite struct ReplayLogTests {
    private func log(
        low: Int64 = 0, high: Int64 = 100, begin: Int64? = nil, end: Int64? = nil, knowsTimes: Bool = true
    ) -> ReplayLog {
        ReplayLog(topic: "t", partition: 1, low: low, high: high, begin: begin, end: end, knowsTimes: knowsTimes)
    }

    @Test func whereTheRangeLies() {
        let table: [(ReplayLog, Range<Int64>?)] = [
            (log(begin: 10, end: 40), 10..<40),
            // Nothing is younger than the range's end: to the end of the log.
            (log(begin: 10), 10..<100),
            // Nothing is as young as its begin.
            (log(), nil),
            (log(begin: 40, end: 40), nil),
            // What came after the log's end was asked for is not part of it.
            (log(begin: 10, end: 120), 10..<100),
            (log(begin: 110, end: 120), nil),
            (log(low: 100, high: 100), nil),
            // Retention in this very moment.
            (log(low: 20, begin: 10, end: 40), 20..<40),
            // A broker without times: everything, and the records' own times decide.
            (log(low: 5, knowsTimes: false), 5..<100),
            (log(low: 0, high: 0, knowsTimes: false), nil),
        ]
        for (log, range) in table {
            #expect(log.part.map { $0.first..<$0.end } == range, "\(log)")
            #expect(log.part.map { $0.next == $0.first } ?? true)
        }
    }

    @Test func whetherItsBeginIsGone() {
        let table: [(ReplayLog, Bool)] = [
            (log(begin: 0), false), (log(low: 7, begin: 7), true), (log(low: 7, begin: 8), false), (log(low: 7), false),
            (log(low: 100, high: 100), false), (log(low: 7, knowsTimes: false), true), (log(knowsTimes: false), false),
        ]
        for (log, isGone) in table { #expect(log.mayMissRecords == isGone, "\(log)") }
    }
}

@Suite struct ReplayReportTests {
    @Test func theReportThatCameFurtherCounts() {
        var replay = replay([part(0, 0, 100), part(1, 50, 60)])
        func report(_ parts: [ReplayPart], from: Timestamp? = nil) -> ReplayReport {
            ReplayReport(replay: replayID, generation: 1, parts: parts, from: from)
        }
        replay.take(report([part(0, 0, next: 40, 100, events: 4)]))
        // From the process that had the webhook before.
        replay.take(
            report([part(0, 0, next: 30, 100, events: 3), part(1, 50, next: 60, 60, events: 1, unmappable: 2)]))
        // Of a partition that is not part of it, and beyond its end.
        replay.take(report([part(7, 0, next: 5, 10, events: 5), part(0, 0, next: 101, 100, events: 9)]))
        // A log that lost its beginning meanwhile; what is said of it is never taken back.
        replay.take(report([], from: start.adding(milliseconds: 500)))
        replay.take(report([], from: start.adding(milliseconds: 400)))
        #expect(replay.from == start.adding(milliseconds: 500))
        #expect(replay.counts == ReplayCounts(records: 110, read: 50, events: 5, unmappable: 2))
        replay.end(.finished, reason: nil, at: start)
        #expect(replay.parts.isEmpty && !replay.isRunning)
        #expect(replay.counts == ReplayCounts(records: 110, read: 50, events: 5, unmappable: 2))
    }

    @Test func aCourseReportsWhatChanged() {
        var course = ReplayCourse(replay([part(0, 10, 20), part(1, 5, next: 8, 9, events: 2), part(2, 3, next: 4, 4)]))
        #expect(course.open.map(\.partition) == [0, 1])
        #expect(course.place(of: "t", 0, 10) == .wanted && course.place(of: "t", 0, 20) == .beyond)
        #expect(course.place(of: "t", 1, 7) == .behind && course.place(of: "t", 2, 3) == .beyond)
        #expect(course.place(of: "u", 0, 10) == .beyond && course.place(of: "t", 9, 10) == .beyond)
        #expect(course.report().isEmpty)
        course.took("t", 0, 10, .events(2))
        course.took("t", 0, 12, .unmappable)  // 11 is a hole
        course.took("t", 0, 12, .events(5))  // came twice
        course.took("t", 0, 13, .passedOver)
        #expect(course.report() == [part(0, 10, next: 14, 20, events: 2, unmappable: 1)])
        #expect(course.report().isEmpty)
        course.took("t", 1, 8, .events(1))
        #expect(course.place(of: "t", 1, 9) == .beyond)
        #expect(course.next(of: "t", 0) == 14 && course.next(of: "u", 0) == nil && course.from == nil)
        course.lost(before: start.milliseconds + 70)
        course.lost(before: start.milliseconds + 60)
        #expect(course.from == start.adding(milliseconds: 70))
        course.reachedEnd(of: "t", 0)
        #expect(course.isDone && course.open.isEmpty)
        #expect(
            course.report() == [
                part(0, 10, next: 20, 20, events: 2, unmappable: 1), part(1, 5, next: 9, 9, events: 3),
            ])
    }

    /// Retention was faster than the replay: the end of the log is then not the end of the range.
    @Test func whatIsGoneIsCounted() {
        var course = ReplayCourse(replay([part(0, 10, next: 15, 20)]))
        for (logBegin, count) in [(0, 0), (15, 0), (16, 1), (20, 5), (1000, 5)] as [(Int64, Int64)] {
            #expect(course.missing(of: "t", 0, logBegin: logBegin) == count)
        }
        #expect(course.missing(of: "t", 1, logBegin: 1000) == 0)
        course.lost(before: start.milliseconds + 70)
        course.lostAll()
        #expect(course.from == course.until, "nothing is known to be complete")
        course.lost(before: start.milliseconds + 80)
        #expect(course.from == course.until)
    }

    @Test func theRangeIsByTheRecordsTimes() {
        let course = ReplayCourse(replay([]))
        let begin = start.milliseconds
        for (time, isIn) in [
            (begin - 1, false), (begin, true), (begin + 59_999, true), (begin + 60_000, false), (-1, true),
        ] { #expect(course.covers(time) == isIn) }
    }
}

@Suite struct ReplayRosterTests {
    /// - Parameter account: nil gives each its own.
    private func candidate(_ number: UInt32, shard: Int32 = 0, account: UInt32? = nil) -> ReplayRoster.Candidate {
        ReplayRoster.Candidate(
            webhook: WebhookID(high: 1, low: number), account: AccountID(high: 1, low: account ?? number),
            replay: ReplayID(high: 1, low: number), shard: shard, createdAt: start.adding(milliseconds: -Int64(number)))
    }
    private func running(
        _ candidate: ReplayRoster.Candidate, stalledSince: UInt64? = nil, isLeaving: Bool = false
    ) -> ReplayRoster.Running {
        ReplayRoster.Running(
            replay: candidate.replay, account: candidate.account, stalledSince: stalledSince, isLeaving: isLeaving)
    }
    private func owner() -> ReplayRoster {
        var roster = ReplayRoster()
        roster.owns([0], now: 0)
        return roster
    }
    private let grace = ReplayRoster.graceNanoseconds

    @Test func onlyWhatIsOwnedAndNotAtOnce() {
        var roster = ReplayRoster()
        let both = [candidate(1, shard: 0), candidate(2, shard: 1)]
        func begun(at now: UInt64) -> [ReplayRoster.Candidate] { roster.next(both, running: [], now: now).begin }
        #expect(begun(at: 5).isEmpty)
        roster.owns([0], now: 5)
        #expect(begun(at: 5).isEmpty)
        #expect(begun(at: 5 + grace) == [both[0]])
        // Asked again and again, the time counts from the first.
        roster.owns([0, 1], now: 5 + grace)
        #expect(begun(at: 6 + grace) == [both[0]])
        roster.owns([1], now: 7 + grace)
        #expect(begun(at: 6 + 2 * grace) == [both[1]])
        #expect(!roster.isOwned(0) && roster.isOwned(1))
        // Given away and got back: others may have reported meanwhile.
        roster.owns([0, 1], now: 10 * grace)
        #expect(begun(at: 10 * grace) == [both[1]])
    }

    @Test func theOldestFirstAndNoMoreThanThereArePlaces() {
        let roster = owner()
        let many = (1...7).map { candidate(UInt32($0)) }
        let first = roster.next(many, running: [], now: grace).begin
        #expect(first == [many[6], many[5], many[4], many[3]])
        let all = first.map { running($0) }
        #expect(roster.next(many, running: all, now: grace) == ReplayRoster.Turn())
        #expect(roster.next(many, running: Array(all.dropFirst()), now: grace).begin == [first[0]])
        // What waits for its endpoint keeps nobody waiting.
        let twoStalled = all.prefix(2) + first.suffix(2).map { running($0, stalledSince: 1) }
        #expect(roster.next(many, running: Array(twoStalled), now: grace).begin == [many[2], many[1]])
    }

    @Test func noAccountHasAllPlaces() {
        let roster = owner()
        let mine = (10...14).map { candidate(UInt32($0), account: 1) }
        let others = [candidate(1), candidate(2), candidate(3)]
        #expect(roster.next(mine + others, running: [], now: grace).begin == [mine[4], mine[3], others[2], others[1]])
        #expect(roster.next(mine, running: [], now: grace).begin == [mine[4], mine[3]])
        #expect(roster.next(mine, running: [running(mine[0])], now: grace).begin == [mine[4]])
        // A stalled one takes none of its account's places.
        #expect(
            roster.next(mine, running: [running(mine[0], stalledSince: 1)], now: grace).begin == [mine[4], mine[3]])
    }

    /// It was once that sixteen replays for endpoints that are dead kept everybody else from beginning.
    @Test func stalledOnesMakeRoom() {
        var roster = owner()
        let dead = (100..<116).map { candidate(UInt32($0), account: 1) }
        let full = dead.enumerated().map { running($1, stalledSince: 1000 - UInt64($0)) }
        let others = [candidate(1), candidate(2)]
        #expect(roster.next([], running: full, now: grace) == ReplayRoster.Turn(), "nobody wants it")
        let turn = roster.next(others, running: full, now: grace)
        #expect(turn.begin.isEmpty && turn.release == [dead[15].replay, dead[14].replay], "stalled longest")
        // Asked once, and only as many as are needed.
        var leaving = full
        leaving[15].isLeaving = true
        #expect(roster.next(others, running: leaving, now: grace).release == [dead[14].replay])
        leaving[14].isLeaving = true
        #expect(roster.next(others, running: leaving, now: grace).release.isEmpty)
        let left = Array(full.dropLast(2))
        #expect(roster.next(others, running: left, now: grace).begin == [others[1], others[0]])

        // One that was released comes back when a good part of its deliveries have ended, and not at once.
        let unfinished = (0..<UInt32(ReplayPace.window)).map { DeliveryID(high: 1, low: $0) }
        roster.wasReleased(dead[15].replay, unfinished: Set(unfinished), now: 5 * grace)
        func comesBack(_ now: UInt64) -> Bool { roster.next([dead[15]], running: [], now: now).begin == [dead[15]] }
        #expect(!comesBack(60 * grace))
        roster.ended(Array(unfinished.prefix(ReplayPace.window / 2 - 1)), of: dead[15].replay)
        #expect(!comesBack(60 * grace))
        roster.ended(Array(unfinished.prefix(ReplayPace.window / 2)), of: dead[15].replay)
        #expect(!comesBack(6 * grace - 1) && comesBack(6 * grace))
        #expect(roster.takeUp(dead[15].replay) == Set(unfinished.suffix(ReplayPace.window / 2)))
        #expect(roster.releasedReplays.isEmpty && roster.takeUp(dead[15].replay).isEmpty)
    }

    @Test func whatWasReleasedIsBoundedAndForgotten() {
        var roster = owner()
        let dead = (0..<UInt32(ReplayRoster.mostReleased)).map { candidate(1000 + $0) }
        for each in dead { roster.wasReleased(each.replay, unfinished: [], now: 0) }
        let full = (100..<116).map { running(candidate(UInt32($0)), stalledSince: 1) }
        #expect(roster.next([candidate(1)], running: full, now: grace).release.isEmpty, "no room to remember one more")
        #expect(Set(roster.forgetReleased(but: Array(dead.dropFirst()))) == [dead[0].replay])
        #expect(roster.next([candidate(1)], running: full, now: grace).release.count == 1)
        roster.owns([], now: grace)
        #expect(roster.forgetReleased(but: dead).count == dead.count - 1, "another process's now")
    }
}

@Suite struct BackwardWalkTests {
    @Test func readsEverythingOnceTheYoungestFirst() {
        for range in [0..<0, 5..<6, 0..<1000, 7..<2500, 100..<100_000] as [Range<Int64>] {
            var walk = BackwardWalk(range)
            var end = range.upperBound
            var pieces = 0
            while let piece = walk.next() {
                #expect(piece.upperBound == end && !piece.isEmpty && piece.count <= 16_000)
                end = piece.lowerBound
                pieces += 1
            }
            #expect(end == range.lowerBound && walk.isOver && pieces < 12)
        }
        var walk = BackwardWalk(0..<10_000)
        let first = [walk.next(), walk.next(), walk.next()]
        #expect(first == [9000..<10_000, 7000..<9000, 3000..<7000], "the first ones are short")
    }
}

@Suite struct ReplayPaceTests {
    private let second: UInt64 = 1_000_000_000

    /// How many are written in a second when all end at once.
    private func written(_ perSecond: Int, endAtOnce: Bool = true) -> Int {
        var pace = ReplayPace(eventsPerSecond: perSecond, isDryRun: false, now: 0)
        var now: UInt64 = 0
        var count = 0
        while now < second {
            if pace.room(now: now) > 0 {
                let delivery = DeliveryID(high: 1, low: UInt32(count))
                _ = pace.wrote(delivery, now: now)
                if endAtOnce { pace.ended(delivery) }
                count += 1
            } else {
                let next = pace.nextMoment(now: now)
                now = next > now ? next : second
            }
        }
        return count
    }

    @Test func halfOfTheWebhooksRateIsLeft() {
        #expect((48...52).contains(written(100)))
        #expect((0...1).contains(written(1)))
        #expect((190...210).contains(written(0)))
    }

    @Test func noMoreThanTheWindowIsOnItsWay() {
        var pace = ReplayPace(eventsPerSecond: 0, isDryRun: false, now: 0)
        #expect(written(4000, endAtOnce: false) == ReplayPace.window)
        for number in 0..<500 { _ = pace.wrote(DeliveryID(high: 1, low: UInt32(number)), now: 0) }
        #expect(pace.room(now: 10 * second) == 0 && !pace.mayGoOn(now: 10 * second))
        // Written again after a move: it counts once, and its end counts once.
        _ = pace.wrote(DeliveryID(high: 1, low: 0), now: 0)
        #expect(pace.unfinishedCount == 500)
        pace.ended(DeliveryID(high: 1, low: 0))
        pace.ended(DeliveryID(high: 1, low: 0))
        #expect(pace.room(now: 10 * second) == 1)
    }

    @Test func whatWasOnItsWayBeforeAReleaseCounts() {
        let earlier = (0..<UInt32(ReplayPace.window)).map { DeliveryID(high: 1, low: $0) }
        var pace = ReplayPace(eventsPerSecond: 0, isDryRun: false, unfinished: Set(earlier), now: 0)
        #expect(pace.room(now: 10 * second) == 0)
        pace.ended(earlier[7])
        #expect(pace.room(now: 10 * second) == 1 && pace.handedOver == Set(earlier).subtracting([earlier[7]]))
    }

    /// What the broker never got has no end that would be told: who goes on with the replay would wait for it for ever.
    @Test func onlyWhatTheBrokerHasIsHandedOver() {
        let ids = (0..<300).map { DeliveryID(high: 1, low: UInt32($0)) }
        var pace = ReplayPace(eventsPerSecond: 0, isDryRun: false, unfinished: [ids[0]], now: 0)
        let tokens = ids.dropFirst().map { pace.wrote($0, now: 0) }
        #expect(Set(tokens).count == 299 && !tokens.contains(0) && pace.unfinishedCount == 300)
        #expect(pace.handedOver == [ids[0]])
        pace.acknowledged(tokens[1])
        pace.acknowledged(tokens[2])
        pace.ended(ids[3])
        #expect(pace.handedOver == [ids[0], ids[2]] && pace.unfinishedCount == 299)
        var roster = ReplayRoster()
        roster.owns([1], now: 0)
        let candidate = ReplayRoster.Candidate(
            webhook: WebhookID(high: 1, low: 1), account: AccountID(high: 1, low: 1), replay: replayID, shard: 1,
            createdAt: start)
        roster.wasReleased(replayID, unfinished: pace.handedOver, now: 0)
        #expect(roster.next([candidate], running: [], now: 10_000_000_000).begin == [candidate])
    }

    @Test func aPreviewWaitsForNoWebhookButLeavesTheBrokerToOthers() {
        for isDryRun in [true, false] {
            var pace = ReplayPace(eventsPerSecond: isDryRun ? 1 : 0, isDryRun: isDryRun, now: 0)
            #expect(pace.room(now: 10 * second) == ReplayPace.recordsAtOnce && pace.mayGoOn(now: 10 * second))
            var now = 10 * second
            var count = 0
            while now < 11 * second {
                count += pace.room(now: now)
                pace.read(pace.room(now: now), now: now)
                now = max(now + 1, pace.nextMoment(now: now))
            }
            #expect((19_800...20_200).contains(count))
        }
    }
}

@Suite struct ReplayRegistryTests {
    private let account = AccountID(high: 1, low: 1)
    private let webhook = WebhookID(high: 2, low: 2)
    private var order: DisableOrder {
        DisableOrder(generation: 1, reason: "too many failures", failedAttempts: 9, lastError: "x", failingSince: start)
    }

    private func command(_ change: Command.Change, by owner: AccountID? = nil) -> Command {
        Command(
            id: CommandID(high: 3, low: 3), account: owner ?? account, at: start.adding(milliseconds: 5000),
            notAfter: nil, change: change)
    }

    /// The state behind a reference, so that what is expected of a command can be asked in one breath.
    private final class Registry {
        var state = RegistryState(webhooksPerAccount: 10)
        func apply(_ command: Command) -> (answer: Answer, actions: [RegistryAction]) {
            state.apply(command, now: start)
        }
    }

    private func registry(_ replays: [Replay] = []) -> Registry {
        let registry = Registry()
        var state = registry.state
        state.load(Account(id: account, email: "a@example.com", name: nil, keys: [], createdAt: start))
        state.load(
            Webhook(
                id: webhook, account: account, url: "https://example.com/", description: nil, events: ["*"],
                isActive: true, version: "1.0", createdAt: start, updatedAt: start, secrets: [], replays: replays))
        registry.state = state
        return registry
    }

    private func replays(_ registry: Registry) -> [Replay] { registry.state.webhooks[webhook]?.replays ?? [] }
    private func report(_ next: Int64, events: Int = 0, generation: Int = 1) -> ReplayReport {
        ReplayReport(
            replay: replayID, generation: generation, parts: [part(0, 0, next: next, 100, events: events)])
    }

    @Test func fromItsStartToItsEnd() {
        let registry = registry()
        let (started, actions) = registry.apply(command(.startReplay(webhook, replay([part(0, 0, 100)]))))
        #expect(started == .applied && actions.count == 1)
        #expect(registry.state.webhooks[webhook]?.updatedAt == start, "its owner changed nothing")
        #expect(
            registry.apply(command(.startReplay(webhook, replay([], id: ReplayID(high: 9, low: 9))))).answer
                == .refused(.replayRunning))
        #expect(registry.apply(command(.progressReplay(webhook, report(40, events: 2)))).answer == .applied)
        let (late, nothing) = registry.apply(command(.progressReplay(webhook, report(30, events: 1))))
        #expect(late == .applied && nothing.isEmpty)
        #expect(replays(registry)[0].counts.events == 2)
        #expect(
            registry.apply(command(.finishReplay(webhook, report(100, events: 5), failure: nil))).answer
                == .applied)
        let ended = replays(registry)[0]
        #expect(ended.status == .finished && ended.counts.events == 5 && ended.reason == nil)
        #expect(ended.endedAt == start.adding(milliseconds: 5000))
        #expect(
            registry.apply(command(.progressReplay(webhook, report(100)))).answer == .refused(.replayEnded))
    }

    @Test func aFailureSaysWhy() {
        let registry = registry([replay([part(0, 0, 100)])])
        _ = registry.apply(command(.finishReplay(webhook, report(7), failure: "no way")))
        #expect(replays(registry)[0].status == .failed && replays(registry)[0].reason == "no way")
    }

    @Test func whatSwitchesTheWebhookOffEndsItsReplay() {
        for (change, reason) in [
            (.updateWebhook(webhook, WebhookPatch(isActive: false)), "the webhook was switched off by its owner"),
            (.disableWebhook(webhook, order), "the webhook was disabled: too many failures"),
            (.cancelReplay(webhook, replayID), "cancelled on request"),
        ] as [(Command.Change, String)] {
            let registry = registry([replay([part(0, 0, 100)])])
            #expect(registry.apply(command(change)).answer == .applied)
            #expect(replays(registry)[0].status == .cancelled && replays(registry)[0].reason == reason)
            #expect(
                registry.apply(command(.finishReplay(webhook, report(100), failure: nil))).answer
                    == .refused(.replayEnded))
        }
    }

    @Test func anInactiveWebhookGetsNoneAndOthersWebhooksAreNotThere() {
        let registry = registry()
        let stranger = AccountID(high: 8, low: 8)
        for change: Command.Change in [
            .startReplay(webhook, replay([])), .progressReplay(webhook, report(1)), .cancelReplay(webhook, replayID),
            .finishReplay(webhook, report(1), failure: nil),
        ] {
            let (answer, actions) = registry.apply(command(change, by: stranger))
            #expect(answer == .refused(.webhookNotFound) && actions.isEmpty)
        }
        #expect(
            registry.apply(command(.startReplay(webhook, replay([], generation: 2)))).answer
                == .refused(.olderGeneration))
        _ = registry.apply(command(.updateWebhook(webhook, WebhookPatch(isActive: false))))
        #expect(
            registry.apply(command(.startReplay(webhook, replay([])))).answer == .refused(.webhookInactive))
        #expect(
            registry.apply(command(.cancelReplay(webhook, replayID))).answer == .refused(.replayNotFound))
    }

    @Test func aReportOfAnotherGenerationIsRefused() {
        let registry = registry([replay([part(0, 0, 100)])])
        #expect(
            registry.apply(command(.progressReplay(webhook, report(5, generation: 2)))).answer
                == .refused(.replayEnded))
    }

    @Test func theNewestAreRemembered() {
        let registry = registry()
        for number in 1...7 {
            let id = ReplayID(high: 1, low: UInt32(number))
            _ = registry.apply(command(.startReplay(webhook, replay([], id: id))))
            _ = registry.apply(command(.cancelReplay(webhook, id)))
        }
        #expect(replays(registry).map(\.id) == (3...7).map { ReplayID(high: 1, low: UInt32($0)) })
    }
}
