// Where times and ends are in many partitions at once: one request a broker, not two a partition.
internal import CRdKafka

/// A place that a broker is asked for in each partition.
package enum LogMoment: Sendable {
    /// The first offset that is kept.
    case beginning
    /// The offset the next record will get.
    case end
    /// The first offset whose record is not older: milliseconds since 1970.
    case time(Int64)

    /// The protocol's own way to ask for the ends is by times that are none.
    fileprivate var wanted: Int64 {
        switch self {
        case .beginning: Int64(RD_KAFKA_OFFSET_BEGINNING)
        case .end: Int64(RD_KAFKA_OFFSET_END)
        case .time(let milliseconds): max(0, milliseconds)
        }
    }
}

extension KafkaReader {
    /// Looks a moment up in partitions. Blocks for at most `milliseconds`.
    /// - Returns: for each place an offset, or nil where the broker knows none: no record is as young, or it does not look
    ///   times up.
    /// - Throws: when a broker does not answer or refuses one of the partitions.
    package func offsets(
        at moment: LogMoment, of places: [(topic: String, partition: Int32)], milliseconds: Int
    ) throws(KafkaError) -> [Int64?] {
        guard !places.isEmpty else { return [] }
        let list = rd_kafka_topic_partition_list_new(Int32(places.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for place in places {
            rd_kafka_topic_partition_list_add(list, place.topic, place.partition).pointee.offset = moment.wanted
        }
        let what = "looking offsets up"
        let status = rd_kafka_offsets_for_times(handle, list, Int32(clamping: milliseconds))
        guard status == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(status, place: what) }
        var found: [Int64?] = []
        for place in places {
            guard let entry = rd_kafka_topic_partition_list_find(list, place.topic, place.partition) else {
                throw KafkaError(RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, place: what)
            }
            guard entry.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw KafkaError(entry.pointee.err, place: what)
            }
            found.append(entry.pointee.offset >= 0 ? entry.pointee.offset : nil)
        }
        return found
    }
}
