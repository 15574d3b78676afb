// An address as the 16 bytes it is. Policy, pool and resolver compare these, never text: text has too many spellings.

package struct IPAddress: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// An IPv4 address, held as the mapped ::ffff:a.b.c.d.
    package init(v4: UInt32) {
        high = 0
        low = 0xffff_0000_0000 | UInt64(v4)
    }

    /// The 4 or 16 bytes of a socket address, in network order.
    package init(bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == 4 || bytes.count == 16, "an address has 4 or 16 bytes")
        if bytes.count == 4 {
            self.init(v4: bytes.reduce(0) { $0 << 8 | UInt32($1) })
        } else {
            self.init(
                high: bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) },
                low: bytes[8...].reduce(0) { $0 << 8 | UInt64($1) })
        }
    }

    /// The IPv4 address this is, plain or mapped; nil for every other IPv6 address.
    package var v4: UInt32? {
        high == 0 && low >> 32 == 0xffff ? UInt32(truncatingIfNeeded: low) : nil
    }

    package var isV4: Bool { high == 0 && low >> 32 == 0xffff }

    /// Bytes in network order.
    package var bytes: [UInt8] {
        (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> UInt64(56 - 8 * ($0 % 8))) }
    }
}

// MARK: Text

extension IPAddress: CustomStringConvertible {
    /// Dotted decimal or RFC 4291 text; nothing else (no zone, no brackets, no octal, no short form).
    package init?(_ text: String) {
        self.init(text: Array(text.utf8)[...])
    }

    package init?(text: ArraySlice<UInt8>) {
        if text.contains(UInt8(ascii: ":")) {
            guard let groups = Self.parseV6(text) else { return nil }
            self.init(
                high: groups[..<4].reduce(0) { $0 << 16 | UInt64($1) },
                low: groups[4...].reduce(0) { $0 << 16 | UInt64($1) })
        } else {
            guard let v4 = Self.parseV4(text) else { return nil }
            self.init(v4: v4)
        }
    }

    private static func parseV4(_ text: ArraySlice<UInt8>) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var octet: UInt32 = 0
            for byte in part {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                octet = octet * 10 + UInt32(byte - UInt8(ascii: "0"))
            }
            guard octet <= 255 else { return nil }
            value = value << 8 | octet
        }
        return value
    }

    /// Eight groups, or nil. At most one `::`, which stands for one group or more; the last 32 bits may be dotted.
    private static func parseV6(_ text: ArraySlice<UInt8>) -> [UInt16]? {
        let colon = UInt8(ascii: ":")
        guard text.count <= 45 else { return nil }
        var before: [UInt16] = []
        var after: [UInt16]?
        var rest = text
        if rest.starts(with: [colon, colon]) {
            after = []
            rest = rest.dropFirst(2)
        }
        while !rest.isEmpty {
            let end = rest.firstIndex(of: colon) ?? rest.endIndex
            let part = rest[rest.startIndex..<end]
            var groups: [UInt16]
            if end == rest.endIndex, part.contains(UInt8(ascii: ".")) {
                guard let v4 = parseV4(part) else { return nil }
                groups = [UInt16(v4 >> 16), UInt16(truncatingIfNeeded: v4)]
            } else {
                guard let group = parseGroup(part) else { return nil }
                groups = [group]
            }
            if after == nil { before += groups } else { after! += groups }
            groups = []
            guard end != rest.endIndex else { break }
            rest = rest[(end + 1)...]
            if rest.first == colon {
                guard after == nil else { return nil }
                after = []
                rest = rest.dropFirst()
            } else if rest.isEmpty {
                return nil
            }
        }
        guard let after else { return before.count == 8 ? before : nil }
        let missing = 8 - before.count - after.count
        return missing >= 1 ? before + Array(repeating: 0, count: missing) + after : nil
    }

    private static func parseGroup(_ text: ArraySlice<UInt8>) -> UInt16? {
        guard (1...4).contains(text.count) else { return nil }
        var value: UInt16 = 0
        for byte in text {
            guard let digit = anyCaseHexValue(byte) else { return nil }
            value = value << 4 | UInt16(digit)
        }
        return value
    }

    /// Dotted decimal for IPv4, else RFC 5952: lower case, the first longest run of zero groups as `::`.
    package var description: String {
        if let v4 { return "\(v4 >> 24).\(v4 >> 16 & 255).\(v4 >> 8 & 255).\(v4 & 255)" }
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> UInt64(48 - 16 * ($0 % 4))) }
        var longest = 0..<0
        var position = 0
        while position < 8 {
            var end = position
            while end < 8, groups[end] == 0 { end += 1 }
            if end - position > max(longest.count, 1) { longest = position..<end }
            position = max(end, position + 1)
        }
        func text(_ groups: ArraySlice<UInt16>) -> String {
            groups.map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard !longest.isEmpty else { return text(groups[...]) }
        return text(groups[..<longest.lowerBound]) + "::" + text(groups[longest.upperBound...])
    }
}

/// The value of a hex digit of either case; nil for anything else.
func anyCaseHexValue(_ byte: UInt8) -> UInt8? {
    (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte) ? byte - UInt8(ascii: "A") + 10 : hexValue(byte)
}
