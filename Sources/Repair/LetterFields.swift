// Reads a dead letter's headers: what a list shows of it, and what is needed to make its record again.
package import Core
package import Kafka
internal import Mapping
internal import Pipeline

extension DeadLetterSummary {
    package init(_ letter: borrowing KafkaMessage) {
        self.init(position: DeadLetterPosition(partition: letter.partition, offset: letter.offset))
        var summary = self
        if letter.timestamp >= 0 { summary.writtenAt = Timestamp(milliseconds: letter.timestamp) }
        summary.webhook = WebhookID(letter.key)
        summary.bytes = letter.value?.count ?? 0
        letter.forEachHeader { name, value in
            let text = { String(decoding: value, as: UTF8.self) }
            switch String(decoding: name, as: UTF8.self) {
            case "reason": summary.reason = text()
            case "message": summary.message = text()
            case "origin": summary.origin = text()
            case "account-id": summary.account = AccountID(value)
            case "event-id": summary.event = EventID(value)
            case "event-type": summary.eventType = text()
            case "attempt": summary.attempt = Int(text())
            case "size": summary.wholeBytes = Int(text())
            default: break
            }
        }
        self = summary
    }
}

/// The record that a letter was made from; its bytes are the letter's.
struct LetteredRecord {
    var timestamp: Int64 = -1
    var key = UnsafeRawBufferPointer(start: nil, count: 0)
    var headers: [RecordHeader] = []
    /// How many of its headers were not kept.
    var headersLeftOut = 0

    init(_ letter: borrowing KafkaMessage) {
        let prefix = DeadLetters.sourcePrefix.description.utf8
        var record = self
        letter.forEachHeader { name, value in
            if name.starts(with: prefix) {
                let own = UnsafeRawBufferPointer(rebasing: name.dropFirst(prefix.count))
                record.headers.append(RecordHeader(name: own, value: value))
                return
            }
            switch String(decoding: name, as: UTF8.self) {
            case "source-timestamp": record.timestamp = Int64(String(decoding: value, as: UTF8.self)) ?? -1
            case "source-key": record.key = value
            case "source-headers-left-out": record.headersLeftOut = Int(String(decoding: value, as: UTF8.self)) ?? 1
            default: break
            }
        }
        self = record
    }
}
