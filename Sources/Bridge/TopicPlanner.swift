// Which topics there have to be, and whether the cluster has them.
package import Core
package import Kafka

/// What is wrong with a cluster's topics, for people.
package struct TopicFault: Equatable, Sendable, CustomStringConvertible {
    package enum Kind: Equatable, Sendable {
        case missing
        case partitions(is: Int, shouldBe: Int)
        /// It refuses the largest record there may be, which would then be produced for ever. Only worth a warning: most bodies
        /// are far from that.
        case recordBytes(is: Int, shouldBe: Int)
        /// A domain topic nobody produces to yet: only worth a warning.
        case domainMissing
    }
    package let topic: String
    package let kind: Kind

    package var cause: String {
        switch kind {
        case .missing: "it is missing"
        case .partitions(let count, let wanted): "it has \(count) partitions and must have \(wanted)"
        case .recordBytes(let bytes, let wanted):
            "its max.message.bytes is \(bytes) and a body of limits.payloadBytes needs \(wanted)"
        case .domainMissing: "it does not exist yet"
        }
    }

    package var mend: String {
        switch kind {
        case .missing: "make it with `webhook-bridge topics create`"
        case .partitions:
            "set topics.partitions to what the cluster has, or stop every bridge, delete the topic and run "
                + "`webhook-bridge topics create`"
        case .recordBytes(_, let wanted):
            "set the topic's max.message.bytes to \(wanted), or lower limits.payloadBytes"
        case .domainMissing:
            "make it with `webhook-bridge topics create --with-domain`; nothing, if nobody publishes to it"
        }
    }

    /// Whether the bridge can run with it.
    package var isWarning: Bool {
        switch kind {
        case .missing, .partitions: false
        case .recordBytes, .domainMissing: true
        }
    }

    package var description: String { "topic \(topic): \(cause); to mend it: \(mend)" }
}

package struct TopicPlanner: Sendable {
    private static let headroomBytes = 131_072
    /// The largest record, with its headers, on a topic that carries bodies. Twice the body (contract: so that one at its
    /// limit fits), and room for a dead letter's 64 KiB and headers.
    package static func largestRecord(_ settings: Settings) -> Int {
        2 * settings.limits.payloadBytes + headroomBytes
    }

    package let topics: Topics
    private let settings: Settings

    package init(_ settings: Settings) {
        self.settings = settings
        topics = Topics(prefix: settings.topics.prefix, shards: settings.topics.partitions)
    }

    /// The bridge's own topics with their properties.
    package var specifications: [TopicSpecification] {
        topics.plans.map { plan in
            var properties: [String: String] = [:]
            if plan.isCompacted {
                properties["cleanup.policy"] = "compact"
                // A repair of a superseded record has this long before the original is gone for new readers; erased
                // secrets go after a day.
                properties["min.compaction.lag.ms"] = "3600000"
                properties["max.compaction.lag.ms"] = "86400000"
            } else {
                properties["cleanup.policy"] = "delete"
                properties["retention.ms"] = String(Int64(retentionHours(plan)) * 3_600_000)
            }
            if plan.carriesBodies { properties["max.message.bytes"] = String(Self.largestRecord(settings)) }
            return TopicSpecification(name: plan.name, partitions: plan.partitions, properties: properties)
        }
    }

    private func retentionHours(_ plan: Topics.Plan) -> Int {
        let hours = settings.topics.retentionHours
        return switch plan.name {
        case topics.deliveries: hours.deliveries
        case topics.deferred: hours.deferred
        case topics.retries: hours.retries
        case topics.attempts: hours.attempts
        case topics.deadLetters: hours.deadLetters
        case topics.notices: hours.notices
        case topics.emails: hours.emails
        case topics.commands: hours.commands
        case topics.results: hours.results
        default: plan.retentionHours
        }
    }

    /// - Parameters:
    ///   - counts: partitions by topic, as the cluster says.
    ///   - recordBytes: `max.message.bytes` by topic, of those the cluster tells it of.
    ///   - domain: the topics the mappings read.
    package func faults(
        in counts: [String: Int], recordBytes: [String: Int] = [:], domain: [String]
    ) -> [TopicFault] {
        var faults: [TopicFault] = []
        let largest = Self.largestRecord(settings)
        for plan in topics.plans {
            switch counts[plan.name] {
            case nil: faults.append(TopicFault(topic: plan.name, kind: .missing))
            case plan.partitions: break
            case let count?:
                faults.append(
                    TopicFault(topic: plan.name, kind: .partitions(is: count, shouldBe: plan.partitions)))
            }
            if plan.carriesBodies, let bytes = recordBytes[plan.name], bytes < largest {
                faults.append(TopicFault(topic: plan.name, kind: .recordBytes(is: bytes, shouldBe: largest)))
            }
        }
        let own = Set(topics.plans.map(\.name))
        for topic in domain where counts[topic] == nil && !own.contains(topic) {
            faults.append(TopicFault(topic: topic, kind: .domainMissing))
        }
        return faults
    }

    /// The largest record each of the topics that carry bodies takes, where the cluster tells.
    package func recordBytes(_ admin: KafkaAdmin, timeoutMilliseconds: Int) -> [String: Int] {
        let names = topics.plans.filter(\.carriesBodies).map(\.name)
        return admin.values(of: "max.message.bytes", in: names, timeoutMilliseconds: timeoutMilliseconds)
            .compactMapValues { Int($0) }
    }
}
