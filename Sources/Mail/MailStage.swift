// MAIL: `emails` in, SMTP out. Its offset moves when the server has taken a mail or refused it for good, and stands before one
// that is put off, however many later ones were sent. At a hand-over such a one goes to the topic's end, so that the next
// owner does not send the later ones again; what a crash sends again has the same Message-ID.
package import Core
internal import JSON
package import Kafka
package import Pipeline
package import Runtime

package final class MailStage: StageHandler {
    /// Whether a mail is still to be sent; any thread.
    /// - written: when its record was written, milliseconds since 1970; negative where nobody knows.
    /// - since: when it was read, monotonic nanoseconds.
    package typealias Audience = @Sendable (_ account: AccountID, _ written: Int64, _ since: UInt64) -> MailAudience

    private let sender: MailSender
    private let emails: KafkaProducer.Topic
    private let results: Inbox<MailSender.Result>
    private let deadLetters: DeadLetters
    private let parser = JSONParser()
    private let counters = MailCounters()
    /// What the sender has, by offset: kept for the dead letter.
    private var underWay: [RecordReference: Kept] = [:]
    private var takenResults: [MailSender.Result] = []
    private var partitions: [StagePartition] = []

    private struct Kept {
        let record: KeptRecord
        var headers: [(name: [UInt8], value: [UInt8])] = []

        init(_ message: borrowing KafkaMessage) {
            record = KeptRecord(message)
            message.forEachHeader { headers.append((Array($0), Array($1))) }
        }
    }

    /// In the sender's hands at most: those that stand aside, and some that do not.
    private static let window = MailQueue<Never>.mostAside + 64

    /// - Parameters:
    ///   - wake: the loop's.
    package init(
        topics: Topics, settings: SMTPSettings, payloadBytes: Int, producer: KafkaProducer, wake: EventFD,
        audience: @escaping Audience
    ) {
        deadLetters = DeadLetters(topics, producer, largest: payloadBytes)
        emails = producer.topic(topics.emails)
        results = Inbox(wake: wake)
        sender = MailSender(settings: settings, audience: audience, results: results, retried: counters.retried)
    }

    deinit { sender.stop() }

    package func assigned(_ partitions: [StagePartition], _: StageLoop) { self.partitions = partitions }

    package func budget(for _: StagePartition) -> Int { Self.window - underWay.count }

    package func handle(
        _ message: borrowing KafkaMessage, _ record: RecordReference, _: StagePartition, _ loop: StageLoop
    ) {
        guard let value = message.value else { return loop.finish(record) }
        let mail: MailMessage
        do { mail = try parser.parse(value) { try MailMessage(json: $0) } } catch {
            deadLetters.write(
                message, reason: .malformedRecord, message: "no email: \(error)", for: record, loop)
            return loop.finish(record)
        }
        underWay[record] = Kept(message)
        sender.send(mail, for: record, written: message.timestamp)
    }

    package func turn(now _: UInt64, _ loop: StageLoop) -> UInt64? {
        results.take(into: &takenResults)
        for result in takenResults { settle(result, loop) }
        return nil
    }

    private func settle(_ result: MailSender.Result, _ loop: StageLoop) {
        let record = result.job.record
        let kept = underWay.removeValue(forKey: record)
        let email = Log.Field.email(result.job.message.id.description)
        switch result.ending {
        case .sent:
            counters.sent.add()
            Log.info("mail sent", email, .name(result.job.message.template))
        case .refused(let reason):
            // Without the partition the next owner hears the same.
            guard let kept, loop.owns(record) else { return }
            counters.refused.add()
            deadLetters.write(kept.record, reason: .mailRefused, message: reason, for: record, loop)
            Log.error(
                "mail was given up; it is a dead letter", email, .name(result.job.message.template), .reason(reason))
        case .repeated: counters.repeated.add()
        case .unwanted:
            counters.dropped.add()
            Log.info("mail of a deleted account dropped", email)
        case .handedBack(let isWanted):
            guard isWanted, let kept, isPassed(record) else { return }
            // Offsets are given by the broker, so the copy stands behind everything that was sent.
            let headers = KafkaHeaders(capacity: kept.headers.count)
            for (name, value) in kept.headers { headers.add(name: name, value) }
            loop.produce(
                emails, partition: 0, key: kept.record.key, value: kept.record.value, headers: headers, for: record)
        }
        loop.finish(record)
    }

    /// Whether a later mail of its partition has been dealt with, so that the watermark stands before this one and the next
    /// owner would send the later one again.
    private func isPassed(_ record: RecordReference) -> Bool {
        partitions.contains { $0.assignment == record.assignment && $0.highestFinished > record.offset }
    }

    package func drain(_: StageLoop) { sender.handBack() }

    package var isDrained: Bool { underWay.isEmpty }

    package func revoked() {
        sender.handBack()
        partitions = []
        // What is on its way comes to its end, and the sender remembers it.
        underWay = [:]
    }
}

private struct MailCounters {
    let sent = Self.counter("sent")
    let refused = Self.counter("refused")
    let retried = Self.counter("retried")
    let repeated = Self.counter("repeated")
    let dropped = Self.counter("dropped")

    private static func counter(_ result: String) -> Counter {
        Metrics.counter("mails_total", "Mails by what came of them, and tries that are made again.", ["result": result])
    }
}
