// Which webhooks hear of an event: an index by account and event type, so that the cost of routing does not depend on
// how many webhooks there are.

package struct RoutingTable: Sendable {
    /// What routing needs to know of an active webhook.
    package struct Route: Equatable, Sendable {
        package let webhook: WebhookID
        package let account: AccountID
        package let generation: Int
        package let createdAt: Timestamp
    }

    private struct Key: Hashable {
        let account: AccountID
        let type: String
    }

    private var byAccount: [Key: [Route]] = [:]
    private var byType: [String: [WebhookID: Route]] = [:]

    package init() {}

    package mutating func add(_ webhook: Webhook) {
        guard webhook.isActive else { return }
        let route = Route(
            webhook: webhook.id, account: webhook.account, generation: webhook.generation, createdAt: webhook.createdAt)
        for type in types(of: webhook) {
            byAccount[Key(account: webhook.account, type: type), default: []].append(route)
            byType[type, default: [:]][route.webhook] = route
        }
    }

    package mutating func remove(_ webhook: Webhook) {
        for type in types(of: webhook) {
            let key = Key(account: webhook.account, type: type)
            byAccount[key]?.removeAll { $0.webhook == webhook.id }
            if byAccount[key]?.isEmpty == true { byAccount[key] = nil }
            byType[type]?[webhook.id] = nil
        }
    }

    /// The active webhooks of one account that subscribed to a type.
    package func routes(account: AccountID, type: String) -> [Route] {
        byAccount[Key(account: account, type: type)] ?? []
    }

    /// The active webhooks of every account that subscribed to a type; for mappings whose audience is everyone.
    package func routes(everyoneTo type: String) -> [Route] { Array((byType[type] ?? [:]).values) }

    private func types(of webhook: Webhook) -> Set<String> {
        Set(webhook.events.flatMap { EventTypes.matching($0) })
    }
}

extension Webhook {
    /// Whether it subscribed to a type, by its name or by a pattern.
    package func hears(of type: String) -> Bool { events.contains { EventTypes.matching($0).contains(type) } }
}
