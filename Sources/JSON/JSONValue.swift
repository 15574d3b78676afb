// A parsed JSON value, as a position on simdjson's tape: no copy, no String, no dictionary. Inlinable throughout: the
// translation of a record is a walk over it from another module. Public for that alone: of what is `package`, Swift 6.3 inlines
// nothing across modules, and a walk over members took four times as long.
//
// Word layout (simdjson's doc/tape.md): the top 8 bits are a type character, the low 56 a payload. Containers carry
// the index behind their end, strings an offset into the string buffer (4-byte length, bytes, NUL), numbers a second word.

/// A value inside a document. Valid only inside the closure of ``JSONParser/parse(_:padded:_:)`` that handed it out, or
/// until the next parse after ``JSONParser/root(of:padded:)``.
public struct JSONValue {
    @usableFromInline let tape: UnsafePointer<UInt64>
    @usableFromInline let strings: UnsafePointer<UInt8>
    @usableFromInline let index: Int

    @inlinable
    init(tape: UnsafePointer<UInt64>, strings: UnsafePointer<UInt8>, index: Int) {
        self.tape = tape
        self.strings = strings
        self.index = index
    }

    public enum Kind: String, Sendable {
        case object, array, string, integer, number, boolean, null
    }

    @inlinable var tag: UInt8 { UInt8(truncatingIfNeeded: tape[index] >> 56) }
    @inlinable var payload: Int { Int(truncatingIfNeeded: tape[index] & 0x00FF_FFFF_FFFF_FFFF) }

    @inlinable public var kind: Kind {
        switch tag {
        case UInt8(ascii: "{"): .object
        case UInt8(ascii: "["): .array
        case UInt8(ascii: "\""): .string
        case UInt8(ascii: "l"), UInt8(ascii: "u"): .integer
        case UInt8(ascii: "d"): .number
        case UInt8(ascii: "t"), UInt8(ascii: "f"): .boolean
        default: .null
        }
    }

    @inlinable public var isNull: Bool { tag == UInt8(ascii: "n") }
    @inlinable public var isObject: Bool { tag == UInt8(ascii: "{") }
    @inlinable public var isArray: Bool { tag == UInt8(ascii: "[") }

    // MARK: Scalars

    /// The UTF-8 bytes of a string, unescaped; nil for any other kind.
    @inlinable public var stringBytes: UnsafeRawBufferPointer? {
        guard tag == UInt8(ascii: "\"") else { return nil }
        return text
    }

    /// The bytes behind a string word.
    @inlinable var text: UnsafeRawBufferPointer {
        let start = UnsafeRawPointer(strings + payload)
        let length = Int(start.loadUnaligned(as: UInt32.self))
        return UnsafeRawBufferPointer(start: start + 4, count: length)
    }

