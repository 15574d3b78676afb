// The properties of a client: the bridge's own defaults for its kind, under what the operator passes through.
internal import CRdKafka
internal import Runtime

/// Properties by librdkafka's names. Later ones win.
package struct KafkaConfiguration: Sendable {
    package private(set) var properties: [(name: String, value: String)]

    /// - Parameter properties: what the operator set under `kafka`, `bootstrap.servers` among it.
    package init(_ properties: [(name: String, value: String)]) { self.properties = properties }

    package var bootstrapServers: String {
        properties.last { $0.name == "bootstrap.servers" || $0.name == "metadata.broker.list" }?.value ?? ""
    }

    /// A property's number; nil where it is not set or is none.
    func number(_ name: String) -> Int? { properties.last { $0.name == name }.flatMap { Int($0.value) } }

    /// Defaults go first, so that the operator's properties win; what must hold goes last.
    func with(defaults: KeyValuePairs<String, String>, fixed: KeyValuePairs<String, String>) -> KafkaConfiguration {
        KafkaConfiguration(
            defaults.map { ($0.key, $0.value) } + properties + fixed.map { ($0.key, $0.value) })
    }

    /// librdkafka's own object; ownership goes to whoever calls `rd_kafka_new`.
    /// - Parameter ignoringUnknown: properties that exist for the other kind of client are not an error.
    func make() throws(KafkaError) -> OpaquePointer {
        guard let conf = rd_kafka_conf_new() else { throw KafkaError(configuration: "out of memory") }
        var reason = [CChar](repeating: 0, count: 512)
        for (name, value) in properties {
            guard rd_kafka_conf_set(conf, name, value, &reason, reason.count) == RD_KAFKA_CONF_OK else {
                rd_kafka_conf_destroy(conf)
                // librdkafka's text quotes the value, which may be a password; the name is enough.
                throw KafkaError(configuration: "kafka.\(name) is not a property librdkafka accepts with this value")
            }
        }
        rd_kafka_conf_set_log_cb(conf, logLine)
        return conf
    }

    /// Every property that librdkafka would refuse, by name.
    package func faults() -> [String] {
        guard let conf = rd_kafka_conf_new() else { return [] }
        defer { rd_kafka_conf_destroy(conf) }
        var reason = [CChar](repeating: 0, count: 512)
        return properties.compactMap { name, value in
            rd_kafka_conf_set(conf, name, value, &reason, reason.count) == RD_KAFKA_CONF_OK ? nil : name
        }
    }
}

/// Called by librdkafka on its own threads.
private func logLine(
    _: OpaquePointer?, _ level: Int32, _ facility: UnsafePointer<CChar>?, _ text: UnsafePointer<CChar>?
) {
    let facility = facility.map { String(cString: $0) } ?? ""
    let text = text.map { String(cString: $0) } ?? ""
    // A property of the other kind of client is no mistake here, and what a lost connection means for the bridge is said
    // once in five seconds by whoever waits for it.
    if ["CONFWARN", "AUTOCREATE", "FAIL", "ERROR"].contains(facility) {
        Log.debug("kafka client", .name(facility), .reason(text))
        return
    }
    switch level {
    case ...3: Log.error("kafka client", .name(facility), .reason(text))
    case 4: Log.warning("kafka client", .name(facility), .reason(text))
    default: Log.debug("kafka client", .name(facility), .reason(text))
    }
}
