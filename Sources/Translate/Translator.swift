// One domain record in, deliveries out: maps it, finds whose webhooks hear of it, and names each delivery. The stage and
// the repair of dead letters share it, so that a record translated again has the ids it had the first time.
package import Core
internal import Crypto
package import Mapping
package import Registry
internal import Runtime

/// One owner; not thread-safe.
package final class Translator {
    /// What became of a record that is not a dead letter.
    package enum Outcome: Equatable {
        /// Its mapping passes it over.
        case passedOver
        /// No mapping reads its topic any more.
        case unmapped
        /// It became this many deliveries; 0 when nobody subscribed.
        case routed(Int)
    }

    /// Why a record becomes a dead letter.
    package struct Refusal: Error {
        package let reason: DeadLetterReason
        package let message: String
        package var event: EventID?
    }

    /// For whom a record is translated.
    package enum Addressee {
        /// Whoever subscribed, except to what is older than the subscription.
        case subscribers
        /// One webhook, to which it is sent again: a delivery of its own for each run.
        case one(Webhook, run: String, replay: ReplayID?, anyType: Bool)
    }

    private let source: MappingPlans
    private let notices: String
    private let view: RegistryView
    private let payloadBytes: Int
    private let mapper: Mapper
    private var plans: [String: MappingPlan] = [:]
    private var version = 0
    private var identity: [UInt8] = []
    /// For webhooks that are heard of late; nil where nobody asks for it.
    private var recent: RecentEvents?
    /// Up to where the view's news were looked at.
    private var heard: Int
    private var seenVersion: UInt64 = 0
    private let unknownAccounts = Metrics.counter(
        "records_of_foreign_accounts_total",
        "Events whose account has no id of the bridge's, so that nobody hears of them.")

    /// How far before a webhook's creation an event may lie and still be for it (contract §2).
    private static let creationSlackMilliseconds: Int64 = 300_000
    /// A W3C trace context has 55 bytes; anything much longer is none and would only travel.
    private static let traceparentBytes = 128

    /// - Parameters:
    ///   - payloadBytes: the largest body, `limits.payloadBytes`.
    ///   - keepsRecent: whether ``catchUp(emit:)`` will be called.
    package init(
        plans: MappingPlans, topics: Topics, view: RegistryView, payloadBytes: Int, keepsRecent: Bool = false
    ) {
        source = plans
        notices = topics.notices
        recent = keepsRecent ? RecentEvents() : nil
        heard = view.read { $0.newsCount }
        self.view = view
        self.payloadBytes = payloadBytes
        // A body a little over the limit is written whole, so that the reason can say by how much.
        mapper = Mapper(bodyBytes: 4 * payloadBytes + 65_536)
    }

    /// Whether a mapping reads this topic now.
    package func reads(_ topic: String) -> Bool { plans[topic] != nil }

    /// Takes up plans that were replaced.
    /// - Returns: the topics they read, when they are others than before.
    package func refresh() -> [String]? {
        guard source.version != version else { return nil }
        version = source.version
        let old = Set(plans.keys)
        plans = Dictionary(source.current.map { ($0.topic, $0) }, uniquingKeysWith: { first, _ in first })
        return Set(plans.keys) == old ? nil : plans.keys.sorted()
    }

    /// Translates a record.
    /// - Parameters:
    ///   - key: the record's key.
    ///   - addressee: for whom.
    ///   - emit: called for each delivery with its body; nothing of them may be kept.
    package func translate(
        _ record: DomainRecord, key: UnsafeRawBufferPointer, for addressee: Addressee = .subscribers,
        emit: (borrowing Delivery, UnsafeRawBufferPointer) -> Void
    ) throws(Refusal) -> Outcome {
        guard let plan = plans[record.topic] else { return .unmapped }
        do throws(MappingFailure) { try mapper.map(record, by: plan) } catch {
            let reason: DeadLetterReason =
                switch error.reason {
                case .unmappable: .unmappable
                case .noAudience: .noAudience
                case .tooLarge: .tooLarge
                }
            throw Refusal(reason: reason, message: error.description)
        }
        guard !mapper.events.isEmpty else { return .passedOver }
        // All or nothing: a record is not to be sent in part and be a dead letter as well.
        for event in mapper.events where event.body.count > payloadBytes {
            throw Refusal(
                reason: .tooLarge,
                message: "\(plan.file): \(event.webhookType): the body has \(event.body.count) bytes, "
                    + "\(payloadBytes) are allowed (limits.payloadBytes)", event: event.event)
        }
        var count = 0
        let bodies = mapper.bytes
        bodies.withUnsafeBytes { bodies in
            for event in mapper.events {
                let body = UnsafeRawBufferPointer(rebasing: bodies[event.body])
                switch addressee {
                case .subscribers: count += route(event, body, record, key: key, emit: emit)
                case .one(let webhook, let run, let replay, let anyType):
                    guard anyType || webhook.hears(of: event.webhookType) else { continue }
                    count += send(event, body, record, key: key, to: webhook, run: run, replay: replay, emit: emit)
                }
            }
        }
        return .routed(count)
    }

    private func route(
        _ mapped: MappedEvent, _ body: UnsafeRawBufferPointer, _ record: DomainRecord, key: UnsafeRawBufferPointer,
        emit: (borrowing Delivery, UnsafeRawBufferPointer) -> Void
    ) -> Int {
        let account: AccountID?
        switch mapped.audience {
        case .account(let id): account = id
        case .everyone: account = nil
        case .unknownAccount:
            // Nobody's mistake that a dead letter could name, but somebody may look for it.
            unknownAccounts.add()
            return 0
        }
        let (routes, known) = view.read { ($0.routes(to: account, type: mapped.webhookType), $0.newsCount) }
        let about = subject(of: record, key: key)
        let traceparent = traceparent
        recent?.add(
            RecentEvents.Entry(
                event: mapped.event, type: mapped.webhookType, account: account, subject: about, topic: record.topic,
                partition: record.partition, offset: record.offset, timestamp: record.timestamp,
                traceparent: traceparent, routedAt: Clock.wallMilliseconds(), known: known), body: body)
        guard !routes.isEmpty else { return 0 }
        let origin = record.origin
        var count = 0
        for route in routes where route.webhook != about {
            if Self.isTooOld(record.timestamp, for: route) { continue }
            emit(
                Delivery(
                    webhook: route.webhook, account: route.account, event: mapped.event, eventType: mapped.webhookType,
                    id: deliveryID(mapped.event, route.webhook), generation: route.generation, origin: origin,
                    traceparent: traceparent, body: []), body)
            count += 1
        }
        return count
    }

    private static func isTooOld(_ timestamp: Int64, for route: RoutingTable.Route) -> Bool {
        timestamp >= 0 && timestamp < route.createdAt.milliseconds - creationSlackMilliseconds
    }

    /// Routes to webhooks that were heard of since the last call what was translated after they had been created and before
    /// they were heard of: a registration with another process takes up to a second to get here. To be called between two
    /// records; costs nothing while no webhook is new.
    package func catchUp(emit: (borrowing Delivery, UnsafeRawBufferPointer) -> Void) {
        guard let recent, view.version != seenVersion else { return }
        seenVersion = view.version
        let news = view.read { $0.news(since: heard) }
        guard let last = news.last else { return }
        heard = last.number + 1
        let accounts = Set(news.map(\.news.account))
        let numbers = Dictionary(news.map { ($0.news.webhook, $0.number) }, uniquingKeysWith: { $1 })
        recent.forEach { entry, body in
            if let account = entry.account, !accounts.contains(account) { return }
            for route in view.read({ $0.routes(to: entry.account, type: entry.type) })
            where route.webhook != entry.subject && entry.routedAt >= route.createdAt.milliseconds {
                guard let number = numbers[route.webhook], number >= entry.known,
                    !Self.isTooOld(entry.timestamp, for: route)
                else { continue }
                emit(
                    Delivery(
                        webhook: route.webhook, account: route.account, event: entry.event, eventType: entry.type,
                        id: deliveryID(entry.event, route.webhook), generation: route.generation,
                        origin: "\(entry.topic)/\(entry.partition)/\(entry.offset)", traceparent: entry.traceparent,
                        body: []), body)
            }
        }
    }

    /// To one webhook, whenever it was created.
    private func send(
        _ mapped: MappedEvent, _ body: UnsafeRawBufferPointer, _ record: DomainRecord, key: UnsafeRawBufferPointer,
        to webhook: Webhook, run: String, replay: ReplayID?,
        emit: (borrowing Delivery, UnsafeRawBufferPointer) -> Void
    ) -> Int {
        switch mapped.audience {
        case .account(let account): guard account == webhook.account else { return 0 }
        case .everyone: break
        case .unknownAccount: return 0
        }
        guard subject(of: record, key: key) != webhook.id else { return 0 }
        emit(
            Delivery(
                webhook: webhook.id, account: webhook.account, event: mapped.event, eventType: mapped.webhookType,
                id: deliveryID(mapped.event, webhook.id, run: run), generation: webhook.generation, purpose: .replay,
                run: replay, origin: record.origin, traceparent: traceparent, body: []), body)
        return 1
    }

    /// A notice is keyed by the webhook it is about, and nobody hears of its own disabling.
    private func subject(of record: DomainRecord, key: UnsafeRawBufferPointer) -> WebhookID? {
        record.topic == notices ? WebhookID(key) : nil
    }

    private var traceparent: String? {
        mapper.traceparent.flatMap { bytes in
            bytes.count <= Self.traceparentBytes ? String(decoding: bytes, as: UTF8.self) : nil
        }
    }

    /// Contract §1: the digest over event id, webhook id and run, which is empty for a first delivery.
    private func deliveryID(_ event: EventID, _ webhook: WebhookID, run: String = "") -> DeliveryID {
        identity.removeAll(keepingCapacity: true)
        event.append(to: &identity)
        identity.append(0)
        webhook.append(to: &identity)
        identity.append(0)
        identity.append(contentsOf: run.utf8)
        let (high, low) = Digest.prefix(of: identity)
        return DeliveryID(high: high, low: low)
    }
}

extension RegistryView.State {
    /// - Parameter account: nil for everybody.
    fileprivate func routes(to account: AccountID?, type: String) -> [RoutingTable.Route] {
        account.map { routes.routes(account: $0, type: type) } ?? routes.routes(everyoneTo: type)
    }
}
