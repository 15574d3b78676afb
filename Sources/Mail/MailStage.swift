// MAIL: `emails` in, SMTP out. Its offset moves when the server has taken a mail or refused it for good. What a crash sends
// again has the same Message-ID.
package import Core
internal import JSON
package import Kafka
package import Pipeline
package import Runtime

package final class MailStage: StageHandler {
    private let sender: MailSender
    private let results: Inbox<MailSender.Result>
    private let deadLetters: DeadLetters
    private let parser = JSONParser()
    private let counters = MailCounters()
    /// What the sender has, by offset: kept for the dead letter.
    private var underWay: [RecordReference: KeptRecord] = [:]
    private var takenResults: [MailSender.Result] = []

    /// In the sender's hands at most.
    private static let window = 64

    /// - Parameters:
    ///   - isWanted: whether mail to an account is still to be sent; any thread.
    ///   - wake: the loop's.
    package init(
        topics: Topics, settings: SMTPSettings, payloadBytes: Int, producer: KafkaProducer, wake: EventFD,
        isWanted: @escaping @Sendable (AccountID) -> Bool
    ) {
        deadLetters = DeadLetters(topics, producer, largest: payloadBytes)
        results = Inbox(wake: wake)
        sender = MailSender(settings: settings, isWanted: isWanted, results: results, retried: counters.retried)
    }

    deinit { sender.stop() }

    package func assigned(_: [StagePartition], _: StageLoop) {}

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
        underWay[record] = KeptRecord(message)
        sender.send(mail, for: record)
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
            deadLetters.write(kept, reason: .mailRefused, message: reason, for: record, loop)
            Log.error(
                "mail was given up; it is a dead letter", email, .name(result.job.message.template), .reason(reason))
        case .repeated: counters.repeated.add()
        case .unwanted:
            counters.dropped.add()
            Log.info("mail of a deleted account dropped", email)
        case .handedBack: return
        }
        loop.finish(record)
    }

    package func drain(_: StageLoop) { sender.handBack() }

    package var isDrained: Bool { underWay.isEmpty }

    package func revoked() {
        sender.handBack()
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
