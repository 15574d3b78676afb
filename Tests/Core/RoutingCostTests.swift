import Core
import Testing

@Suite struct RoutingCostTests {
    private static func accounts(_ count: Int) -> [AccountID] {
        (0..<count).map { AccountID(high: UInt64($0) &* 0x9E37_79B9_7F4A_7C15, low: UInt32($0)) }
    }

    private static func table(_ accounts: [AccountID]) -> RoutingTable {
        let now = Timestamp(milliseconds: 1_700_000_000_000)
        var table = RoutingTable()
        for (number, account) in accounts.enumerated() {
            for each in 0..<10 {
                table.add(
                    Webhook(
                        id: WebhookID(high: UInt64(number), low: UInt32(each)), account: account,
                        url: "https://example.com/", description: nil, events: ["module.*", "user.created"],
                        isActive: true, version: "1.0", createdAt: now, updatedAt: now, secrets: []))
            }
        }
        return table
    }

    /// The best of some rounds: what the machine does beside is not the table's.
    private static func time(_ table: RoutingTable, _ accounts: [AccountID], seed: Int) -> Duration {
        (0..<7).map { round in
            ContinuousClock().measure {
                var found = 0
                for number in 0..<2000 {
                    let account = accounts[(number &* 7919 &+ round &* 104_729 &+ seed) % accounts.count]
                    found += table.routes(account: account, type: "module.completed").count
                }
                #expect(found == 20_000)
            }
        }.min()!
    }

    /// A scan would take a thousand times as long; what is allowed is what memory costs that is in no cache.
    @Test func routingCostsTheSameWithAThousandTimesTheWebhooks() {
        let (few, many) = (Self.accounts(10), Self.accounts(10_000))
        let (small, large) = (Self.table(few), Self.table(many))
        let ratio = Self.time(large, many, seed: 1) / Self.time(small, few, seed: 1)
        print("routing with 100,000 webhooks against 100: \(ratio)")
        #expect(ratio < 5)
    }

    @Test func everyoneIsFoundByTypeAlsoAfterRemovals() {
        let accounts = Self.accounts(3)
        var table = Self.table(accounts)
        #expect(table.routes(everyoneTo: "module.failed").count == 30)
        let now = Timestamp(milliseconds: 1_700_000_000_000)
        for each in 0..<10 {
            table.remove(
                Webhook(
                    id: WebhookID(high: 1, low: UInt32(each)), account: accounts[1], url: "https://example.com/",
                    description: nil, events: ["whatever it was"], isActive: false, version: "1.0", createdAt: now,
                    updatedAt: now, secrets: []))
        }
        #expect(table.routes(everyoneTo: "module.failed").count == 20)
        #expect(table.routes(account: accounts[1], type: "module.failed").isEmpty)
        #expect(table.routes(everyoneTo: "reward.issued").isEmpty)
    }
}
