// A domain record that owns its bytes: for the command line, dead letters and tests, where nothing is hot.

package struct OwnedRecord: Sendable {
    package var topic: String
    package var partition: Int32
    package var offset: Int64
    /// Milliseconds since 1970; -1 where none is known.
    package var timestamp: Int64
    package var value: [UInt8]
    package var headers: [(name: [UInt8], value: [UInt8])]

    package init(
        topic: String, partition: Int32 = 0, offset: Int64 = 0, timestamp: Int64 = -1, value: [UInt8],
        headers: [(name: [UInt8], value: [UInt8])] = []
    ) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
        self.value = value
        self.headers = headers
    }

    /// Lends the record in the form that the mapper takes.
    package func borrowed<Result>(_ body: (DomainRecord) -> Result) -> Result {
        // One buffer for all headers, so that their bytes stay where they are.
        let texts = headers.flatMap { $0.name + $0.value }
        return texts.withUnsafeBytes { texts in
            var position = 0
            func next(_ count: Int) -> UnsafeRawBufferPointer {
                defer { position += count }
                return UnsafeRawBufferPointer(rebasing: texts[position..<position + count])
            }
            let lent = headers.map { RecordHeader(name: next($0.name.count), value: next($0.value.count)) }
            return value.withUnsafeBytes { value in
                body(
                    DomainRecord(
                        topic: topic, partition: partition, offset: offset, timestamp: timestamp, value: value,
                        headers: lent))
            }
        }
    }
}

extension Mapper {
    package func map(_ record: OwnedRecord, by plan: MappingPlan) throws(MappingFailure) {
        let failure: MappingFailure? = record.borrowed { record in
            do throws(MappingFailure) { try map(record, by: plan) } catch { return error }
            return nil
        }
        if let failure { throw failure }
    }
}
