// What the bridge asks of a cluster: which topics there are, and to make the ones that miss.
internal import CRdKafka

/// A topic as it should be.
package struct TopicSpecification: Equatable, Sendable {
    package var name: String
    package var partitions: Int
    /// Topic properties by Kafka's names, for instance `retention.ms`.
    package var properties: [String: String]

    package init(name: String, partitions: Int, properties: [String: String] = [:]) {
        self.name = name
        self.partitions = partitions
        self.properties = properties
    }
}

/// Blocks its caller for at most the time-outs given.
package final class KafkaAdmin {
    private let handle: OpaquePointer

    package init(_ configuration: KafkaConfiguration) throws(KafkaError) {
        let conf = try configuration.with(defaults: [:], fixed: [:]).make()
        var reason = [CChar](repeating: 0, count: 512)
        guard let handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, &reason, reason.count) else {
            rd_kafka_conf_destroy(conf)
            throw KafkaError(configuration: untilNUL(reason))
        }
        self.handle = handle
    }

    deinit { rd_kafka_destroy(handle) }

    /// What a cluster is made of.
    package struct Cluster: Sendable {
        package var brokers: Int
        /// The number of partitions of every topic there is.
        package var partitions: [String: Int]
    }

    package func describe(timeoutMilliseconds: Int) throws(KafkaError) -> Cluster {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let status = rd_kafka_metadata(handle, 1, nil, &metadata, Int32(timeoutMilliseconds))
        guard status == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else {
            throw KafkaError(status, place: "reading the cluster's topics")
        }
        defer { rd_kafka_metadata_destroy(metadata) }
        var counts: [String: Int] = [:]
        for index in 0..<Int(metadata.pointee.topic_cnt) {
            let topic = metadata.pointee.topics[index]
            guard topic.err == RD_KAFKA_RESP_ERR_NO_ERROR, let name = topic.topic else { continue }
            counts[String(cString: name)] = Int(topic.partition_cnt)
        }
        return Cluster(brokers: Int(metadata.pointee.broker_cnt), partitions: counts)
    }

    /// Makes topics.
    /// - Parameter replicationFactor: -1 takes the broker's default.
    /// - Returns: an error for each topic that could not be made; one that exists already is none.
    package func create(
        _ topics: [TopicSpecification], replicationFactor: Int, timeoutMilliseconds: Int
    ) -> [(topic: String, error: KafkaError)] {
        guard !topics.isEmpty else { return [] }
        var failures: [(topic: String, error: KafkaError)] = []
        var reason = [CChar](repeating: 0, count: 512)
        var wanted: [OpaquePointer?] = []
        defer { for topic in wanted { rd_kafka_NewTopic_destroy(topic) } }
        for topic in topics {
            guard
                let new = rd_kafka_NewTopic_new(
                    topic.name, Int32(topic.partitions), Int32(replicationFactor), &reason, reason.count)
            else {
                failures.append((topic.name, KafkaError(configuration: untilNUL(reason))))
                continue
            }
            for (name, value) in topic.properties.sorted(by: { $0.key < $1.key }) {
                rd_kafka_NewTopic_set_config(new, name, value)
            }
            wanted.append(new)
        }
        let queue = rd_kafka_queue_new(handle)
        defer { rd_kafka_queue_destroy(queue) }
        let options = rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS)
        defer { rd_kafka_AdminOptions_destroy(options) }
        rd_kafka_AdminOptions_set_request_timeout(options, Int32(timeoutMilliseconds), &reason, reason.count)
        rd_kafka_AdminOptions_set_operation_timeout(options, Int32(timeoutMilliseconds), &reason, reason.count)
        rd_kafka_CreateTopics(handle, &wanted, wanted.count, options, queue)
        guard let event = rd_kafka_queue_poll(queue, Int32(timeoutMilliseconds + 1000)) else {
            return topics.map { ($0.name, KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT, place: "creating topics")) }
        }
        defer { rd_kafka_event_destroy(event) }
        let status = rd_kafka_event_error(event)
        guard status == RD_KAFKA_RESP_ERR_NO_ERROR, let result = rd_kafka_event_CreateTopics_result(event) else {
            let error = KafkaError(
                status, place: "creating topics", text: String(cString: rd_kafka_event_error_string(event)))
            return topics.map { ($0.name, error) }
        }
        var count = 0
        let results = rd_kafka_CreateTopics_result_topics(result, &count)
        for index in 0..<count {
            guard let entry = results?[index], let name = rd_kafka_topic_result_name(entry) else { continue }
            let code = rd_kafka_topic_result_error(entry)
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR, code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else { continue }
            let words = rd_kafka_topic_result_error_string(entry).map { String(cString: $0) }
            failures.append((String(cString: name), KafkaError(code, place: "creating a topic", text: words)))
        }
        return failures
    }

    /// What topics say of one of their properties.
    /// - Parameter property: by Kafka's name, for instance `max.message.bytes`.
    /// - Returns: the value by topic; nothing of a topic whose broker does not tell, or does not know such questions.
    package func values(
        of property: String, in topics: [String], timeoutMilliseconds: Int
    ) -> [String: String] {
        var resources: [OpaquePointer?] = topics.map { rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, $0) }
        defer { for resource in resources { rd_kafka_ConfigResource_destroy(resource) } }
        guard !resources.isEmpty else { return [:] }
        let queue = rd_kafka_queue_new(handle)
        defer { rd_kafka_queue_destroy(queue) }
        let options = rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS)
        defer { rd_kafka_AdminOptions_destroy(options) }
        var reason = [CChar](repeating: 0, count: 512)
        rd_kafka_AdminOptions_set_request_timeout(options, Int32(timeoutMilliseconds), &reason, reason.count)
        rd_kafka_DescribeConfigs(handle, &resources, resources.count, options, queue)
        guard let event = rd_kafka_queue_poll(queue, Int32(timeoutMilliseconds + 1000)) else { return [:] }
        defer { rd_kafka_event_destroy(event) }
        guard rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR,
            let result = rd_kafka_event_DescribeConfigs_result(event)
        else { return [:] }
        var values: [String: String] = [:]
        var count = 0
        let described = rd_kafka_DescribeConfigs_result_resources(result, &count)
        for index in 0..<count {
            guard let resource = described?[index], let name = rd_kafka_ConfigResource_name(resource) else { continue }
            var entryCount = 0
            let entries = rd_kafka_ConfigResource_configs(resource, &entryCount)
            for position in 0..<entryCount {
                guard let entry = entries?[position], let key = rd_kafka_ConfigEntry_name(entry),
                    String(cString: key) == property, let value = rd_kafka_ConfigEntry_value(entry)
                else { continue }
                values[String(cString: name)] = String(cString: value)
            }
        }
        return values
    }
}
