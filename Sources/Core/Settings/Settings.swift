// Everything a process can be told, with its defaults: the keys of contract §4 as Swift values. `Settings()` is the
// configuration nobody touched. Keys, ranges and texts for people are in Sources/Configuration/Keys; every stage gets
// the part it needs from here and nothing else. No secret is in here but those in `kafka`, which print as `***`.

package struct Settings: Equatable, Sendable {
    /// `application.id`: the consumer groups are `<id>.translate`, `<id>.deliver` …
    package var applicationID = "webhook-bridge"
    /// `instance.id`: static membership; a process that comes back with it keeps its partitions. Unique per process.
    package var instanceID: String?
    package var kafka = Kafka()
    package var topics = Topics()
    /// `mappings`: the folder of mapping files. Empty until the loader has looked for it in the usual places.
    package var mappingsFolder = ""
    /// `schemas`: the folder of payload schemas that mappings are checked against. Empty until the loader has looked.
    package var schemasFolder = ""
    package var translate = Translate()
    package var deliver = Deliver()
    package var api = API()
    package var ops = Ops()
    package var egress = Egress()
    package var retry = Retry()
    package var limits = Limits()
    package var secrets = Secrets()
    package var state = State()
    package var logs = Logs()
    package var mail = Mail()

    package init() {}

    /// The consumer group of a role.
    package func group(_ role: Role) -> String { "\(applicationID).\(role.rawValue)" }
}

extension Settings {
    /// librdkafka's own properties, passed through.
    package struct Kafka: Equatable, Sendable {
        package struct Property: Equatable, Sendable, CustomStringConvertible {
            package var value: String
            package var isSecret: Bool

            package init(value: String, isSecret: Bool = false) {
                self.value = value
                self.isSecret = isSecret
            }

            package var description: String { isSecret ? "***" : value }
        }

        package var properties: [String: Property] = [:]

        /// Name and value in the order of names, for the one place that hands them to librdkafka.
        package var pairs: [(name: String, value: String)] {
            properties.sorted { $0.key < $1.key }.map { ($0.key, $0.value.value) }
        }
        package var bootstrapServers: String? { properties["bootstrap.servers"]?.value }

        package init() {}
    }

    package struct Topics: Equatable, Sendable {
        package var prefix = "webhooks."
        /// S: partitions of `deliveries`, `deferred`, `attempts`, `dead-letters`; `retries` has eight times as many.
        package var partitions = 16
        /// Copies of each partition; nil: as many as there are brokers, three at most.
        package var replicationFactor: Int?
        package var retentionHours = RetentionHours()

        /// The number of copies to ask for on a cluster of this size.
        package func copies(brokers: Int) -> Int { replicationFactor ?? max(1, min(3, brokers)) }

        package init() {}
    }

    /// How long each topic that is kept by time keeps its records (contract §3).
    package struct RetentionHours: Equatable, Sendable {
        package var deliveries = 168
        package var deferred = 168
        package var retries = 168
        package var attempts = 720
        package var deadLetters = 720
        package var notices = 720
        package var emails = 720
        package var commands = 24
        package var results = 24

        package init() {}

        /// The same for every topic.
        package init(all hours: Int) {
            (deliveries, deferred, retries) = (hours, hours, hours)
            (attempts, deadLetters, notices, emails) = (hours, hours, hours, hours)
            (commands, results) = (hours, hours)
        }
    }

    package struct Translate: Equatable, Sendable {
        /// A partition without a committed offset starts at now minus this.
        package var startAge = Milliseconds.hours(24)

        package init() {}
    }

    package struct Deliver: Equatable, Sendable {
        /// HTTP engine threads; a webhook is always on the same one.
        package var threads = 1
        /// Open connections to one host, port and address; several webhooks may share it.
        package var connectionsPerHost = 256

        package init() {}
    }

    package struct API: Equatable, Sendable {
        package var listen = ListenAddress(host: "127.0.0.1", port: 8080)
        /// Where subscribers reach it, without a slash at the end.
        package var publicURL: String?
        package var tls = TLS()

        package init() {}
    }

