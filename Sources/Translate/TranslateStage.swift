// TRANSLATE: domain topics in, `deliveries` out. Maps each record once, routes it by account and event type, and writes
// one record per (event, webhook). What it cannot map is a dead letter and never stops the partition.
package import Core
internal import Crypto
internal import JSON
package import Kafka
package import Mapping
package import Pipeline
package import Registry
internal import Runtime

package final class TranslateStage: StageHandler {
    private let plans: [String: MappingPlan]
    private let topics: Topics
    private let view: RegistryView
    private let payloadBytes: Int
    private let deliveries: KafkaProducer.Topic
    private let deadLetters: DeadLetters
    private let parser = JSONParser()
    private let hasher = SHA256Hasher()
    private var writer = JSONWriter()
    private var identity: [UInt8] = []

    /// How far before a webhook's creation an event may lie and still be for it (contract §2).
    private static let creationSlackMilliseconds: Int64 = 300_000

    /// - Parameter payloadBytes: the largest body, `limits.payloadBytes`.
    package init(
        plans: [MappingPlan], topics: Topics, view: RegistryView, payloadBytes: Int, producer: KafkaProducer
    ) {
        self.plans = Dictionary(plans.map { ($0.topic, $0) }, uniquingKeysWith: { first, _ in first })
        self.topics = topics
        self.view = view
        self.payloadBytes = payloadBytes
        deliveries = producer.topic(topics.deliveries)
        deadLetters = DeadLetters(topics, producer, largest: payloadBytes)
    }

    package func assigned(_: [StagePartition], _: StageLoop) {}
    package func budget(for partition: StagePartition) -> Int { 5000 - partition.ledger.unfinished }
    package func turn(now: UInt64, _: StageLoop) -> UInt64? { nil }
    package func drain(_: StageLoop) {}
    package var isDrained: Bool { true }
    package func revoked() {}

    package func handle(
        _ message: borrowing KafkaMessage, _ record: RecordReference, _ partition: StagePartition, _ loop: StageLoop
    ) {
        defer { loop.finish(record) }
        // A tombstone says nothing that a webhook could carry.
        guard let value = message.value, let plan = plans[partition.topic] else { return }
        let origin = RecordOrigin(topic: partition.topic, partition: partition.number, offset: message.offset)
        do {
            let mapped = try parser.parse(value) { root in
                try plan.map(root, origin: origin, into: &writer) { bytes in
                    let (high, low) = hasher.prefix(of: bytes)
                    return EventID(high: high, low: low)
                }
            }
            guard let mapped else { return }
            guard writer.bytes.count <= payloadBytes else {
                deadLetters.write(
                    message, reason: .tooLarge,
                    message:
                        "\(mapped.webhookType): the body has \(writer.bytes.count) bytes, \(payloadBytes) are allowed",
                    event: mapped.event, for: record, loop)
                return
            }
            route(mapped, origin, message, record, partition, loop)
        } catch let failure as MappingFailure {
            let reason: DeadLetterReason =
                switch failure.reason {
                case .unmappable: .unmappable
                case .noAudience: .noAudience
                }
            deadLetters.write(message, reason: reason, message: failure.description, for: record, loop)
        } catch {
            deadLetters.write(message, reason: .unmappable, message: "not JSON: \(error)", for: record, loop)
        }
    }

    private func route(
        _ mapped: MappedEvent, _ origin: RecordOrigin, _ message: borrowing KafkaMessage, _ record: RecordReference,
        _ partition: StagePartition, _ loop: StageLoop
    ) {
        let routes: [RoutingTable.Route] =
            switch mapped.audience {
            case .account(let account): view.read { $0.routes.routes(account: account, type: mapped.webhookType) }
            case .everyone: view.read { $0.routes.routes(everyoneTo: mapped.webhookType) }
            case .unknownAccount: []
            }
        guard !routes.isEmpty else { return }
        // A notice is keyed by the webhook it is about, and nobody hears of its own disabling.
        let about = partition.topic == topics.notices ? WebhookID(message.key) : nil
        // A W3C trace context has 55 bytes; anything longer is none and would only travel.
        let traceparent = message.header("traceparent").flatMap { $0.utf8.count <= 128 ? $0 : nil }
        let written = message.timestamp
        for route in routes where route.webhook != about {
            if written >= 0, written < route.createdAt.milliseconds - Self.creationSlackMilliseconds { continue }
            let delivery = Delivery(
                webhook: route.webhook, account: route.account, event: mapped.event, eventType: mapped.webhookType,
                id: deliveryID(mapped.event, route.webhook), generation: route.generation, origin: origin.text,
                traceparent: traceparent, body: [])
            let key = Array(route.webhook.description.utf8)
            loop.produce(
                deliveries, partition: Murmur2.partition(key, of: topics.shards), key: key, value: writer.bytes,
                headers: delivery.headers(), for: record)
        }
    }

    /// Contract §1: the digest over event id, webhook id and run, which is empty for a first delivery.
    private func deliveryID(_ event: EventID, _ webhook: WebhookID) -> DeliveryID {
        identity.removeAll(keepingCapacity: true)
        event.append(to: &identity)
        identity.append(0)
        webhook.append(to: &identity)
        identity.append(0)
        let (high, low) = hasher.prefix(of: identity)
        return DeliveryID(high: high, low: low)
    }
}
