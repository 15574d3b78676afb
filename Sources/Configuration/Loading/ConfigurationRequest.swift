// What the loader is asked, and what it answers.
package import Core

/// What to load, and which of the things beside the settings this command is going to touch.
package struct ConfigurationRequest: Sendable {
    package struct Needs: OptionSet, Sendable {
        package let rawValue: Int
        package init(rawValue: Int) { self.rawValue = rawValue }

        /// `kafka."bootstrap.servers"` must be set.
        package static let cluster = Needs(rawValue: 1)
        /// The key file is read, and must be right.
        package static let secrets = Needs(rawValue: 2)
        /// The mappings' folder must be there.
        package static let mappings = Needs(rawValue: 4)
        /// The state folder must be there or possible to make.
        package static let state = Needs(rawValue: 8)

        /// The API's certificate and key are read, where they are set.
        package static let apiTLS = Needs(rawValue: 16)

        /// What `run` and `config check` need.
        package static let all: Needs = [.cluster, .secrets, .mappings, .state, .apiTLS]
    }

    /// nil: no file.
    package var path: String?
    /// The arguments of `--set`, in order.
    package var sets: [String]
    package var environment: [String: String]
    package var needs: Needs

    package init(path: String?, sets: [String] = [], environment: [String: String], needs: Needs = .all) {
        self.path = path
        self.sets = sets
        self.environment = environment
        self.needs = needs
    }
}

/// Settings that can be worked with, and what the loader read beside them.
package struct LoadedConfiguration: Sendable {
    package var settings: Settings
    /// nil when not needed.
    package var secretKeys: SecretKeys?
    /// The content of `mail.passwordFile`.
    package var mailPassword: String?
    /// The contents of `api.tls`; nil where it is not set.
    package var apiTLS: TLSFiles?
    package var warnings: [ConfigurationFault]
    /// Where each key that somebody set got its value.
    package var sources: [String: ConfigurationSource]
}

/// PEM, as read; prints as nothing.
package struct TLSFiles: Sendable, CustomReflectable {
    package var certificate: [UInt8]
    package var key: [UInt8]

    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Why there are no settings.
package struct ConfigurationFaults: Error, Sendable {
    package var faults: [ConfigurationFault]
    package var warnings: [ConfigurationFault]
}
