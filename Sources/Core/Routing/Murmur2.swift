// Kafka's default hash of a key, so that any Kafka client that partitions by key agrees with us.

public enum Murmur2 {
    /// The 32-bit murmur2 of Kafka's Java client (seed 0x9747b28c).
    @inlinable public static func hash(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        let multiplier: UInt32 = 0x5bd1_e995
        let length = bytes.count
        var hash: UInt32 = 0x9747_b28c ^ UInt32(truncatingIfNeeded: length)
        var position = 0
        while position + 4 <= length {
            var word = bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self).littleEndian
            word &*= multiplier
            word ^= word >> 24
            word &*= multiplier
            hash &*= multiplier
            hash ^= word
            position += 4
        }
        let rest = length - position
        if rest >= 3 { hash ^= UInt32(bytes[position + 2]) << 16 }
        if rest >= 2 { hash ^= UInt32(bytes[position + 1]) << 8 }
        if rest >= 1 {
            hash ^= UInt32(bytes[position])
            hash &*= multiplier
        }
        hash ^= hash >> 13
        hash &*= multiplier
        hash ^= hash >> 15
        return Int32(bitPattern: hash)
    }

    @inlinable public static func partition(_ key: [UInt8], of count: Int) -> Int32 {
        key.withUnsafeBytes { partition($0, of: count) }
    }

    /// The partition of a key, as the Java client's default partitioner chooses it.
    @inlinable public static func partition(_ key: UnsafeRawBufferPointer, of count: Int) -> Int32 {
        Int32(Int(hash(key) & 0x7fff_ffff) % count)
    }
}

extension ID {
    /// The shard of whatever is keyed by this id: `murmur2(text) mod shards`.
    @inlinable public func shard(of shards: Int) -> Int32 {
        withText { Murmur2.partition($0, of: shards) }
    }
}
