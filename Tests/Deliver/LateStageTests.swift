// A member that was away in the middle of a turn, as one under SIGSTOP is: what it was about to post may be others' by now.
import Core
import Deliver
import Glibc
import Kafka
import Pipeline
import Runtime
import Testing

/// Hands everything on, and stands still once between the poll of the group and the stage's turn.
private final class Sleeper: StageHandler {
    private let stage: DeliverStage
    private let isToSleep: Flag
    private let woken: Woken
    /// The session of the embedded broker's clients has four seconds.
    static let seconds: UInt32 = 4

    init(_ stage: DeliverStage, _ isToSleep: Flag, _ woken: Woken) {
        (self.stage, self.isToSleep, self.woken) = (stage, isToSleep, woken)
    }

    func turn(now: UInt64, _ loop: StageLoop) -> UInt64? {
        if isToSleep.isSet, woken.at == 0 {
            woken.noteSleep(Clock.monotonic())
            sleep(Self.seconds)
            woken.note(Clock.monotonic())
        }
        return stage.turn(now: Clock.monotonic(), loop)
    }

    func assigned(_ partitions: [StagePartition], _ loop: StageLoop) { stage.assigned(partitions, loop) }
    func budget(for partition: StagePartition) -> Int { stage.budget(for: partition) }
    func handle(
        _ message: borrowing KafkaMessage, _ record: RecordReference, _ partition: StagePartition, _ loop: StageLoop
    ) {
        stage.handle(message, record, partition, loop)
    }
    func drain(_ loop: StageLoop) { stage.drain(loop) }
    var isDrained: Bool { stage.isDrained }
    func revoked() { stage.revoked() }
    func revoked(wasLost: Bool) { stage.revoked(wasLost: wasLost) }
}

private final class Woken: Sendable {
    private let times = Guarded((asleepAt: UInt64(0), at: UInt64(0)))
    var asleepAt: UInt64 { times.withLock { $0.asleepAt } }
    var at: UInt64 { times.withLock { $0.at } }
    func noteSleep(_ now: UInt64) { times.withLock { $0.asleepAt = now } }
    func note(_ now: UInt64) { times.withLock { $0.at = now } }
}

@Suite(.timeLimit(.minutes(2))) struct LateStageTests {
    @Test func nothingIsPostedAfterAnAbsenceBeforeTheGroupHadItsSay() throws {
        let world = try DeliverWorld("late")
        let webhook = world.webhook(1, shard: 0, path: "/late")
        let isToSleep = Flag()
        let woken = Woken()
        let member = try world.run("late") { Sleeper($0, isToSleep, woken) }
        world.produce(webhook, 300)
        try eventually("it posts") { world.receiver.posts("/late").count > 20 }
        isToSleep.set()
        try eventually("it woke") { woken.at > 0 }
        try eventually("all of it arrives in the end") { world.receiver.posts("/late").count >= 300 }
        let early = world.receiver.posts("/late").filter { $0.at > woken.at && $0.at < woken.at + 1_000_000_000 }
        #expect(early.isEmpty, "\(early.count) POSTs right after waking")
        #expect(world.receiver.posts("/late").contains { $0.at > woken.at }, "not vacuous: something was left to post")
        world.receiver.stop()
        member.stop()
    }

    /// What the engine had already, but not begun, when the stage fell asleep: it waits for the only connection, which
    /// comes free when the member may have lost its partitions, and before the stage wakes.
    @Test func nothingThatWasHandedOverBeforeAnAbsenceIsBegunInIt() throws {
        let world = try DeliverWorld("handed")
        let first = world.webhook(1, shard: 0, path: "/first")
        let behind = world.webhook(2, shard: 0, path: "/behind")
        // The session has four seconds, and nothing begins in its last one.
        world.receiver.script("/first") { _ in .init(delayMilliseconds: 3500) }
        let isToSleep = Flag()
        let woken = Woken()
        let member = try world.run("handed", connectionsPerHost: 1) { Sleeper($0, isToSleep, woken) }
        world.produce(first, 1)
        try eventually("the connection is taken") { world.receiver.posts("/first").count == 1 }
        world.produce(behind, 2)
        try eventually("both are in the stage's hands") { member.status.records >= 3 }
        let turn = member.status.lastTurn
        try eventually("and it has turned since") { member.status.lastTurn != turn }
        isToSleep.set()
        try eventually("it woke") { woken.at > 0 }
        let answeredAt = try #require(world.receiver.posts("/first").first?.answeredAt)
        #expect((woken.asleepAt..<woken.at).contains(answeredAt), "the connection came free while it slept")
        try eventually("both arrive in the end") { Set(world.receiver.posts("/behind").map(\.event)).count == 2 }
        #expect(world.receiver.posts("/behind").allSatisfy { $0.at > woken.at + 1_000_000_000 })
        world.receiver.stop()
        member.stop()
    }
}
