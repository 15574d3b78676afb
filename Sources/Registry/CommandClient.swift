// One command at a time, from a program that keeps no view: the command line.
package import Core
internal import JSON
package import Kafka
internal import Runtime

/// Blocks its caller; one thread.
package final class CommandClient {
    private let topics: Topics
    private let reader: KafkaReader
    private let producer: KafkaProducer
    private let wake = EventFD()
    private let parser = JSONParser()

    package init(_ configuration: KafkaConfiguration, _ topics: Topics) throws(KafkaError) {
        self.topics = topics
        reader = try KafkaReader(configuration, purpose: "answers")
        producer = try KafkaProducer(configuration, maxMessageBytes: 1_000_000, wake: wake)
    }

    /// Finds the end of `results`, so that no answer is missed.
    /// - Returns: false when no broker says where it is in time.
    package func connect(milliseconds: Int) -> Bool {
        reader.assign([(topics.results, 0, .end)])
        let deadline = Clock.monotonic() + UInt64(milliseconds) * 1_000_000
        while !reader.hasReachedEnds, Clock.monotonic() < deadline { reader.poll(milliseconds: 50) { _ in } }
        return reader.hasReachedEnds
    }

    /// - Returns: whether the broker has the command.
    package func write(_ command: Command, milliseconds: Int) -> Bool {
        producer.produce(
            producer.topic(topics.commands), partition: 0, key: Array(command.account.description.utf8),
            value: command.json, headers: KafkaHeaders(capacity: 1), token: 1)
        let deadline = Clock.monotonic() + UInt64(milliseconds) * 1_000_000
        var acknowledged: [UInt64] = []
        while acknowledged.isEmpty, Clock.monotonic() < deadline {
            wake.wait(milliseconds: 50)
            wake.clear()
            producer.poll(acknowledged: &acknowledged)
        }
        return !acknowledged.isEmpty
    }

    package func awaitAnswer(to command: CommandID, milliseconds: Int) -> CommandOutcome {
        let deadline = Clock.monotonic() + UInt64(milliseconds) * 1_000_000
        var outcome: CommandOutcome?
        var fence = EpochFence()
        while outcome == nil, Clock.monotonic() < deadline {
            reader.poll(milliseconds: 50) { message in
                if let marker = try? EpochMarker(message, parser) { fence.pass(marker.epoch) }
                // An answer of a superseded registry counts for nothing: its successor gives its own.
                guard !fence.isSuperseded(message.epoch), let value = message.value,
                    let result = try? parser.parse(value, { try CommandResult(json: $0) }), result.command == command
                else { return }
                switch result.answer {
                case .applied: outcome = .applied(CommandEffect(result.receipt))
                case .refused(let refusal): outcome = .refused(refusal)
                }
            }
        }
        return outcome ?? .unconfirmed
    }
}
