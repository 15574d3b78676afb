// What a stage is to the loop it runs on.
package import Kafka

/// What a stage decides. All calls come on the loop's thread.
package protocol StageHandler: AnyObject {
    /// Partitions came; state of earlier ones is gone already.
    func assigned(_ partitions: [StagePartition], _ loop: StageLoop)
    /// How many more records of this partition the stage takes on now; 0 stops reading it.
    func budget(for partition: StagePartition) -> Int
    /// One record. The stage calls `finish` for it, now or later.
    func handle(
        _ message: borrowing KafkaMessage, _ record: RecordReference, _ partition: StagePartition, _ loop: StageLoop)
    /// After each round of reading: results, timers.
    /// - Returns: monotonic nanoseconds of the next moment the stage has something to do; nil when only input matters.
    func turn(now: UInt64, _ loop: StageLoop) -> UInt64?
    /// The partitions go away or the process stops: start nothing more. Called at every turn until `isDrained`.
    func drain(_ loop: StageLoop)
    /// Whether nothing the stage started is still under way.
    var isDrained: Bool { get }
    /// All partitions are gone; drop their state.
    func revoked()
    /// The same, for a stage to which it matters whether others own the partitions already.
    func revoked(wasLost: Bool)
    /// Offsets whose effects the broker has are about to be stored; for tests that stop the process there.
    func willStore()
    /// How long the loop pauses between two rounds while it has much to do.
    var pauseMicroseconds: UInt32 { get }
}

extension StageHandler {
    /// Long enough for results and acknowledgements to gather, short enough for a lane to be filled again.
    package var pauseMicroseconds: UInt32 { 1500 }
    package func revoked(wasLost _: Bool) { revoked() }
    package func willStore() {}
}
