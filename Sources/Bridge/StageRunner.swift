// A stage on its thread: consumer, producer and loop are made, used and closed there and nowhere else.
internal import Core
internal import Kafka
internal import Pipeline
internal import Runtime
internal import Synchronization

final class StageRunner: Sendable {
    let status: StageStatus
    private let wake: EventFD
    private let isStopping = Atomic<Bool>(false)
    private let thread = Guarded<OwnedThread?>(nil)

    /// What a stage needs to be made; on its own thread.
    struct Parts {
        let consumer: KafkaConsumer
        let producer: KafkaProducer
        let handler: any StageHandler
    }

    /// - Parameters:
    ///   - wake: shared by everything that may wake this stage's loop.
    ///   - make: called on the stage's thread.
    ///   - failed: called when the parts cannot be made; the process cannot do its work then.
    init(
        role: Role, wake: EventFD, failed: @escaping @Sendable (KafkaError) -> Void,
        make: @escaping @Sendable (EventFD) throws(KafkaError) -> Parts
    ) {
        status = StageStatus(role: role.rawValue)
        self.wake = wake
        let started = OwnedThread(name: role.rawValue) { [self] in
            do throws(KafkaError) {
                let parts = try make(wake)
                StageLoop(
                    consumer: parts.consumer, producer: parts.producer, handler: parts.handler, status: status,
                    wake: wake
                ).run { isStopping.load(ordering: .acquiring) }
            } catch {
                failed(error)
            }
        }
        thread.withLock { $0 = started }
    }

    /// Asks the stage to drain and leave its group; returns at once.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        wake.signal()
    }

    /// Waits for the thread's end.
    func join() { thread.withLock { $0.take() }?.join() }
}
