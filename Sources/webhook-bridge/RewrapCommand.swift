// `secrets rewrap`: what another key than the first has sealed is sealed again with the first. Done by commands as any other
// change, each for as long as the webhook still has what was opened: a rotation meanwhile is newer and stays.
internal import API
internal import Configuration
internal import Core
internal import Crypto
internal import JSON
internal import Registry
internal import Runtime

enum RewrapCommand {
    /// Commands on their way at once.
    private static let batch = 200
    /// A process that was not restarted goes on sealing with the old key.
    private static let mostPasses = 3

    static func run(_ options: ConfigurationOptions) throws(Exit) {
        let loaded = try LoadedConfiguration.load(options, needs: [.cluster, .secrets])
        guard let box = loaded.secretBox else { throw .configuration("secrets.keyFile is not set") }
        let registry = try RegistryAccess(loaded)
        defer { registry.close() }
        var rewrapped = 0
        var failed: Set<WebhookID> = []
        for _ in 0..<mostPasses {
            let found = work(registry.webhooks.filter { !failed.contains($0.id) }, box, &failed)
            if found.isEmpty { break }
            for start in stride(from: 0, to: found.count, by: batch) {
                rewrapped += try send(Array(found[start..<min(start + batch, found.count)]), registry, done: rewrapped)
            }
        }
        let webhooks = registry.webhooks
        let behind = webhooks.filter { webhook in
            !failed.contains(webhook.id) && webhook.secrets.contains { isBehind($0, box) }
        }
        for webhook in behind {
            Terminal.error(
                "webhook \(webhook.id) was given a secret sealed with another key again; "
                    + "restart the processes that still have the old key file")
        }
        let line = JSONWriter.document { writer in
            writer.field("webhooks", webhooks.count)
            writer.field("secrets", webhooks.reduce(0) { $0 + $1.secrets.count })
            writer.field("rewrapped", rewrapped)
            writer.field("failed", failed.count + behind.count)
        }
        Terminal.print(String(decoding: line, as: UTF8.self))
        if !failed.isEmpty || !behind.isEmpty { throw Exit(code: 1) }
    }

    /// - Returns: how many secrets were sealed again.
    private static func send(
        _ work: [RegistryAccess.Request], _ registry: RegistryAccess, done: Int
    ) throws(Exit) -> Int {
        var count = 0
        for (request, outcome) in zip(work, registry.outcomes(of: work)) {
            switch outcome {
            case .applied, .unseen: if case .rewrapSecrets(_, let rewraps) = request.change { count += rewraps.count }
            // Rotated, deleted or sealed again meanwhile: the next pass sees what is left to do.
            case .refused(.secretChanged), .refused(.webhookNotFound): break
            case .refused(let refusal): throw .failure("the registry refused: \(refusal.rawValue)")
            case .unconfirmed:
                throw .failure(
                    "no registry answered within 5 s; \(done + count) secrets were sealed again, the rest were not")
            }
        }
        return count
    }

    /// What is over signs nothing any more, and nobody needs the key that sealed it.
    private static func isBehind(_ secret: SealedSecret, _ box: SecretBox) -> Bool {
        secret.keyID != box.sealingKeyID && secret.isValid(at: Timestamp(milliseconds: Clock.wallMilliseconds()))
    }

    private static func work(
        _ webhooks: [Webhook], _ box: SecretBox, _ failed: inout Set<WebhookID>
    ) -> [RegistryAccess.Request] {
        var work: [RegistryAccess.Request] = []
        for webhook in webhooks {
            let context = secretContext(account: webhook.account, webhook: webhook.id)
            var rewraps: [SecretRewrap] = []
            for secret in webhook.secrets where isBehind(secret, box) {
                do throws(CryptoError) {
                    let sealed = try box.open(secret.box, keyID: secret.keyID, context: context) {
                        plain throws(CryptoError) in box.seal(Array(plain), context: context)
                    }
                    rewraps.append(SecretRewrap(old: secret.box, keyID: box.sealingKeyID, box: sealed))
                } catch {
                    Terminal.error("webhook \(webhook.id): \(error) (key '\(secret.keyID)')")
                    failed.insert(webhook.id)
                }
            }
            if !rewraps.isEmpty {
                work.append(RegistryAccess.Request(change: .rewrapSecrets(webhook.id, rewraps), webhook: webhook))
            }
        }
        return work
    }
}
