// `broker`: the embedded broker in a process of its own, all topics made.
internal import Bridge
internal import Configuration
internal import Core
internal import Kafka
internal import Mapping

enum BrokerCommand {
    /// Partitions of the domain topics on the embedded broker.
    static let domainPartitions = 4

    static func run(_ options: ConfigurationOptions) throws(Exit) {
        let signals = StopSignals()
        let loaded = try LoadedConfiguration.load(options, needs: [])
        let cluster = try makeCluster(loaded.settings)
        Terminal.print(cluster.bootstrapServers)
        while !signals.wait(milliseconds: 60_000) {}
    }

    static func makeCluster(_ settings: Settings) throws(Exit) -> KafkaMockCluster {
        do throws(KafkaError) {
            let cluster = try KafkaMockCluster()
            for topic in TopicPlanner(settings).specifications {
                try cluster.createTopic(topic.name, partitions: topic.partitions)
            }
            let mapped = MappingFolder.load(settings).plans.map(\.topic)
            for topic in Set(mapped + DomainTopics.documented).sorted() where !topic.hasPrefix(settings.topics.prefix) {
                try cluster.createTopic(topic, partitions: domainPartitions)
            }
            return cluster
        } catch {
            throw .failure("the embedded broker did not start: \(error)")
        }
    }
}

/// The domain topics of the contract, there even before a mapping reads them.
enum DomainTopics {
    static let documented = ["users", "modules", "rewards", "credentials", "referrals", "employers"].map {
        "learnault.\($0)"
    }
}
