// The ids of the contract: a prefix and 24 lower-case hex digits, held as the 12 bytes they stand for. Public for one reason:
// of what is `package`, Swift 6.3 inlines and specialises nothing across modules, and an id that stays generic looks up its
// kind's metadata at each use.

/// What an id names; its prefix is part of the text form.
public protocol IDKind: Sendable {
    static var prefix: StaticString { get }
}

public enum WebhookKind: IDKind { @inlinable public static var prefix: StaticString { "wh_" } }
public enum AccountKind: IDKind { @inlinable public static var prefix: StaticString { "acct_" } }
public enum EventKind: IDKind { @inlinable public static var prefix: StaticString { "evt_" } }
public enum DeliveryKind: IDKind { @inlinable public static var prefix: StaticString { "dlv_" } }
public enum CommandKind: IDKind { @inlinable public static var prefix: StaticString { "cmd_" } }
public enum NoticeKind: IDKind { @inlinable public static var prefix: StaticString { "ntc_" } }
public enum EmailKind: IDKind { @inlinable public static var prefix: StaticString { "eml_" } }
public enum ReplayKind: IDKind { @inlinable public static var prefix: StaticString { "rpl_" } }
public enum RetryKind: IDKind { @inlinable public static var prefix: StaticString { "rty_" } }

public typealias WebhookID = ID<WebhookKind>
public typealias AccountID = ID<AccountKind>
public typealias EventID = ID<EventKind>
public typealias DeliveryID = ID<DeliveryKind>
public typealias CommandID = ID<CommandKind>
public typealias NoticeID = ID<NoticeKind>
public typealias EmailID = ID<EmailKind>
public typealias ReplayID = ID<ReplayKind>
/// One delivery sent again because somebody asked for it.
public typealias RetryID = ID<RetryKind>

/// An id of one kind: hashable without touching text, printable as the contract writes it.
@frozen public struct ID<Kind: IDKind>: Hashable, Sendable, Comparable, CustomStringConvertible {
    @usableFromInline let high: UInt64
    @usableFromInline let low: UInt32

    /// The first 12 bytes of a digest, as big-endian numbers.
    @inlinable public init(high: UInt64, low: UInt32) {
        self.high = high
        self.low = low
    }

    /// The first 12 of some digest's or some random bytes.
    @inlinable public init(bytes: [UInt8]) {
        precondition(bytes.count >= 12, "an id needs 12 bytes")
        self.init(
            high: bytes[0..<8].reduce(0) { $0 << 8 | UInt64($1) }, low: bytes[8..<12].reduce(0) { $0 << 8 | UInt32($1) }
        )
    }

    /// The text form; nil for another prefix, length or upper-case digits.
    @inlinable public init?(_ text: UnsafeRawBufferPointer) {
        let prefix = Kind.prefix
        let skipped = prefix.utf8CodeUnitCount
        guard text.count == skipped + 24 else { return nil }
        for position in 0..<skipped where text[position] != prefix.utf8Start[position] { return nil }
        guard let first = hexValue(ofEight: text.loadUnaligned(fromByteOffset: skipped, as: UInt64.self)),
            let second = hexValue(ofEight: text.loadUnaligned(fromByteOffset: skipped + 8, as: UInt64.self)),
            let third = hexValue(ofEight: text.loadUnaligned(fromByteOffset: skipped + 16, as: UInt64.self))
        else { return nil }
        high = UInt64(first) << 32 | UInt64(second)
        low = third
    }

    @inlinable public init?(_ text: String) {
        var text = text
        guard let id = text.withUTF8({ ID(UnsafeRawBufferPointer($0)) }) else { return nil }
        self = id
    }

    // By hand, since what the compiler makes is not inlinable and would be called through witnesses for each look-up.
    @inlinable public static func == (left: ID, right: ID) -> Bool {
        left.high == right.high && left.low == right.low
    }

    // The bits are a digest's or random: mixing one of the two words is enough.
    @inlinable public func hash(into hasher: inout Hasher) { hasher.combine(high ^ UInt64(low)) }

    @inlinable public static func < (left: ID, right: ID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    /// Length of the text form in bytes.
    @inlinable public static var textLength: Int { Kind.prefix.utf8CodeUnitCount + 24 }

    /// Lends the text form, without allocating.
    @inlinable public func withText<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withUnsafeTemporaryAllocation(byteCount: Self.textLength, alignment: 8) { text in
            let prefix = Kind.prefix
            let skipped = prefix.utf8CodeUnitCount
            for position in 0..<skipped { text[position] = prefix.utf8Start[position] }
            let first = UInt32(truncatingIfNeeded: high >> 32)
            text.storeBytes(of: eightHexDigits(first), toByteOffset: skipped, as: UInt64.self)
            let second = UInt32(truncatingIfNeeded: high)
            text.storeBytes(of: eightHexDigits(second), toByteOffset: skipped + 8, as: UInt64.self)
            text.storeBytes(of: eightHexDigits(low), toByteOffset: skipped + 16, as: UInt64.self)
            return try body(UnsafeRawBufferPointer(text))
        }
    }

    /// Appends the text form without making a String.
    @inlinable public func append(to bytes: inout [UInt8]) { withText { bytes.append(contentsOf: $0) } }

    @inlinable public var description: String { withText { String(decoding: $0, as: UTF8.self) } }
}

/// Eight lower-case hex digits as they lie in memory, the highest first. All at once: a digit at a time, the ids alone were
/// a twentieth of the processor time of two stages.
@inlinable
public func eightHexDigits(_ value: UInt32) -> UInt64 {
    var nibbles = UInt64(value)
    nibbles = (nibbles << 16 | nibbles) & 0x0000_FFFF_0000_FFFF
    nibbles = (nibbles << 8 | nibbles) & 0x00FF_00FF_00FF_00FF
    nibbles = (nibbles << 4 | nibbles) & 0x0F0F_0F0F_0F0F_0F0F
    let letters = (nibbles &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
    return (nibbles &+ 0x3030_3030_3030_3030 &+ letters &* 0x27).bigEndian
}

/// What eight bytes of memory are as lower-case hex digits; nil when one is none.
@inlinable
public func hexValue(ofEight text: UInt64) -> UInt32? {
    let digits = text.bigEndian
    // A letter has bit 6, and its low half counts from 1.
    var value = (digits & 0x0F0F_0F0F_0F0F_0F0F) &+ (digits >> 6 & 0x0101_0101_0101_0101) &* 9
    value = (value | value >> 4) & 0x00FF_00FF_00FF_00FF
    value = (value | value >> 8) & 0x0000_FFFF_0000_FFFF
    value |= value >> 16
    let result = UInt32(truncatingIfNeeded: value)
    // Whatever other characters made of it is written otherwise.
    return eightHexDigits(result) == text ? result : nil
}

@inlinable
@inline(__always)
public func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
}

/// The value of a lower-case hex digit; nil for anything else.
@inlinable
@inline(__always)
public func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    default: nil
    }
}
