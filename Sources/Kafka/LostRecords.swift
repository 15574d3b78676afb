// Records that were deleted before they were read: an offset to go on at below the log's start. The client would go on at
// the start without a word.
internal import CRdKafka

/// How many records of a partition nobody has read and nobody can read any more.
/// - Parameters:
///   - committed: the offset to go on at; negative where nothing was committed.
///   - logStart: the first offset that is kept; nil where the broker did not say.
package func lostRecords(committed: Int64, logStart: Int64?) -> Int64 {
    guard committed >= 0, let logStart else { return 0 }
    return max(0, logStart - committed)
}

/// The first offset that each partition of a list keeps, in the list's order; nil where the broker does not say. Blocks for at
/// most so many milliseconds.
func logStarts(
    _ handle: OpaquePointer, _ list: UnsafePointer<rd_kafka_topic_partition_list_t>, milliseconds: Int32 = 5000
) -> [Int64?] {
    let count = Int(list.pointee.cnt)
    let unknown = [Int64?](repeating: nil, count: count)
    guard let asked = rd_kafka_topic_partition_list_copy(list) else { return unknown }
    defer { rd_kafka_topic_partition_list_destroy(asked) }
    // In the question for times this stands for the start: one request for all partitions of a broker.
    for index in 0..<count { asked.pointee.elems[index].offset = Int64(RD_KAFKA_OFFSET_BEGINNING) }
    guard rd_kafka_offsets_for_times(handle, asked, milliseconds) == RD_KAFKA_RESP_ERR_NO_ERROR else { return unknown }
    return (0..<count).map { index in
        let entry = asked.pointee.elems[index]
        return entry.err == RD_KAFKA_RESP_ERR_NO_ERROR && entry.offset >= 0 ? entry.offset : nil
    }
}
