// A parsed JSON value, as a position on simdjson's tape: no copy, no String, no dictionary.
//
// Word layout (simdjson's doc/tape.md): the top 8 bits are a type character, the low 56 a payload. Containers carry
// the index behind their end, strings an offset into the string buffer (4-byte length, bytes, NUL), numbers a second word.

/// A value inside a document. Valid only inside the closure of ``JSONParser/parse(_:padded:_:)`` that handed it out.
package struct JSONValue {
    @usableFromInline let tape: UnsafePointer<UInt64>
    @usableFromInline let strings: UnsafePointer<UInt8>
    @usableFromInline let index: Int

    @inlinable
    init(tape: UnsafePointer<UInt64>, strings: UnsafePointer<UInt8>, index: Int) {
        self.tape = tape
        self.strings = strings
        self.index = index
    }

    package enum Kind: String, Sendable {
        case object, array, string, integer, number, boolean, null
    }

    @inlinable var tag: UInt8 { UInt8(truncatingIfNeeded: tape[index] >> 56) }
    @inlinable var payload: Int { Int(truncatingIfNeeded: tape[index] & 0x00FF_FFFF_FFFF_FFFF) }

    package var kind: Kind {
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

    package var isNull: Bool { tag == UInt8(ascii: "n") }
    package var isObject: Bool { tag == UInt8(ascii: "{") }
    package var isArray: Bool { tag == UInt8(ascii: "[") }

    /// The UTF-8 bytes of a string, unescaped; nil for any other kind.
    @inlinable package var stringBytes: UnsafeRawBufferPointer? {
        guard tag == UInt8(ascii: "\"") else { return nil }
        let start = UnsafeRawPointer(strings + payload)
        let length = Int(start.loadUnaligned(as: UInt32.self))
        return UnsafeRawBufferPointer(start: start + 4, count: length)
    }

    package var string: String? {
        stringBytes.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The integer, when the document wrote one without fraction or exponent and it fits; nil otherwise.
    package var int64: Int64? {
        switch tag {
        case UInt8(ascii: "l"): Int64(bitPattern: tape[index + 1])
        case UInt8(ascii: "u"): Int64(exactly: tape[index + 1])
        default: nil
        }
    }

    package var int: Int? { int64.map { Int($0) } }

    /// An integer above Int64's range that the document wrote; nil otherwise.
    package var uint64: UInt64? {
        switch tag {
        case UInt8(ascii: "u"): tape[index + 1]
        case UInt8(ascii: "l"): UInt64(exactly: Int64(bitPattern: tape[index + 1]))
        default: nil
        }
    }

    /// Any number as a double; nil when it is not a number.
    package var double: Double? {
        switch tag {
        case UInt8(ascii: "d"): Double(bitPattern: tape[index + 1])
        case UInt8(ascii: "l"): Double(Int64(bitPattern: tape[index + 1]))
        case UInt8(ascii: "u"): Double(tape[index + 1])
        default: nil
        }
    }

    package var bool: Bool? {
        switch tag {
        case UInt8(ascii: "t"): true
        case UInt8(ascii: "f"): false
        default: nil
        }
    }

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

    /// The first member of an object with this key; nil when there is none or this is no object.
    @inlinable
    package func member(_ key: UnsafeRawBufferPointer) -> JSONValue? {
        guard tag == UInt8(ascii: "{") else { return nil }
        let end = next - 1
        var position = index + 1
        while position < end {
            let name = at(position)
            let value = at(position + 1)
            if let bytes = name.stringBytes, bytes.count == key.count, bytes.elementsEqual(key) { return value }
            position = value.next
        }
        return nil
    }

    package subscript(_ key: String) -> JSONValue? {
        var key = key
        return key.withUTF8 { member(UnsafeRawBufferPointer($0)) }
    }

    /// The element of an array at a position; nil when there is none or this is no array.
    package func element(_ wanted: Int) -> JSONValue? {
        guard isArray else { return nil }
        let end = next - 1
        var position = index + 1
        var count = 0
        while position < end {
            if count == wanted { return at(position) }
            position = at(position).next
            count += 1
        }
        return nil
    }

    /// Calls `body` with each key and value of an object, in source order.
    package func forEachMember(_ body: (UnsafeRawBufferPointer, JSONValue) throws -> Void) rethrows {
        guard isObject else { return }
        let end = next - 1
        var position = index + 1
        while position < end {
            let value = at(position + 1)
            if let key = at(position).stringBytes { try body(key, value) }
            position = value.next
        }
    }

    /// Calls `body` with each element of an array, in order.
    package func forEachElement(_ body: (JSONValue) throws -> Void) rethrows {
        guard isArray else { return }
        let end = next - 1
        var position = index + 1
        while position < end {
            let value = at(position)
            try body(value)
            position = value.next
        }
    }

    package var elements: [JSONValue] {
        var all: [JSONValue] = []
        forEachElement { all.append($0) }
        return all
    }

    /// Every element as a string, or nil when this is no array of strings.
    package var stringArray: [String]? {
        guard isArray else { return nil }
        var all: [String] = []
        for value in elements {
            guard let string = value.string else { return nil }
            all.append(string)
        }
        return all
    }
}
