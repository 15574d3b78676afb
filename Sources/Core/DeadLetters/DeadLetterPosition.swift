// Where a dead letter stands, which is its name: nothing else about it is sure to be there and to be its own.

/// Partition and offset on the topic `dead-letters`, written `3/12`: the handle of a letter for people and scripts.
package struct DeadLetterPosition: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let partition: Int32
    package let offset: Int64

    package init(partition: Int32, offset: Int64) {
        self.partition = partition
        self.offset = offset
    }

    /// - Parameter text: `partition/offset` in digits; nil for anything else.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } }),
            let partition = Int32(parts[0]), let offset = Int64(parts[1])
        else { return nil }
        self.init(partition: partition, offset: offset)
    }

    package var description: String { "\(partition)/\(offset)" }

    package static func < (left: Self, right: Self) -> Bool {
        (left.partition, left.offset) < (right.partition, right.offset)
    }
}

/// Where a record came from, the header `origin`: `topic/partition/offset`.
package struct RecordOrigin: Hashable, Sendable, CustomStringConvertible {
    package let topic: String
    package let partition: Int32
    package let offset: Int64

    /// - Returns: nil for anything else. A topic's name has no slash.
    package init?(_ text: some StringProtocol) {
        guard let slash = text.firstIndex(of: "/"), slash > text.startIndex,
            let place = DeadLetterPosition(text[text.index(after: slash)...])
        else { return nil }
        topic = String(text[..<slash])
        partition = place.partition
        offset = place.offset
    }

    package var description: String { "\(topic)/\(partition)/\(offset)" }
}
