// A member that stops while the group rebalances: whoever comes next does not wait for what the first cannot finish.
import Core
import Kafka
import Pipeline
import Runtime
import Testing

/// A stage that has work under way when it is to stop, which never comes to its end where it is given a flag.
private final class EndlessStage: StageHandler {
    private let isDraining: Flag?

    /// - Parameter isDraining: is set when it is to come to its end.
    init(_ isDraining: Flag?) { self.isDraining = isDraining }

    func assigned(_: [StagePartition], _: StageLoop) {}
    func budget(for _: StagePartition) -> Int { 0 }
    func handle(_: borrowing KafkaMessage, _: RecordReference, _: StagePartition, _: StageLoop) {}
    func turn(now _: UInt64, _: StageLoop) -> UInt64? { nil }
    func drain(_: StageLoop) { isDraining?.set() }
    var isDrained: Bool { isDraining == nil }
    func revoked() {}
}

@Suite(.timeLimit(.minutes(2))) struct RollingStopStageTests {
    /// A stop has ten seconds, for what is on its way; a rebalance has one, since everybody waits for it.
    @Test func aStoppingMemberThatHasMuchToFinishGivesItsPartitionsUpToTheNext() throws {
        let world = try World()
        let isDraining = Flag()
        let first = try world.run(group: "endless", reading: [world.topics.retries]) { _ in EndlessStage(isDraining) }
        let hasStopped = Flag()
        let stopping = OwnedThread(name: "stops") {
            first()
            hasStopped.set()
        }
        try eventually("the first one drains") { isDraining.isSet }
        let begun = Clock.monotonic()
        let second = try world.run(group: "endless", reading: [world.topics.retries]) { _ in EndlessStage(nil) }
        try eventually("the first one has stopped") { hasStopped.isSet }
        let took = Double(Clock.monotonic() - begun) / 1e9
        #expect(took < 9, "it keeps its partitions for \(took) s, until its own time is over or they are taken from it")
        stopping.join()
        second()
    }
}
