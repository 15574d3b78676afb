// Writes JSON exactly as `JSON.stringify` would, so that a body is a fixed point of `JSON.stringify(JSON.parse(body))`:
// the documentation's Express example verifies signatures over what it re-serialises. Text and numbers:
// JSONWriter+Text.swift, JSONWriter+Numbers.swift.

/// Appends JSON to a byte buffer that its owner reuses; once that has grown, writing allocates nothing. Commas are set by
/// the writer; nesting is the caller's to balance.
public struct JSONWriter {
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false

    package init(reserving capacity: Int = 512) { bytes.reserveCapacity(capacity) }

    package mutating func reset() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    /// Puts a comma where one is due and then what `fill` writes at the pointer: at most `most` bytes, of which it returns
    /// the number. One check of the array's room for both, instead of one a byte.
    @inline(__always)
    mutating func put(
        atMost most: Int, commaNext: Bool = true, _ fill: (UnsafeMutablePointer<UInt8>) -> Int
    ) {
        let comma = needsComma ? 1 : 0
        needsComma = commaNext
        bytes.append(addingCapacity: most + 1) { span in
            span.withUnsafeMutableBufferPointer { room, count in
                guard let start = room.baseAddress else { return }
                start.pointee = UInt8(ascii: ",")
                count = comma + fill(start + comma)
            }
        }
    }

    /// More of what ``put(atMost:commaNext:_:)`` began.
    mutating func add(_ more: UnsafeRawBufferPointer) { bytes.append(contentsOf: more) }

    // MARK: Structure

    private mutating func begin(_ bracket: Unicode.Scalar) {
        put(atMost: 1, commaNext: false) { room in
            room.pointee = UInt8(ascii: bracket)
            return 1
        }
    }

    package mutating func beginObject() { begin("{") }

    package mutating func endObject() {
        needsComma = false
        begin("}")
        needsComma = true
    }

    package mutating func beginArray() { begin("[") }

    package mutating func endArray() {
        needsComma = false
        begin("]")
        needsComma = true
    }

    /// A key that needs no escape.
    public mutating func key(_ name: StaticString) {
        name.withUTF8Buffer { plain(UnsafeRawBufferPointer($0), isKey: true) }
    }

    package mutating func key(_ name: UnsafeRawBufferPointer) { quoted(name, isKey: true) }

    package mutating func key(_ name: String) {
        var name = name
        name.withUTF8 { key(UnsafeRawBufferPointer($0)) }
    }

    /// A key that was written with its quotes and colon before, for instance at start.
    package mutating func key(prepared: [UInt8]) {
        prepared.withUnsafeBytes { copy($0, commaNext: false) }
    }

    /// A value that is JSON already.
    package mutating func raw(_ json: [UInt8]) { json.withUnsafeBytes { copy($0) } }

    /// Begins a new document behind what is there with a text that ends where its first member is to stand, such as
    /// `{"id":"1","data":{`. The caller closes what it opens.
    package mutating func begin(prepared json: [UInt8]) {
        bytes.append(contentsOf: json)
        needsComma = false
    }

    package mutating func raw(_ json: UnsafeRawBufferPointer) { copy(json) }

    private mutating func copy(_ json: UnsafeRawBufferPointer, commaNext: Bool = true) {
        put(atMost: json.count, commaNext: commaNext) { room in
            UnsafeMutableRawBufferPointer(start: room, count: json.count).copyMemory(from: json)
            return json.count
        }
    }

    // MARK: Values

    package mutating func null() { word("null") }

    package mutating func boolean(_ value: Bool) { word(value ? "true" : "false") }

    private mutating func word(_ word: StaticString) { word.withUTF8Buffer { copy(UnsafeRawBufferPointer($0)) } }

    package mutating func string(_ value: String) {
        var value = value
        value.withUTF8 { string(UnsafeRawBufferPointer($0)) }
    }

    /// - Parameter value: UTF-8; what is not would make the body no JSON.
    package mutating func string(_ value: UnsafeRawBufferPointer) { quoted(value, isKey: false) }

    /// An integer of at most 64 bits; beyond ±(2^53 − 1) JavaScript would round it, so it is written as a string.
    /// Public, like the type, so that this is inlined where it is called (see JSONValue.swift) and never runs generic.
    @inlinable
    public mutating func integer(_ value: some BinaryInteger) {
        integer(magnitude: UInt64(value.magnitude), isNegative: value < 0)
    }

    public mutating func integer(magnitude: UInt64, isNegative: Bool) {
        put(atMost: 23) { room in
            guard magnitude > 9_007_199_254_740_991 else {
                return writeDigits(magnitude, isNegative: isNegative, to: room)
            }
            room[0] = UInt8(ascii: "\"")
            let count = writeDigits(magnitude, isNegative: isNegative, to: room + 1)
            room[count + 1] = UInt8(ascii: "\"")
            return count + 2
        }
    }

    /// A number in ECMAScript's shortest form (`Number::toString`). Must be finite. From 2^53 up to 10^21 that looks like an
    /// integer: a fixed point for JavaScript, but ``JSONParser`` would take it for an exact one, or for one beyond 64 bits.
    package mutating func number(_ value: Double) {
        precondition(value.isFinite, "JSON has no infinity and no NaN")
        put(atMost: mostBytesOfNumber) { writeNumber(value, to: $0) }
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
            put(atMost: 13, commaNext: false) { room in
                room[0] = UInt8(ascii: "\"")
                let count = writeDigits(UInt64(index), isNegative: false, to: room + 1)
                room[count + 1] = UInt8(ascii: "\"")
                room[count + 2] = UInt8(ascii: ":")
                return count + 3
            }
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
    public mutating func field(_ name: StaticString, _ value: some BinaryInteger) {
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
