// How epochs stand on the registry's topics: a marker is a record of its own key, which no webhook and no account can have,
// so that compaction keeps the last one; every other record carries its owner's epoch in a header.
package import Core
internal import JSON
internal import Kafka

extension EpochMarker {
    /// The key of markers on `results`, `accounts` and `subscriptions`.
    package static let key = "epoch"
    /// The next owner goes one above whatever it has read.
    static let mostEpoch = Webhook.mostCount

    /// The marker a record is; nil for a record of another key.
    /// - Throws: ``RegistryRecordError`` or `JSONError` for a marker that cannot be read.
    init?(_ message: borrowing KafkaMessage, _ parser: JSONParser) throws {
        guard message.key.elementsEqual(Self.key.utf8), let value = message.value else { return nil }
        self = try parser.parse(value) { json throws(RegistryRecordError) in
            guard let epoch = json["epoch"]?.int, (1...Self.mostEpoch).contains(epoch) else {
                throw RegistryRecordError(description: "field epoch misses or is of the wrong kind")
            }
            guard let owner = json["owner"]?.string, owner.utf8.count == 16, let number = UInt64(owner, radix: 16)
            else { throw RegistryRecordError(description: "field owner misses or is of the wrong kind") }
            return EpochMarker(epoch: epoch, owner: number)
        }
    }

    var json: [UInt8] {
        let digits = String(owner, radix: 16)
        return JSONWriter.document { writer in
            writer.field("epoch", epoch)
            writer.field("owner", String(repeating: "0", count: 16 - digits.count) + digits)
        }
    }
}

/// The names of the registry's topics, put together once: a load asks for each of 100,000 records.
struct RegistryTopics: Sendable {
    private let accounts: String
    private let subscriptions: String

    init(_ topics: Topics) {
        accounts = topics.accounts
        subscriptions = topics.subscriptions
    }

    /// - Parameter message: of one of the three.
    func log(of message: borrowing KafkaMessage) -> RegistryLog {
        let topic = message.topic
        return topic == subscriptions ? .subscriptions : topic == accounts ? .accounts : .results
    }
}

extension KafkaMessage {
    /// The epoch of whoever wrote the record; nil where there is none.
    var epoch: Int? {
        header("epoch").flatMap { Int($0) }.flatMap { (0...EpochMarker.mostEpoch).contains($0) ? $0 : nil }
    }
}
