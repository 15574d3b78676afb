// The documented event types, and which of them a subscription's list names.

package struct EventType: Sendable, Equatable {
    package let name: String
    package let description: String
}

package enum EventTypes {
    /// The documentation's event table, in its order.
    package static let all: [EventType] = [
        EventType(name: "user.created", description: "A new user registers"),
        EventType(name: "user.verified", description: "User verifies their email/wallet"),
        EventType(name: "user.updated", description: "User profile is updated"),
        EventType(name: "user.deleted", description: "User account is deleted"),
        EventType(name: "module.started", description: "User starts a learning module"),
        EventType(name: "module.completed", description: "User completes a module (passes quiz)"),
        EventType(name: "module.failed", description: "User fails a module quiz"),
        EventType(name: "milestone.reached", description: "User reaches a milestone (10, 50, 100 modules)"),
        EventType(name: "reward.issued", description: "Reward is sent to user's wallet"),
        EventType(name: "reward.withdrawn", description: "User withdraws funds from platform"),
        EventType(name: "reward.failed", description: "Reward distribution fails"),
        EventType(name: "credential.issued", description: "New credential minted on Stellar"),
        EventType(name: "credential.verified", description: "Someone verifies a credential"),
        EventType(name: "credential.revoked", description: "Credential is revoked"),
        EventType(name: "referral.created", description: "User refers a new user"),
        EventType(name: "referral.converted", description: "Referred user completes first module"),
        EventType(name: "referral.rewarded", description: "Referrer receives bonus reward"),
        EventType(name: "employer.subscribed", description: "New employer subscription"),
        EventType(name: "employer.searched", description: "Employer performs talent search"),
        EventType(name: "employer.contacted", description: "Employer contacts a candidate"),
        EventType(name: "webhook.test", description: "Test event to verify endpoint"),
        EventType(name: "webhook.disabled", description: "Webhook automatically disabled (too many failures)"),
    ]

    /// Whether a subscription's entry is a documented type, `*`, or a family such as `module.*`.
    package static func isKnown(_ pattern: String) -> Bool {
        if pattern == "*" { return true }
        return all.contains { $0.name == pattern || (pattern.hasSuffix(".*") && $0.name.hasPrefix(pattern.dropLast())) }
    }

    /// The types an entry stands for.
    package static func matching(_ pattern: String) -> [String] {
        all.map(\.name).filter { name in
            pattern == "*" || name == pattern || (pattern.hasSuffix(".*") && name.hasPrefix(pattern.dropLast()))
        }
    }
}
