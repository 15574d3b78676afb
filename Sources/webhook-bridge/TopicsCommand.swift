// `topics create` and `topics check`.
internal import Bridge
internal import Configuration
internal import Core
internal import Kafka
internal import Mapping

enum TopicsCommand {
    private static let timeoutMilliseconds = 10_000
    /// Domain topics belong to the platform; made here only on request, for trying things out.
    private static let domainPartitions = 4

    static func create(_ options: TopicsOptions) throws(Exit) {
        let setting = try Setting(options)
        let cluster = try setting.describe()
        var missing = setting.planner.specifications.filter { cluster.partitions[$0.name] == nil }
        if options.withDomain {
            missing += setting.domain.filter { cluster.partitions[$0] == nil }.map {
                TopicSpecification(name: $0, partitions: domainPartitions)
            }
        }
        let copies = setting.settings.topics.copies(brokers: cluster.brokers)
        let failures = setting.admin.create(
            missing, replicationFactor: copies, timeoutMilliseconds: timeoutMilliseconds)
        // A broker without CreateTopics (the embedded one) makes its topics itself; then this is a check.
        let serious = failures.filter { !$0.error.isUnsupported }
        for (topic, error) in serious { Terminal.error("topic \(topic) was not made: \(error.text)") }
        guard serious.isEmpty else { throw .failure("\(serious.count) topics were not made") }
        let failed = Set(failures.map(\.topic))
        for topic in missing where !failed.contains(topic.name) {
            Terminal.print("made \(topic.name) with \(topic.partitions) partition\(topic.partitions == 1 ? "" : "s")")
        }
        try report(setting, until: Set(missing.map(\.name)).subtracting(failed))
    }

    static func check(_ options: TopicsOptions) throws(Exit) {
        try report(try Setting(options), until: [])
    }

    /// - Parameter made: topics that were made a moment ago and may take one to show.
    private static func report(_ setting: Setting, until made: Set<String>) throws(Exit) {
        var cluster = try setting.describe()
        for _ in 0..<50 where !made.isSubset(of: cluster.partitions.keys) { cluster = try setting.describe() }
        let faults = setting.planner.faults(
            in: cluster.partitions,
            recordBytes: setting.planner.recordBytes(setting.admin, timeoutMilliseconds: timeoutMilliseconds),
            domain: setting.domain)
        for fault in faults { Terminal.error(fault.isWarning ? "warning: \(fault)" : fault.description) }
        let serious = faults.filter { !$0.isWarning }.count
        guard serious == 0 else { throw Exit(code: 2, message: "\(serious) topics are not as they must be") }
        Terminal.print("\(setting.planner.specifications.count) topics are as they must be")
    }

    private struct Setting {
        let settings: Settings
        let planner: TopicPlanner
        let admin: KafkaAdmin
        let domain: [String]
        let bootstrapServers: String

        init(_ options: TopicsOptions) throws(Exit) {
            let loaded = try LoadedConfiguration.load(options.configuration, needs: .cluster)
            settings = loaded.settings
            planner = TopicPlanner(settings)
            bootstrapServers = loaded.kafka.bootstrapServers
            let mapped = MappingFolder.load(settings).plans.map(\.topic)
            domain = Set(mapped + DomainTopics.documented).filter { !$0.hasPrefix(loaded.settings.topics.prefix) }
                .sorted()
            do throws(KafkaError) { admin = try KafkaAdmin(loaded.kafka) } catch { throw .configuration(error.text) }
        }

        func describe() throws(Exit) -> KafkaAdmin.Cluster {
            do throws(KafkaError) { return try admin.describe(timeoutMilliseconds: timeoutMilliseconds) } catch {
                throw .failure("no broker answers at \(bootstrapServers): \(error.text)")
            }
        }
    }
}
