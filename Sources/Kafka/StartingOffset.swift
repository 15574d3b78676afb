// Where to start reading when nothing was committed: at a time.
internal import CRdKafka
internal import Runtime

/// The first offset not older than `age` milliseconds; the log's end when there is none, its beginning where the broker
/// cannot say. Blocks for three round trips at most 5 s each.
func startingOffset(_ handle: OpaquePointer, _ topic: UnsafePointer<CChar>, _ partition: Int32, age: Int64) -> Int64 {
    var low: Int64 = 0
    var high: Int64 = 0
    let beginning = Int64(RD_KAFKA_OFFSET_BEGINNING)
    // The end is asked for before the time, so that a record arriving in between is not skipped.
    guard rd_kafka_query_watermark_offsets(handle, topic, partition, &low, &high, 5000) == RD_KAFKA_RESP_ERR_NO_ERROR,
        let found = offset(handle, topic, partition, since: max(0, Clock.wallMilliseconds() - age))
    else { return beginning }
    if found >= 0 { return found }
    // "None" from a log that has records: true, or a broker that knows no times (the embedded one). Such a broker finds
    // nothing since 1970 either.
    if high > low, offset(handle, topic, partition, since: 0) ?? -1 < 0 { return beginning }
    return high
}

/// - Returns: nil when the broker does not answer, a negative number when it says that there is none.
private func offset(
    _ handle: OpaquePointer, _ topic: UnsafePointer<CChar>, _ partition: Int32, since: Int64
) -> Int64? {
    let list = rd_kafka_topic_partition_list_new(1)
    defer { rd_kafka_topic_partition_list_destroy(list) }
    guard let entry = rd_kafka_topic_partition_list_add(list, topic, partition) else { return nil }
    entry.pointee.offset = since
    guard rd_kafka_offsets_for_times(handle, list, 5000) == RD_KAFKA_RESP_ERR_NO_ERROR,
        entry.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR
    else { return nil }
    return entry.pointee.offset
}
