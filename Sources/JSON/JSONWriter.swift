// Writes JSON exactly as `JSON.stringify` would, so that a body is a fixed point of `JSON.stringify(JSON.parse(body))`:
// the documentation's Express example verifies signatures over what it re-serialises. Text and numbers:
// JSONWriter+Text.swift, JSONWriter+Numbers.swift.

/// Appends JSON to a byte buffer that its owner reuses; once that has grown, writing allocates nothing. Commas are set by
/// the writer; nesting is the caller's to balance.
package struct JSONWriter {
    package internal(set) var bytes: [UInt8] = []
    private var needsComma = false

    package init(reserving capacity: Int = 512) { bytes.reserveCapacity(capacity) }

    package mutating func reset() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    // MARK: Structure

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    package mutating func beginObject() {
        separate()
        bytes.append(UInt8(ascii: "{"))
        needsComma = false
    }

    package mutating func endObject() {
        bytes.append(UInt8(ascii: "}"))
        needsComma = true
    }

    package mutating func beginArray() {
        separate()
        bytes.append(UInt8(ascii: "["))
        needsComma = false
    }

    package mutating func endArray() {
        bytes.append(UInt8(ascii: "]"))
        needsComma = true
    }

    /// A key that needs no escape.
    package mutating func key(_ name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        append(name)
        append("\":")
        needsComma = false
    }

    package mutating func key(_ name: UnsafeRawBufferPointer) {
        separate()
        appendQuoted(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    package mutating func key(_ name: String) {
        var name = name
        name.withUTF8 { key(UnsafeRawBufferPointer($0)) }
    }

    /// A key that was written with its quotes and colon before, for instance at start.
    package mutating func key(prepared: [UInt8]) {
        separate()
        bytes.append(contentsOf: prepared)
        needsComma = false
    }

    /// A value that is JSON already.
    package mutating func raw(_ json: [UInt8]) {
        separate()
        bytes.append(contentsOf: json)
    }

    /// Begins a new document behind what is there with a text that ends where its first member is to stand, such as
    /// `{"id":"1","data":{`. The caller closes what it opens.
    package mutating func begin(prepared json: [UInt8]) {
        bytes.append(contentsOf: json)
        needsComma = false
    }

    package mutating func raw(_ json: UnsafeRawBufferPointer) {
        separate()
        bytes.append(contentsOf: json)
    }

    // MARK: Values

    package mutating func null() {
        separate()
        append("null")
    }

    package mutating func boolean(_ value: Bool) {
        separate()
        append(value ? "true" : "false")
    }

    package mutating func string(_ value: String) {
        var value = value
        value.withUTF8 { string(UnsafeRawBufferPointer($0)) }
    }

    /// - Parameter value: UTF-8; what is not would make the body no JSON.
    package mutating func string(_ value: UnsafeRawBufferPointer) {
        separate()
        appendQuoted(value)
    }

    /// An integer of at most 64 bits; beyond ±(2^53 − 1) JavaScript would round it, so it is written as a string.
    @inlinable
    package mutating func integer(_ value: some BinaryInteger) {
        integer(magnitude: UInt64(value.magnitude), isNegative: value < 0)
    }

    package mutating func integer(magnitude: UInt64, isNegative: Bool) {
        separate()
        let isExact = magnitude <= 9_007_199_254_740_991
        if !isExact { bytes.append(UInt8(ascii: "\"")) }
        appendDigits(magnitude, isNegative: isNegative)
        if !isExact { bytes.append(UInt8(ascii: "\"")) }
    }

    /// A number in ECMAScript's shortest form (`Number::toString`). Must be finite. From 2^53 up to 10^21 that looks like an
    /// integer: a fixed point for JavaScript, but ``JSONParser`` would take it for an exact one, or for one beyond 64 bits.
    package mutating func number(_ value: Double) {
        precondition(value.isFinite, "JSON has no infinity and no NaN")
        separate()
        appendNumber(value)
    }

    /// A parsed value, copied with the same rules. Keys that look like array indices come first, ascending, as
    /// JavaScript would put them. Its depth is what the parser allowed.
    package mutating func value(_ value: JSONValue) {
        switch value.kind {
        case .null: null()
        case .boolean: boolean(value.bool == true)
        case .string: string(value.text)
        case .integer:
            if let magnitude = value.uint64 {
                integer(magnitude: magnitude, isNegative: false)
            } else {
                integer(magnitude: value.int64!.magnitude, isNegative: true)
            }
        case .number: number(value.double!)
        case .array:
            beginArray()
            for item in value.items { self.value(item) }
            endArray()
        case .object:
            beginObject()
            let hasIndices = value.members.contains { arrayIndex($0.key) != nil }
            if hasIndices { indexedMembers(of: value) }
            for (key, member) in value.members where !hasIndices || arrayIndex(key) == nil {
                self.key(key)
                self.value(member)
            }
            endObject()
        }
    }

    /// Allocates, which only an object with such keys costs.
    private mutating func indexedMembers(of object: JSONValue) {
        var indexed: [(index: UInt32, value: JSONValue)] = []
        for (key, value) in object.members {
            if let index = arrayIndex(key) { indexed.append((index, value)) }
        }
        indexed.sort { $0.index < $1.index }
        for (index, value) in indexed {
            separate()
            bytes.append(UInt8(ascii: "\""))
            appendDigits(UInt64(index), isNegative: false)
            append("\":")
            needsComma = false
            self.value(value)
        }
    }
}

/// The number a property name stands for when JavaScript would order it as an array index (0…2^32 − 2, no leading zero).
private func arrayIndex(_ key: UnsafeRawBufferPointer) -> UInt32? {
    guard let first = key.first, first &- UInt8(ascii: "0") <= 9, key.count <= 10,
        key.count == 1 || first != UInt8(ascii: "0")
    else { return nil }
    var value: UInt64 = 0
    for byte in key {
        let digit = byte &- UInt8(ascii: "0")
        guard digit <= 9 else { return nil }
        value = value * 10 + UInt64(digit)
    }
    return value < 4_294_967_295 ? UInt32(value) : nil
}

extension JSONWriter {
    // Members with a fixed key, for records whose shape the bridge owns.

    package mutating func field(_ name: StaticString, _ value: String) {
        key(name)
        string(value)
    }

    package mutating func field(_ name: StaticString, _ value: String?) {
        key(name)
        if let value { string(value) } else { null() }
    }

    @inlinable
    package mutating func field(_ name: StaticString, _ value: some BinaryInteger) {
        key(name)
        integer(value)
    }

    package mutating func field(_ name: StaticString, _ value: Bool) {
        key(name)
        boolean(value)
    }

    package mutating func field(_ name: StaticString, _ values: [String]) {
        key(name)
        beginArray()
        for value in values { string(value) }
        endArray()
    }

    package mutating func object(_ members: (inout JSONWriter) -> Void) {
        beginObject()
        members(&self)
        endObject()
    }

    package mutating func object(_ name: StaticString, _ members: (inout JSONWriter) -> Void) {
        key(name)
        object(members)
    }

    /// A whole document of one object, as bytes.
    package static func document(_ members: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.object(members)
        return writer.bytes
    }
}
