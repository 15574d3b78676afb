// Reads dead letters without a group, from somewhere to the ends as they stood at the start: what is written meanwhile is
// left for the next time, so that a retry cannot chase letters it causes.
package import Core
package import Kafka
internal import Runtime

/// Why letters cannot be read.
package struct LetterReadingFailure: Error, Sendable, CustomStringConvertible {
    package let description: String
    /// Wrong configuration, as against a failure at run time.
    package var isConfiguration = false
}

/// Blocks its caller; one thread.
package final class LetterReader {
    private let topic: String
    private let reader: KafkaReader
    /// The letters there are, by partition.
    private var offsets: [Int32: Range<Int64>] = [:]

    private static let answerMilliseconds = 10_000
    /// A broker that sends nothing for this long is given up.
    private static let silenceNanoseconds: UInt64 = 30_000_000_000

    /// - Parameter partitions: how many the topic has.
    package init(
        _ kafka: KafkaConfiguration, topic: String, partitions: Int
    ) throws(LetterReadingFailure) {
        self.topic = topic
        do throws(KafkaError) {
            reader = try KafkaReader(kafka, purpose: "dead-letters")
            for partition in 0..<Int32(partitions) {
                offsets[partition] = try reader.offsets(of: topic, partition, milliseconds: Self.answerMilliseconds)
            }
        } catch {
            throw LetterReadingFailure(description: error.description, isConfiguration: error.place == "configuration")
        }
    }

    /// Reads all letters.
    /// - Parameter age: milliseconds; older ones may be left out, and are where the broker can look times up.
    package func read(age: Int64?, _ body: (borrowing KafkaMessage) -> Void) throws(LetterReadingFailure) {
        try read(
            offsets.filter { !$0.value.isEmpty }.map { partition, range in
                (partition, age.map { .age(milliseconds: max(0, $0)) } ?? .beginning, range.upperBound)
            }, body)
    }

    /// Reads these letters.
    /// - Throws: also when one of them is not there; then none is read.
    package func read(
        _ positions: some Collection<DeadLetterPosition>, _ body: (borrowing KafkaMessage) -> Void
    ) throws(LetterReadingFailure) {
        let wanted = Set(positions)
        for position in wanted.sorted() { try check(position) }
        let ranges = Dictionary(grouping: wanted, by: \.partition).compactMap { partition, positions in
            positions.map(\.offset).min().map { first in
                (partition, KafkaReader.Position.offset(first), (positions.map(\.offset).max() ?? first) + 1)
            }
        }
        var found: Set<DeadLetterPosition> = []
        try read(ranges) { letter in
            let position = DeadLetterPosition(partition: letter.partition, offset: letter.offset)
            guard wanted.contains(position) else { return }
            found.insert(position)
            body(letter)
        }
        // An offset within the log may still be no record: retention works behind our back.
        if let missing = wanted.subtracting(found).min() { throw gone(missing) }
    }

    private func check(_ position: DeadLetterPosition) throws(LetterReadingFailure) {
        guard let range = offsets[position.partition] else {
            throw LetterReadingFailure(
                description: "there is no letter \(position): \(topic) has partitions 0 to \(offsets.count - 1)")
        }
        if position.offset < range.lowerBound { throw gone(position) }
        guard position.offset < range.upperBound else {
            throw LetterReadingFailure(
                description: "there is no letter \(position): "
                    + (range.isEmpty
                        ? "partition \(position.partition) has none"
                        : "the last one of partition \(position.partition) is "
                            + "\(position.partition)/\(range.upperBound - 1)"))
        }
    }

    private func gone(_ position: DeadLetterPosition) -> LetterReadingFailure {
        LetterReadingFailure(description: "letter \(position) is gone: \(topic) keeps letters for a time only")
    }

    private func read(
        _ ranges: [(partition: Int32, from: KafkaReader.Position, end: Int64)], _ body: (borrowing KafkaMessage) -> Void
    ) throws(LetterReadingFailure) {
        guard !ranges.isEmpty else { return }
        var ends = Dictionary(uniqueKeysWithValues: ranges.map { ($0.partition, $0.end) })
        reader.assign(ranges.map { (topic, $0.partition, $0.from) })
        var lastSign = Clock.monotonic()
        while !ends.isEmpty {
            let before = ends.count
            let count = reader.poll(milliseconds: 100) { letter in
                guard let end = ends[letter.partition] else { return }
                if letter.offset < end { body(letter) }
                if letter.offset + 1 >= end { ends[letter.partition] = nil }
            }
            // What was asked for may have no record at its end.
            for partition in ends.keys where reader.hasReachedEnd(of: topic, partition) { ends[partition] = nil }
            let now = Clock.monotonic()
            if count > 0 || ends.count < before { lastSign = now }
            guard now - lastSign < Self.silenceNanoseconds else {
                throw LetterReadingFailure(description: "the broker sent nothing of \(topic) for 30 s")
            }
        }
    }
}