    /// Files of a listener that speaks TLS itself: both or none.
    package struct TLS: Equatable, Sendable {
        /// PEM: the server's certificate, then those that lead to its authority.
        package var certificateFile: String?
        /// PEM, mode 0600.
        package var keyFile: String?

        package init() {}
    }

    package struct Ops: Equatable, Sendable {
        package var listen = ListenAddress(host: "127.0.0.1", port: 8081)
        /// A stage that stands still this long is logged and makes the process unready and unhealthy.
        package var stallWarning = Milliseconds.seconds(10)
        /// And this long ends the process, so that others take its partitions.
        package var stallExit = Milliseconds.minutes(2)

        package init() {}
    }

    package struct Egress: Equatable, Sendable {
        package var allowHTTP = false
        /// `address/prefix`; wins over the deny list, never over our own listeners.
        package var allowNetworks: [String] = []
        /// `address/prefix`; denied beside the built-in list.
        package var denyNetworks: [String] = []
        /// Where connections are made from: one address of a family at most.
        package var sourceAddresses: [String] = []
        package var ipRanges = IPRanges()
        /// `address` or `address:port`; empty: the system's.
        package var nameservers: [String] = []
        /// One deadline over DNS, connect, TLS, request and response head.
        package var timeoutMilliseconds = 5000
        /// PEM file of certificate authorities trusted beside the system's.
        package var caFile: String?

        package init() {}
    }

    /// The networks our POSTs come from, as `GET /v1/ip-ranges` tells them; what the public documentation says.
    package struct IPRanges: Equatable, Sendable {
        package var production = ["52.85.83.0/27", "54.85.83.0/27"]
        package var testnet = ["52.85.84.0/27", "54.85.84.0/27"]

        package init() {}
    }

    package struct Retry: Equatable, Sendable {
        package static let tierCount = 8
        package var tiers: [Milliseconds] = [
            .seconds(5), .seconds(30), .minutes(5), .minutes(30), .hours(2), .hours(6), .hours(12), .hours(24),
        ]
        /// Multiplies the eight waits and nothing else.
        package var timeScale = 1.0

        /// What is really waited before retry 1…8.
        package var waits: [Milliseconds] { tiers.map { $0.scaled(by: timeScale) } }
        /// The keys in `retries`: labels of the unscaled waits.
        package var labels: [String] { tiers.map(\.description) }

        package init() {}
    }

    package struct Limits: Equatable, Sendable {
        package var webhooksPerAccount = 10
        /// Per webhook; 0 = off.
        package var eventsPerSecond = 100
        package var payloadBytes = 1_048_576
        /// What was deferred for longer is dead-lettered.
        package var deferredAge = Milliseconds.hours(48)
        /// Per API key and process; 0 = off.
        package var requestsPerMinute = 600
        /// Per client address; never blocks a valid key; 0 = off.
        package var authFailuresPerMinute = 60

        package init() {}
    }

    package struct Secrets: Equatable, Sendable {
        /// The file whose keys encrypt signing secrets at rest.
        package var keyFile: String?

        package init() {}
    }

    package struct State: Equatable, Sendable {
        /// Where the log store lives; it can be lost and is then rebuilt.
        package var directory = "state"

        package init() {}
    }

    package struct Logs: Equatable, Sendable {
        /// Age at which an entry leaves the log store.
        package var retentionHours = 720
        package var entriesPerWebhook = 1000

        package init() {}
    }

    package struct Mail: Equatable, Sendable {
        /// `smtp://host:port` or `smtps://host:port`; nil: mail is off.
        package var smtp: String?
        package var from: String?
        package var username: String?
        package var passwordFile: String?
        /// Refuse a server that offers no TLS.
        package var requireTLS = true
        /// PEM file of authorities to trust beside the system's.
        package var caFile: String?
        package var timeoutMilliseconds = 30_000

        package var isConfigured: Bool { smtp != nil }

        package init() {}
    }
}
