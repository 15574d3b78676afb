// Errors of librdkafka with what a caller has to know to decide: code, retriable, fatal, and where it came from.
internal import CRdKafka

package struct KafkaError: Error, Equatable, Sendable, CustomStringConvertible {
    /// librdkafka's code; negative ones are local, positive ones the broker's.
    package let code: Int32
    /// The code's symbolic name, for instance `_ALL_BROKERS_DOWN`.
    package let name: String
    package let text: String
    /// What was being done.
    package let place: String
    package let isRetriable: Bool
    package let isFatal: Bool

    package var description: String { "\(place): \(name): \(text)" }

    /// Takes ownership of `error`.
    init(consuming error: OpaquePointer, place: String) {
        code = rd_kafka_error_code(error).rawValue
        name = String(cString: rd_kafka_error_name(error))
        text = String(cString: rd_kafka_error_string(error))
        isRetriable = rd_kafka_error_is_retriable(error) != 0
        isFatal = rd_kafka_error_is_fatal(error) != 0
        self.place = place
        rd_kafka_error_destroy(error)
    }

    init(_ code: rd_kafka_resp_err_t, place: String, text: String? = nil) {
        self.code = code.rawValue
        name = String(cString: rd_kafka_err2name(code))
        self.text = text ?? String(cString: rd_kafka_err2str(code))
        self.place = place
        isRetriable = false
        isFatal = code == RD_KAFKA_RESP_ERR__FATAL
    }

    /// A mistake in the configuration; nothing was contacted.
    init(configuration text: String) {
        code = RD_KAFKA_RESP_ERR__INVALID_ARG.rawValue
        name = "_INVALID_ARG"
        self.text = text
        place = "configuration"
        isRetriable = false
        isFatal = false
    }

    /// Something that was given a time did not come to its end in it.
    package init(tookTooLong place: String) { self.init(RD_KAFKA_RESP_ERR__TIMED_OUT, place: place) }

    package var isAllBrokersDown: Bool { code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN.rawValue }
    package var isUnknownTopic: Bool {
        code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART.rawValue || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC.rawValue
    }
    package var isTopicAlreadyThere: Bool { code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS.rawValue }
    package var isUnsupported: Bool {
        code == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION.rawValue
            || code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE.rawValue
    }
}
