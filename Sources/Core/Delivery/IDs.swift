// The ids of the contract: a prefix and 24 lower-case hex digits, held as the 12 bytes they stand for.

/// What an id names; its prefix is part of the text form.
package protocol IDKind: Sendable {
    static var prefix: StaticString { get }
}

package enum WebhookKind: IDKind { @inlinable package static var prefix: StaticString { "wh_" } }
package enum AccountKind: IDKind { @inlinable package static var prefix: StaticString { "acct_" } }
package enum EventKind: IDKind { @inlinable package static var prefix: StaticString { "evt_" } }
package enum DeliveryKind: IDKind { @inlinable package static var prefix: StaticString { "dlv_" } }
package enum CommandKind: IDKind { @inlinable package static var prefix: StaticString { "cmd_" } }
package enum NoticeKind: IDKind { @inlinable package static var prefix: StaticString { "ntc_" } }
package enum EmailKind: IDKind { @inlinable package static var prefix: StaticString { "eml_" } }

package typealias WebhookID = ID<WebhookKind>
package typealias AccountID = ID<AccountKind>
package typealias EventID = ID<EventKind>
package typealias DeliveryID = ID<DeliveryKind>
package typealias CommandID = ID<CommandKind>
package typealias NoticeID = ID<NoticeKind>
package typealias EmailID = ID<EmailKind>

/// An id of one kind: hashable without touching text, printable as the contract writes it.
package struct ID<Kind: IDKind>: Hashable, Sendable, Comparable, CustomStringConvertible {
    // Inlinable throughout: unspecialised, each use would look the generic type's metadata up at run time.
    @usableFromInline let high: UInt64
    @usableFromInline let low: UInt32

    /// The first 12 bytes of a digest, as big-endian numbers.
    @inlinable package init(high: UInt64, low: UInt32) {
        self.high = high
        self.low = low
    }

    /// The first 12 of some digest's or some random bytes.
    @inlinable package init(bytes: [UInt8]) {
        precondition(bytes.count >= 12, "an id needs 12 bytes")
        self.init(
            high: bytes[0..<8].reduce(0) { $0 << 8 | UInt64($1) }, low: bytes[8..<12].reduce(0) { $0 << 8 | UInt32($1) }
        )
    }

    /// The text form; nil for another prefix, length or upper-case digits.
    @inlinable package init?(_ text: UnsafeRawBufferPointer) {
        let prefix = Kind.prefix
        let skipped = prefix.utf8CodeUnitCount
        guard text.count == skipped + 24 else { return nil }
        for position in 0..<skipped where text[position] != prefix.utf8Start[position] { return nil }
        var high: UInt64 = 0
        var low: UInt32 = 0
        for position in 0..<24 {
            guard let digit = hexValue(text[skipped + position]) else { return nil }
            if position < 16 { high = high << 4 | UInt64(digit) } else { low = low << 4 | UInt32(digit) }
        }
        self.high = high
        self.low = low
    }

    @inlinable package init?(_ text: String) {
        var text = text
        guard let id = text.withUTF8({ ID(UnsafeRawBufferPointer($0)) }) else { return nil }
        self = id
    }

    // By hand, since what the compiler makes is not inlinable and would be called through witnesses for each look-up.
    @inlinable package static func == (left: ID, right: ID) -> Bool {
        left.high == right.high && left.low == right.low
    }

    // The bits are a digest's or random: mixing one of the two words is enough.
    @inlinable package func hash(into hasher: inout Hasher) { hasher.combine(high ^ UInt64(low)) }

    @inlinable package static func < (left: ID, right: ID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    /// Length of the text form in bytes.
    @inlinable package static var textLength: Int { Kind.prefix.utf8CodeUnitCount + 24 }

    /// Appends the text form without making a String.
    @inlinable package func append(to bytes: inout [UInt8]) {
        let prefix = Kind.prefix
        bytes.append(contentsOf: UnsafeBufferPointer(start: prefix.utf8Start, count: prefix.utf8CodeUnitCount))
        var shift = 60
        while shift >= 0 {
            bytes.append(hexDigit(UInt8(truncatingIfNeeded: high >> UInt64(shift)) & 15))
            shift -= 4
        }
        shift = 28
        while shift >= 0 {
            bytes.append(hexDigit(UInt8(truncatingIfNeeded: low >> UInt32(shift)) & 15))
            shift -= 4
        }
    }

    @inlinable package var description: String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.textLength)
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

@inlinable
@inline(__always)
package func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
}

/// The value of a lower-case hex digit; nil for anything else.
@inlinable
@inline(__always)
package func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    default: nil
    }
}