    @inlinable public var string: String? {
        stringBytes.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The integer, when the document wrote one without fraction or exponent and it fits; nil otherwise.
    @inlinable public var int64: Int64? {
        switch tag {
        case UInt8(ascii: "l"): Int64(bitPattern: tape[index + 1])
        case UInt8(ascii: "u"): Int64(exactly: tape[index + 1])
        default: nil
        }
    }

    @inlinable public var int: Int? { int64.map { Int($0) } }

    /// An integer that is not negative, also one above Int64's range; nil otherwise.
    @inlinable public var uint64: UInt64? {
        switch tag {
        case UInt8(ascii: "u"): tape[index + 1]
        case UInt8(ascii: "l"): UInt64(exactly: Int64(bitPattern: tape[index + 1]))
        default: nil
        }
    }

    /// Any number as a double; nil when it is not a number.
    @inlinable public var double: Double? {
        switch tag {
        case UInt8(ascii: "d"): Double(bitPattern: tape[index + 1])
        case UInt8(ascii: "l"): Double(Int64(bitPattern: tape[index + 1]))
        case UInt8(ascii: "u"): Double(tape[index + 1])
        default: nil
        }
    }

    @inlinable public var bool: Bool? {
        switch tag {
        case UInt8(ascii: "t"): true
        case UInt8(ascii: "f"): false
        default: nil
        }
    }

    // MARK: Containers

    /// The tape index behind this value.
    @inlinable var next: Int {
        switch tag {
        case UInt8(ascii: "{"), UInt8(ascii: "["): payload & 0xFFFF_FFFF
        case UInt8(ascii: "l"), UInt8(ascii: "u"), UInt8(ascii: "d"): index + 2
        default: index + 1
        }
    }

    @inlinable
    func at(_ index: Int) -> JSONValue { JSONValue(tape: tape, strings: strings, index: index) }

    /// The members of an object, in source order, for a loop without closure or allocation. None for any other kind.
    @inlinable public var members: JSONMembers {
        isObject
            ? JSONMembers(root: self, position: index + 1, end: next - 1) : JSONMembers(root: self, position: 0, end: 0)
    }

    /// The elements of an array, in order. None for any other kind.
    @inlinable public var items: JSONItems {
        isArray ? JSONItems(root: self, position: index + 1, end: next - 1) : JSONItems(root: self, position: 0, end: 0)
    }

    /// The member of an object with this key; nil when there is none or this is no object.
    @inlinable
    public func member(_ key: UnsafeRawBufferPointer) -> JSONValue? {
        guard isObject else { return nil }
        let end = next - 1
        var position = index + 1
        while position < end {
            let value = at(position + 1)
            if sameBytes(at(position).text, key) { return value }
            position = value.next
        }
        return nil
    }

    @inlinable
    public subscript(_ key: String) -> JSONValue? {
        var key = key
        return key.withUTF8 { member(UnsafeRawBufferPointer($0)) }
    }

    /// The element of an array at a position; nil when there is none or this is no array.
    @inlinable
    public func element(_ wanted: Int) -> JSONValue? {
        var count = 0
        for value in items {
            if count == wanted { return value }
            count += 1
        }
        return nil
    }

    /// Calls `body` with each key and value of an object, in source order.
    @inlinable
    public func forEachMember(_ body: (UnsafeRawBufferPointer, JSONValue) throws -> Void) rethrows {
        for (key, value) in members { try body(key, value) }
    }

    /// Calls `body` with each element of an array, in order.
    @inlinable
    public func forEachElement(_ body: (JSONValue) throws -> Void) rethrows {
        for value in items { try body(value) }
    }

    public var elements: [JSONValue] { Array(items) }

    /// Every element as a string, or nil when this is no array of strings.
    public var stringArray: [String]? {
        guard isArray else { return nil }
        var all: [String] = []
        for value in items {
            guard let string = value.string else { return nil }
            all.append(string)
        }
        return all
    }
}

/// The keys and values of an object; as long valid as the value it came from.
public struct JSONMembers: Sequence, IteratorProtocol {
    @usableFromInline let root: JSONValue
    @usableFromInline var position: Int
    @usableFromInline let end: Int

    @inlinable
    init(root: JSONValue, position: Int, end: Int) {
        self.root = root
        self.position = position
        self.end = end
    }

    @inlinable
    public mutating func next() -> (key: UnsafeRawBufferPointer, value: JSONValue)? {
        guard position < end else { return nil }
        let key = root.at(position).text
        let value = root.at(position + 1)
        position = value.next
        return (key, value)
    }
}

/// The elements of an array; as long valid as the value it came from.
public struct JSONItems: Sequence, IteratorProtocol {
    @usableFromInline let root: JSONValue
    @usableFromInline var position: Int
    @usableFromInline let end: Int

    @inlinable
    init(root: JSONValue, position: Int, end: Int) {
        self.root = root
        self.position = position
        self.end = end
    }

    @inlinable
    public mutating func next() -> JSONValue? {
        guard position < end else { return nil }
        let value = root.at(position)
        position = value.next
        return value
    }
}

/// Whether two buffers hold the same bytes: eight at a time, which beats a call of `memcmp` for keys.
@inlinable
public func sameBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    let count = left.count
    guard count == right.count, let one = left.baseAddress, let other = right.baseAddress else {
        return count == 0 && right.isEmpty
    }
    var position = 0
    while position + 8 <= count {
        if (one + position).loadUnaligned(as: UInt64.self) != (other + position).loadUnaligned(as: UInt64.self) {
            return false
        }
        position += 8
    }
    while position < count {
        if (one + position).load(as: UInt8.self) != (other + position).load(as: UInt8.self) { return false }
        position += 1
    }
    return true
}

/// The same for a key that stands in the source: the length decides nearly always.
@inlinable
public func sameBytes(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
    sameBytes(bytes, UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
}
