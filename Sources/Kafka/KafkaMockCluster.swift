// The embedded broker: librdkafka's mock cluster, for the demo, `webhook-bridge broker` and the tests that kill a
// member. It listens on loopback for other processes too. It keeps 5 MiB a partition and drops the oldest silently,
// and it has no CreateTopics: whoever runs it makes the topics here.
internal import CRdKafka

package final class KafkaMockCluster: @unchecked Sendable {
    // @unchecked: the mock cluster's functions lock inside; `handle` and `cluster` never change.
    private let handle: OpaquePointer
    private let cluster: OpaquePointer

    package init(brokers: Int = 1) throws(KafkaError) {
        let conf = try KafkaConfiguration([]).make()
        var reason = [CChar](repeating: 0, count: 512)
        guard let handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, &reason, reason.count) else {
            throw KafkaError(configuration: untilNUL(reason))
        }
        guard let cluster = rd_kafka_mock_cluster_new(handle, Int32(brokers)) else {
            rd_kafka_destroy(handle)
            throw KafkaError(configuration: "the embedded broker did not start")
        }
        self.handle = handle
        self.cluster = cluster
    }

    deinit {
        rd_kafka_mock_cluster_destroy(cluster)
        rd_kafka_destroy(handle)
    }

    package var bootstrapServers: String { String(cString: rd_kafka_mock_cluster_bootstraps(cluster)) }

    /// Properties a client of the embedded broker needs: its rebalances wait for the session to end, and new data does
    /// not wake a waiting fetch.
    package static let clientProperties: [(name: String, value: String)] = [
        ("session.timeout.ms", "4000"), ("heartbeat.interval.ms", "300"), ("fetch.wait.max.ms", "10"),
    ]

    /// The next produce requests are answered with this error, one each.
    /// - Parameter code: a broker's error code, for instance 87 (invalid record) or 7 (request timed out).
    package func failProduces(_ count: Int, code: Int32) {
        var errors = [rd_kafka_resp_err_t](repeating: rd_kafka_resp_err_t(rawValue: code), count: count)
        rd_kafka_mock_push_request_errors_array(cluster, 0, errors.count, &errors)
    }

    /// Puts a topic's partition on one of the brokers, which are numbered from 1.
    package func place(_ topic: String, partition: Int32, onBroker broker: Int32) {
        rd_kafka_mock_partition_set_leader(cluster, topic, partition, broker)
    }

    /// Takes one broker away, or lets it come back with all that it had.
    package func setBroker(_ broker: Int32, isUp: Bool) {
        _ = isUp ? rd_kafka_mock_broker_set_up(cluster, broker) : rd_kafka_mock_broker_set_down(cluster, broker)
    }

    package func createTopic(_ name: String, partitions: Int) throws(KafkaError) {
        let status = rd_kafka_mock_topic_create(cluster, name, Int32(partitions), 1)
        guard status == RD_KAFKA_RESP_ERR_NO_ERROR || status == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else {
            throw KafkaError(status, place: "creating topic \(name) on the embedded broker")
        }
    }
}
