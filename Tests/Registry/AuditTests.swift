// What the audit log tells of a change, and what it must not.
import Core
import Testing

@testable import Registry

@Suite struct AuditTests {
    private let start = Timestamp(milliseconds: 1_700_000_000_000)

    private var webhook: Webhook {
        Webhook(
            id: WebhookID(high: 4, low: 1), account: AccountID(high: 1, low: 1),
            url: "https://example.com:8443/hooks/s3cret?token=s3cret", description: "call ann@example.com",
            events: ["user.created", "reward.*"], isActive: true, version: "1.0", createdAt: start, updatedAt: start,
            secrets: [SealedSecret(keyID: "k1", box: Array("s3cret".utf8), createdAt: start)])
    }

    private let account = Account(
        id: AccountID(high: 1, low: 1), email: "ann@example.com", name: "Ann",
        keys: [APIKey(id: "0aB3dE6f", hash: "s3cret", createdAt: Timestamp(milliseconds: 1_700_000_000_000))],
        createdAt: Timestamp(milliseconds: 1_700_000_000_000))

    @Test func tellsWhatWasAndWhatIs() {
        var changed = webhook
        changed.isActive = false
        changed.events = ["*"]
        changed.revision = 2
        let difference = AuditedFields.difference(AuditedFields(webhook), AuditedFields(changed))
        #expect(difference.before == "events=user.created,reward.* isActive=true revision=1")
        #expect(difference.after == "events=* isActive=false revision=2")
        let made = AuditedFields.difference(AuditedFields(nil as Webhook?), AuditedFields(webhook))
        #expect(
            made.before.isEmpty && made.after.hasPrefix("url=https://example.com:8443 events=user.created,reward.* "))
        let gone = AuditedFields.difference(AuditedFields(webhook), AuditedFields(nil as Webhook?))
        #expect(gone.before == made.after && gone.after.isEmpty)
    }

    @Test func saysOfTextsAndPathsOnlyThatTheyChanged() {
        var changed = webhook
        changed.url = "https://example.com:8443/hooks/an0ther"
        changed.description = nil
        let difference = AuditedFields.difference(AuditedFields(webhook), AuditedFields(changed))
        #expect(difference.before.isEmpty && difference.after == "url:changed description:changed")
        #expect(AuditedFields.origin(of: "https://ann:s3cret@example.com/x") == "https://example.com")
    }

    @Test func tellsOfKeysAndSecretsWhenTheyEnd() {
        var (rotated, keys) = (webhook, account)
        rotated.secrets[0].expiresAt = start.adding(milliseconds: 60_000)
        rotated.secrets.insert(SealedSecret(keyID: "k2", box: [1], createdAt: start.adding(milliseconds: 1000)), at: 0)
        keys.keys.append(APIKey(id: "9zY8xW7v", hash: "s3cret", createdAt: start))
        let difference = AuditedFields.difference(AuditedFields(webhook), AuditedFields(rotated))
        #expect(
            difference.after
                == "secrets=2023-11-14T22:13:21Z,2023-11-14T22:13:20Z/2023-11-14T22:14:20Z sealedWith=k2,k1")
        let more = AuditedFields.difference(AuditedFields(account), AuditedFields(keys))
        #expect(more.after == "keys=0aB3dE6f:2023-11-14T22:13:20Z,9zY8xW7v:2023-11-14T22:13:20Z")
    }

    @Test func carriesNothingSecret() {
        for text in [
            AuditedFields.difference(AuditedFields(webhook), AuditedFields(nil as Webhook?)).before,
            AuditedFields.difference(AuditedFields(nil as Account?), AuditedFields(account)).after,
        ] {
            #expect(!text.contains("s3cret") && !text.contains("ann@") && !text.contains("Ann"))
        }
    }
}
