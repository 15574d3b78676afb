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
    private static let seconds: UInt32 = 4

    init(_ stage: DeliverStage, _ isToSleep: Flag, _ woken: Woken) {
        (self.stage, self.isToSleep, self.woken) = (stage, isToSleep, woken)
    }

    func turn(now: UInt64, _ loop: StageLoop) -> UInt64? {
        if isToSleep.isSet, woken.at == 0 {
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
    private let time = Guarded<UInt64>(0)
    var at: UInt64 { time.withLock { $0 } }
    func note(_ now: UInt64) { time.withLock { $0 = now } }
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
}
