// Makes deliveries of a dead letter again: of a record that could not be mapped by translating it as the stage would
// have, of a delivery that was given up by a new delivery of the same event.
package import Core
internal import Crypto
package import Kafka
package import Mapping
internal import Pipeline
package import Registry
internal import Translate

/// One owner; not thread-safe. Decides and writes nothing itself.
package final class Repairer {
    package enum Outcome: Equatable, Sendable {
        case translated(deliveries: Int)
        /// Nothing is to be sent, and nothing is wrong.
        case passedOver(String)
        case sentAgain(WebhookID)
        /// Why nothing is sent, for people.
        case failed(String)
    }

    private let translator: Translator
    private let topics: [String]
    private let view: RegistryView

    /// - Parameters:
    ///   - view: loaded.
    ///   - payloadBytes: the largest body, `limits.payloadBytes`.
    package init(plans: [MappingPlan], topics: Topics, view: RegistryView, payloadBytes: Int) {
        self.view = view
        self.topics = plans.map(\.topic).sorted()
        translator = Translator(plans: MappingPlans(plans), topics: topics, view: view, payloadBytes: payloadBytes)
        _ = translator.refresh()
    }

    /// - Parameter emit: called for each delivery with its body, all of a letter's or none; nothing of them may be kept.
    package func repair(
        _ letter: borrowing KafkaMessage, emit: (borrowing Delivery, UnsafeRawBufferPointer) -> Void
    ) -> Outcome {
        let summary = DeadLetterSummary(letter)
        switch DeadLetterReason(rawValue: summary.reason) {
        case .unmappable, .noAudience, .tooLarge: return translate(letter, summary, emit)
        case .retriesSpent, .webhookDisabled, .overItsRate: return send(letter, summary, emit)
        case .mailRefused: return .failed("it is an email: its value has all that another mailer needs")
        case .malformedRecord: return .failed("it was a record of the bridge's own topics that nobody could read")
        case nil: return .failed("this version does not know the reason \"\(summary.reason)\"")
        }
    }

    private func translate(
        _ letter: borrowing KafkaMessage, _ summary: DeadLetterSummary,
        _ emit: (borrowing Delivery, UnsafeRawBufferPointer) -> Void
    ) -> Outcome {
        guard let origin = RecordOrigin(summary.origin) else {
            return .failed("its header origin is not topic/partition/offset")
        }
        guard let value = letter.value else { return .failed("it has no value") }
        if let whole = summary.wholeBytes {
            return .failed("only \(value.count) of its \(whole) bytes were kept; the record itself is \(origin)")
        }
        let record = LetteredRecord(letter)
        guard record.headersLeftOut == 0 else {
            return .failed("\(record.headersLeftOut) of its headers were not kept; the record itself is \(origin)")
        }
        let domainRecord = DomainRecord(
            topic: origin.topic, partition: origin.partition, offset: origin.offset, timestamp: record.timestamp,
            value: value, headers: record.headers)
        do throws(Translator.Refusal) {
            switch try translator.translate(domainRecord, key: record.key, emit: emit) {
            case .unmapped:
                return .failed("no mapping reads \(origin.topic); the topics are \(topics.joined(separator: ", "))")
            case .passedOver: return .passedOver("its mapping passes it over")
            case .routed(0): return .passedOver("nobody subscribed")
            case .routed(let count): return .translated(deliveries: count)
            }
        } catch {
            return .failed("\(error.reason.rawValue): \(error.message)")
        }
    }

    private func send(
        _ letter: borrowing KafkaMessage, _ summary: DeadLetterSummary,
        _ emit: (borrowing Delivery, UnsafeRawBufferPointer) -> Void
    ) -> Outcome {
        let old: Delivery
        do throws(MalformedRecord) { old = try Delivery(letter) } catch { return .failed(error.description) }
        guard let webhook = view.read({ $0.webhooks[old.webhook] }) else {
            return .failed("webhook \(old.webhook) is gone")
        }
        guard webhook.isActive else {
            return .failed("webhook \(old.webhook) is inactive; set its isActive to true first")
        }
        let delivery = Delivery(
            webhook: old.webhook, account: webhook.account, event: old.event, eventType: old.eventType,
            id: Self.deliveryID(old.event, old.webhook, retryOf: summary.position), generation: webhook.generation,
            origin: old.origin, traceparent: old.traceparent, body: [])
        old.body.withUnsafeBytes { emit(delivery, $0) }
        return .sentAgain(old.webhook)
    }

    /// Contract §1: the digest over event id, webhook id and run. The run is the letter, so that sending it twice is one
    /// delivery twice, and a letter that comes of it is another run.
    package static func deliveryID(
        _ event: EventID, _ webhook: WebhookID, retryOf letter: DeadLetterPosition
    ) -> DeliveryID {
        let (high, low) = Digest.prefix(of: Array("\(event)\0\(webhook)\0dead-letters/\(letter)".utf8))
        return DeliveryID(high: high, low: low)
    }
}
