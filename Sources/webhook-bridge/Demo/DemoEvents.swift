// Sample domain events of the documented kinds, as a platform's backends would publish them.

struct DemoEvent {
    let topic: String
    let type: String
    let payload: String

    /// The record for an account; the number tells repeated runs' events apart from one another.
    func record(account: String, number: Int) -> String {
        """
        {"eventId":"demo-\(number)","eventType":"\(type)","occurredAt":"2026-02-01T10:30:0\(number)Z",\
        "accountId":"\(account)","payload":\(payload)}
        """
    }
}

enum DemoEvents {
    static let all = [
        DemoEvent(
            topic: "learnault.users", type: "UserCreated",
            payload: """
                {"user":{"id":"usr_456","email":"amina@example.com","walletAddress":"GDEF...789","country":"KE",\
                "createdAt":"2026-02-01T10:30:00Z"},"referral":{"code":"REF123","referredBy":"usr_123"}}
                """),
        DemoEvent(
            topic: "learnault.modules", type: "ModuleCompleted",
            payload: """
                {"user":{"id":"usr_456","email":"amina@example.com"},"module":{"id":"mod_7","title":"Saving with Stablecoins",\
                "category":"finance"},"attempt":{"score":95,"timeSpentSeconds":410,"passed":true,\
                "completedAt":"2026-02-01T10:30:01Z"},"reward":{"amount":"0.25","asset":"USDC"},\
                "credential":{"id":"cred_9","onChainId":"0x9ab..."}}
                """),
        DemoEvent(
            topic: "learnault.rewards", type: "RewardIssued",
            payload: """
                {"user":{"id":"usr_456","email":"amina@example.com","walletAddress":"GDEF...789"},"reward":{"amount":"0.25",\
                "asset":"USDC","usdValue":"0.25","kind":"module_reward","memo":"Saving with Stablecoins"},\
                "source":{"id":"mod_7","type":"module"},"transaction":{"hash":"a1b2c3...","status":"completed"}}
                """),
        DemoEvent(
            topic: "learnault.credentials", type: "CredentialIssued",
            payload: """
                {"user":{"id":"usr_456","stellarAddress":"GDEF...789"},"module":{"id":"mod_7",\
                "title":"Saving with Stablecoins","category":"finance"},"credential":{"id":"cred_9",\
                "issuedAt":"2026-02-01T10:30:03Z","onChainId":"0x9ab...","verifiableUrl":"https://verify.learnault.io/cred_9",\
                "metadata":{"score":95,"version":"1.0","issuer":"Learnault"}}}
                """),
        DemoEvent(
            topic: "learnault.rewards", type: "RewardWithdrawn",
            payload: """
                {"user":{"id":"usr_456","email":"amina@example.com"},"withdrawal":{"id":"wd_1","amount":"25.00","asset":"USDC",\
                "usdValue":"25.00","fee":"0.01","netAmount":"24.99","destination":"GA...123","destinationType":"stellar",\
                "status":"completed","processedAt":"2026-02-01T10:30:04Z"},"transaction":{"hash":"f6e5d4..."}}
                """),
    ]
}
