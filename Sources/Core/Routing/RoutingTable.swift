// Which webhooks hear of an event: an index by account, whose webhooks are few, and by event type, so that the cost of
// routing does not depend on how many webhooks there are. A webhook's subscriptions are a bit each: an entry a webhook and
// type would make the table the largest thing in the process.

package struct RoutingTable: Sendable {
    /// What routing needs to know of an active webhook.
    package struct Route: Equatable, Sendable {
        package let webhook: WebhookID
        package let account: AccountID
        package let generation: Int
        package let createdAt: Timestamp
        fileprivate let types: EventTypeSet
    }

    private var byAccount: [AccountID: [Route]] = [:]
    /// The accounts with a webhook that hears of a type, by the type's number.
    private var accounts = [Set<AccountID>](repeating: [], count: EventTypes.all.count)

    package init() {}

    package mutating func add(_ webhook: Webhook) {
        let types = EventTypeSet(webhook.events)
        guard webhook.isActive, !types.isEmpty else { return }
        byAccount[webhook.account, default: []].append(
            Route(
                webhook: webhook.id, account: webhook.account, generation: webhook.generation,
                createdAt: webhook.createdAt, types: types))
        types.forEach { accounts[$0].insert(webhook.account) }
    }

    package mutating func remove(_ webhook: Webhook) {
        guard let index = byAccount[webhook.account]?.firstIndex(where: { $0.webhook == webhook.id }),
            let old = byAccount[webhook.account]?.remove(at: index)
        else { return }
        let left = byAccount[webhook.account] ?? []
        if left.isEmpty { byAccount[webhook.account] = nil }
        let orphans = left.reduce(into: old.types) { $0.subtract($1.types) }
        orphans.forEach { accounts[$0].remove(webhook.account) }
    }

    /// The active webhooks of one account that subscribed to a type.
    package func routes(account: AccountID, type: String) -> [Route] {
        guard let type = EventTypeSet.number(of: type), let routes = byAccount[account] else { return [] }
        // As a rule all of them did, and nothing has to be copied.
        return routes.allSatisfy { $0.types.contains(type) } ? routes : routes.filter { $0.types.contains(type) }
    }

    /// The active webhooks of every account that subscribed to a type; for mappings whose audience is everyone.
    package func routes(everyoneTo type: String) -> [Route] {
        guard let type = EventTypeSet.number(of: type) else { return [] }
        return accounts[type].flatMap { account in (byAccount[account] ?? []).filter { $0.types.contains(type) } }
    }
}

/// A set of documented event types, a bit each.
private struct EventTypeSet: Equatable, Sendable {
    private var bits: UInt32 = 0

    private static let numbers: [String: Int] = {
        precondition(EventTypes.all.count <= UInt32.bitWidth, "an event type has a bit; more need a wider set")
        return Dictionary(uniqueKeysWithValues: EventTypes.all.enumerated().map { ($1.name, $0) })
    }()
    /// Each type, each family and `*`.
    private static let patterns: [String: UInt32] = {
        let families = EventTypes.all.map { String($0.name.prefix { $0 != "." }) + ".*" }
        return (EventTypes.all.map(\.name) + families + ["*"]).reduce(into: [:]) { patterns, pattern in
            patterns[pattern] = EventTypes.matching(pattern).reduce(0) { $0 | 1 << UInt32(numbers[$1] ?? 0) }
        }
    }()

    /// - Parameter patterns: as a subscription lists them.
    init(_ patterns: [String]) {
        for pattern in patterns { bits |= Self.patterns[pattern] ?? 0 }
    }

    static func number(of type: String) -> Int? { numbers[type] }

    var isEmpty: Bool { bits == 0 }
    func contains(_ number: Int) -> Bool { bits >> UInt32(number) & 1 == 1 }
    mutating func subtract(_ other: EventTypeSet) { bits &= ~other.bits }

    func forEach(_ body: (Int) -> Void) {
        var left = bits
        while left != 0 {
            body(left.trailingZeroBitCount)
            left &= left - 1
        }
    }
}

extension Webhook {
    /// Whether it subscribed to a type, by its name or by a pattern.
    package func hears(of type: String) -> Bool { events.contains { EventTypes.matching($0).contains(type) } }
}
