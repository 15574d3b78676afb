// What a command line asks for, once it is understood.
package import Core
package import Runtime

package struct Invocation: Equatable, Sendable {
    package var command: ProgramCommand
    package var logFormat: Log.Format
    package var logLevel: Log.Level
}

package enum ProgramCommand: Equatable, Sendable {
    case run(RunOptions)
    case demo(DemoOptions)
    case broker(ConfigurationOptions)
    case topicsCreate(TopicsOptions)
    case topicsCheck(TopicsOptions)
    case accountsCreate(AccountOptions)
    case accountsList(ConfigurationOptions)
    case accountsRotateKey(KeyRotationOptions)
    case accountsRevokeKey(KeyRevocationOptions)
    case accountsDelete(AccountDeletionOptions)
    case secretsRewrap(ConfigurationOptions)
    case configCheck(ConfigurationOptions)
    /// The reference file, on stdout.
    case configReference
    /// The API's OpenAPI document, on stdout.
    case configOpenAPI
    case mappingCheck(ConfigurationOptions)
    case mappingTry(MappingTryOptions)
    case deadLettersList(DeadLetterListOptions)
    case deadLettersShow(DeadLetterShowOptions)
    case deadLettersRetry(DeadLetterRetryOptions)
    case replay(ReplayOptions)
    case replayStatus(ReplayChoice)
    case replayCancel(ReplayChoice)
    case listen(ListenOptions)
    /// The text to print on stdout.
    case help(String)
    case version
}

/// Where the settings come from, beside the environment.
package struct ConfigurationOptions: Equatable, Sendable {
    /// `--config`; nil only for `broker`.
    package var path: String?
    /// Each `--set key=value`, in order.
    package var sets: [String]

    package init(path: String?, sets: [String] = []) {
        self.path = path
        self.sets = sets
    }

    package func request(
        environment: [String: String] = ProcessEnvironment.variables(), needs: ConfigurationRequest.Needs
    ) -> ConfigurationRequest {
        ConfigurationRequest(path: path, sets: sets, environment: environment, needs: needs)
    }
}

package struct RunOptions: Equatable, Sendable {
    package var configuration: ConfigurationOptions
    /// nil: the defaults, ``Role/defaults(mailIsConfigured:)``. Without repetitions, in the enum's order.
    package var roles: [Role]?
}

package struct DemoOptions: Equatable, Sendable {
    /// Leave it running after the summary.
    package var keep: Bool
    package var sets: [String]
}

package struct TopicsOptions: Equatable, Sendable {
    package var configuration: ConfigurationOptions
    /// Make missing domain topics too.
    package var withDomain: Bool
}

package struct AccountOptions: Equatable, Sendable {
    package var configuration: ConfigurationOptions
    package var email: String
    package var name: String?
}

package struct AccountDeletionOptions: Equatable, Sendable {
    package var configuration: ConfigurationOptions
    package var account: AccountID
}

package struct KeyRotationOptions: Equatable, Sendable {
    package var configuration: ConfigurationOptions
    package var account: AccountID
    /// How long the key before stays valid.
    package var overlapMilliseconds: Int64
}

package struct KeyRevocationOptions: Equatable, Sendable {
    package var configuration: ConfigurationOptions
    package var account: AccountID
    /// The key's public id.
    package var key: String
}

package struct MappingTryOptions: Equatable, Sendable {
    package struct Header: Equatable, Sendable {
        package var name: String
        package var value: String
    }

    package var configuration: ConfigurationOptions
    package var topic: String
    package var headers: [Header] = []
}

package struct DeadLetterListOptions: Equatable, Sendable {
    package var configuration: ConfigurationOptions
    package var filter: DeadLetterFilter
    package var limit: Int
    package var asJSON: Bool
}

package struct DeadLetterShowOptions: Equatable, Sendable {
    package var configuration: ConfigurationOptions
    package var position: DeadLetterPosition
    /// Only the value, byte for byte.
    package var valueOnly: Bool
}

package struct DeadLetterRetryOptions: Equatable, Sendable {
    package enum Selection: Equatable, Sendable {
        /// At least one, none twice.
        case positions([DeadLetterPosition])
        case all(DeadLetterFilter)
    }

    package var configuration: ConfigurationOptions
    package var selection: Selection
    package var isDryRun: Bool
}

package struct ReplayOptions: Equatable, Sendable {
    package var configuration: ConfigurationOptions
    package var webhook: WebhookID
    package var since: DeadLetterFilter.Since
    /// nil: now.
    package var until: DeadLetterFilter.Since?
    package var isDryRun: Bool
    /// Stay until its end.
    package var follows: Bool
}

package struct ReplayChoice: Equatable, Sendable {
    package var configuration: ConfigurationOptions
    package var webhook: WebhookID
    /// nil: the newest.
    package var replay: ReplayID?
}

package struct ListenOptions: Equatable, Sendable {
    /// 0 lets the system choose.
    package var port: UInt16
    package var secret: String
}

/// A command line nobody can follow: exit code 2.
package struct UsageError: Error, Equatable, Sendable, CustomStringConvertible {
    package var message: String
    /// `did you mean …?` and where to read more.
    package var hint: String

    /// Two lines for stderr.
    package var description: String { "webhook-bridge: \(message)\n\(hint)\n" }
}
