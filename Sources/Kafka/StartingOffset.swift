// Where to start reading when nothing was committed: at a time.
internal import CRdKafka
internal import Runtime

/// The first offset not older than `age` milliseconds; the log's end when there is none, its beginning where the broker
/// cannot say. Blocks for two round trips at most 5 s each.
func startingOffset(_ handle: OpaquePointer, _ topic: UnsafePointer<CChar>, _ partition: Int32, age: Int64) -> Int64 {
    var low: Int64 = 0
    var high: Int64 = 0
    // The end is asked for before the time, so that a record arriving in between is not skipped.
    guard rd_kafka_query_watermark_offsets(handle, topic, partition, &low, &high, 5000) == RD_KAFKA_RESP_ERR_NO_ERROR
    else { return Int64(RD_KAFKA_OFFSET_BEGINNING) }
    let list = rd_kafka_topic_partition_list_new(1)
    defer { rd_kafka_topic_partition_list_destroy(list) }
    let entry = rd_kafka_topic_partition_list_add(list, topic, partition)
    entry?.pointee.offset = max(0, Clock.wallMilliseconds() - age)
    guard rd_kafka_offsets_for_times(handle, list, 5000) == RD_KAFKA_RESP_ERR_NO_ERROR, let entry,
        entry.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR
    else { return Int64(RD_KAFKA_OFFSET_BEGINNING) }
    return entry.pointee.offset >= 0 ? entry.pointee.offset : high
}
