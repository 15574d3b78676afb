// Every process's read-only view of accounts and subscriptions, fed from the two compacted topics: what routing,
// delivery and the API look things up in. One lock, held for lookups only; a stage takes it once for a batch.
package import Core
internal import Runtime
internal import Synchronization

package final class RegistryView: Sendable {
    private let state = Guarded(State())
    private let changes = Atomic<UInt64>(1)
    private let confirmed = Atomic<UInt64>(0)

    /// When it was last seen that the view has everything `subscriptions` and `accounts` had then, monotonic nanoseconds; 0
    /// before. Whoever met a webhook or an account before that moment and does not find it here knows that it was deleted.
    package var confirmedAt: UInt64 { confirmed.load(ordering: .acquiring) }

    /// - Returns: false while the view misses a webhook because its record cannot be read: then whoever is not found here may
    ///   be there all the same.
    @discardableResult
    package func confirm(at time: UInt64) -> Bool {
        guard unread.withLock({ $0.isEmpty }) else { return false }
        confirmed.store(time, ordering: .releasing)
        return true
    }

    /// The keys of `subscriptions` whose newest record could not be read.
    private let unread = Guarded<Set<[UInt8]>>([])
    private let hasUnread = Atomic(false)

    /// A record of `subscriptions` could not be read.
    package func noteUnread(_ key: UnsafeRawBufferPointer) {
        let key = Array(key)
        unread.withLock { _ = $0.insert(key) }
        hasUnread.store(true, ordering: .releasing)
        confirmed.store(0, ordering: .releasing)
    }

    /// One was: it stands for whatever was not read of its key before.
    package func noteRead(_ key: UnsafeRawBufferPointer) {
        // Hardly ever, and this is called for each record of a load.
        guard hasUnread.load(ordering: .acquiring) else { return }
        let key = Array(key)
        unread.withLock { _ = $0.remove(key) }
    }

    package init() {}

    /// The view's tables; reached through ``RegistryView/read(_:)``.
    package struct State: Sendable {
        package fileprivate(set) var accounts: [AccountID: Account] = [:]
        package fileprivate(set) var webhooks = WebhookTable()
        private var owned: [AccountID: Set<WebhookID>] = [:]
        private var keys: [String: (account: AccountID, key: APIKey)] = [:]
        package private(set) var routes = RoutingTable()
        /// The webhooks with a replay that runs.
        package private(set) var replaying: Set<WebhookID> = []
        /// What was removed last, so that a deleted webhook can be told from one this view does not know yet.
        private var removedWebhooks = BoundedSet<WebhookID>(kept: 10_000)
        private var removedAccounts = BoundedSet<AccountID>(kept: 10_000)

        /// A webhook that was not there before.
        package struct News: Sendable {
            package let webhook: WebhookID
            package let account: AccountID
        }

        /// The last of them, in the order in which they were heard of.
        private var latestNews: [News] = []
        private var forgottenNews = 0
        private static let keptNews = 1024

        /// How many webhooks were heard of since the start.
        package var newsCount: Int { forgottenNews + latestNews.count }

        /// The webhooks that were heard of after the first `count`, as far as they are remembered, with their numbers.
        package func news(since count: Int) -> [(number: Int, news: News)] {
            let first = max(count - forgottenNews, 0)
            guard first < latestNews.count else { return [] }
            return (first..<latestNews.count).map { (forgottenNews + $0, latestNews[$0]) }
        }

        private mutating func note(_ news: News) {
            if latestNews.count == 2 * Self.keptNews {
                latestNews.removeFirst(Self.keptNews)
                forgottenNews += Self.keptNews
            }
            latestNews.append(news)
        }

        package func wasRemoved(_ id: WebhookID) -> Bool { removedWebhooks.contains(id) }
        package func wasRemoved(_ id: AccountID) -> Bool { removedAccounts.contains(id) }

        /// Whether it is here, or was until it was removed.
        package func knows(_ id: WebhookID) -> Bool { webhooks[id] != nil || wasRemoved(id) }
        package func knows(_ id: AccountID) -> Bool { accounts[id] != nil || wasRemoved(id) }

        /// Whether the view has come as far as this revision of a webhook.
        package func shows(_ id: WebhookID, revision: Int) -> Bool {
            webhooks[id].map { $0.revision >= revision } ?? wasRemoved(id)
        }

        fileprivate mutating func noteRemoval(_ id: WebhookID) { removedWebhooks.insert(id) }
        fileprivate mutating func noteRemoval(_ id: AccountID) { removedAccounts.insert(id) }

        package func webhooks(of account: AccountID) -> [Webhook] {
            (owned[account] ?? []).compactMap { webhooks[$0] }.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
        }

        /// - Parameter hash: lower-case hex SHA-256 of the whole API key.
        package func account(keyHash hash: String, now: Timestamp) -> (account: Account, key: APIKey)? {
            guard let (id, key) = keys[hash], let account = accounts[id] else { return nil }
            if let expiresAt = key.expiresAt, now >= expiresAt { return nil }
            return (account, key)
        }

        fileprivate mutating func put(_ account: Account) {
            remove(account.id)
            accounts[account.id] = account
            for key in account.keys { keys[key.hash] = (account.id, key) }
        }

        fileprivate mutating func remove(_ id: AccountID) {
            guard let old = accounts.removeValue(forKey: id) else { return }
            for key in old.keys { keys[key.hash] = nil }
        }

        fileprivate mutating func put(_ webhook: Webhook) -> Webhook {
            let webhook = webhook.numbered(after: webhooks[webhook.id])
            if webhooks[webhook.id] == nil { note(News(webhook: webhook.id, account: webhook.account)) }
            remove(webhook.id)
            webhooks[webhook.id] = webhook
            owned[webhook.account, default: []].insert(webhook.id)
            routes.add(webhook)
            if webhook.runningReplay != nil { replaying.insert(webhook.id) }
            return webhook
        }

        fileprivate mutating func remove(_ id: WebhookID) {
            guard let old = webhooks.removeValue(forKey: id) else { return }
            owned[old.account]?.remove(id)
            if owned[old.account]?.isEmpty == true { owned[old.account] = nil }
            routes.remove(old)
            replaying.remove(id)
        }
    }

    /// Looks things up under the lock; keep it short and call nothing that blocks.
    package func read<Result: Sendable>(_ body: (borrowing State) -> Result) -> Result {
        state.withLock { body($0) }
    }

    /// Grows with every change: as long as it stands still, nothing that was looked up has changed, and a stage need not
    /// take the lock.
    package var version: UInt64 { changes.load(ordering: .acquiring) }

    // MARK: What the feed says

    package func put(_ account: Account) { change { $0.put(account) } }
    /// - Returns: the webhook as it is kept, with a revision of its own.
    @discardableResult
    package func put(_ webhook: Webhook) -> Webhook { change { $0.put(webhook) } }
    package func removeAccount(_ id: AccountID) {
        change {
            $0.remove(id)
            $0.noteRemoval(id)
        }
    }
    package func removeWebhook(_ id: WebhookID) {
        change {
            $0.remove(id)
            $0.noteRemoval(id)
        }
    }

    private func change<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
        defer { changes.add(1, ordering: .releasing) }
        return state.withLock { body(&$0) }
    }
}
