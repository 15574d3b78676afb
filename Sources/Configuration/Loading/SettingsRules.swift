// What must hold between settings, each of which is fine alone.
internal import Core

enum SettingsRules {
    static func broken(_ settings: Settings) -> [(key: String, rejection: Rejection)] {
        var broken: [(key: String, rejection: Rejection)] = []
        func require(_ holds: Bool, _ key: String, _ cause: String, _ fix: String = "") {
            if !holds { broken.append((key, Rejection(cause: cause, fix: fix))) }
        }

        let tiers = settings.retry.tiers
        if let position = tiers.indices.dropFirst().first(where: { tiers[$0] < tiers[$0 - 1] }) {
            require(
                false, "retry.tiers", "\(tiers[position]) stands after \(tiers[position - 1])",
                "write the waits from the shortest to the longest")
        }

        let kept = settings.topics.retentionHours
        let longest = settings.retry.waits.max() ?? Milliseconds(0)
        require(
            longest < Milliseconds.hours(Int64(kept.retries)), "topics.retentionHours.retries",
            "a retry waits up to \(longest), but the topic keeps records for \(kept.retries)h only: it would be lost",
            "keep them for longer")
        require(
            settings.limits.deferredAge <= Milliseconds.hours(Int64(kept.deferred)), "limits.deferredAge",
            "\(settings.limits.deferredAge) is longer than topics.retentionHours.deferred, \(kept.deferred)h: deliveries would be lost",
            "make one longer or the other shorter")

        let (api, ops) = (settings.api.listen, settings.ops.listen)
        require(
            api != ops || api.port == 0, "ops.listen", "is the same as api.listen, \(api)", "give each its own port")

        let tls = settings.api.tls
        require(
            tls.certificateFile == nil || tls.keyFile != nil, "api.tls.keyFile",
            "is required when api.tls.certificateFile is set")
        require(
            tls.keyFile == nil || tls.certificateFile != nil, "api.tls.certificateFile",
            "is required when api.tls.keyFile is set")

        let mail = settings.mail
        require(
            !mail.isConfigured || mail.from != nil, "mail.from", "is required when mail.smtp is set",
            "such as \"webhooks@example.com\"")
        require(
            mail.username == nil || mail.passwordFile != nil, "mail.passwordFile",
            "is required when mail.username is set")
        return broken
    }
}
