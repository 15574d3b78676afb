// Writes JSON exactly as `JSON.stringify` would, so that a body is a fixed point of `JSON.stringify(JSON.parse(body))`:
// the documentation's Express example verifies signatures over what it re-serialises.
internal import CSimdJSON

/// Appends JSON to a byte buffer that its owner reuses. Commas are set by the writer; nesting is the caller's to balance.
package struct JSONWriter {
    package private(set) var bytes: [UInt8] = []
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

    package mutating func key(_ name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    package mutating func key(_ name: UnsafeRawBufferPointer) {
        separate()
        quoted(name)
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

    /// A value that is JSON already.
    package mutating func raw(_ json: some Sequence<UInt8>) {
        separate()
        bytes.append(contentsOf: json)
    }

    // MARK: Values

    package mutating func null() {
        separate()
        bytes.append(contentsOf: [UInt8(ascii: "n"), UInt8(ascii: "u"), UInt8(ascii: "l"), UInt8(ascii: "l")])
    }

    package mutating func boolean(_ value: Bool) {
        separate()
        let text: StaticString = value ? "true" : "false"
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    package mutating func string(_ value: String) {
        var value = value
        value.withUTF8 { string(UnsafeRawBufferPointer($0)) }
    }

    package mutating func string(_ value: UnsafeRawBufferPointer) {
        separate()
        quoted(value)
    }

    /// An integer; beyond ±(2^53 − 1) JavaScript would round it, so it is written as a string.
    package mutating func integer(_ value: some BinaryInteger) {
        separate()
        let exact = value.magnitude <= 9_007_199_254_740_991
        if !exact { bytes.append(UInt8(ascii: "\"")) }
        digits(UInt64(clamping: value.magnitude), negative: value < 0)
        if !exact { bytes.append(UInt8(ascii: "\"")) }
    }

    /// A number in ECMAScript's shortest form (`Number::toString`). Must be finite.
    package mutating func number(_ value: Double) {
        precondition(value.isFinite, "JSON has no infinity and no NaN")
        separate()
        appendECMAScript(value)
    }

    /// A parsed value, copied with the same rules. Keys that look like array indices come first, ascending, as
    /// JavaScript would put them.
    package mutating func value(_ value: JSONValue) {
        switch value.kind {
        case .null: null()
        case .boolean: boolean(value.bool == true)
        case .string: string(value.stringBytes!)
        case .integer:
            if let signed = value.int64 { integer(signed) } else { integer(value.uint64!) }
        case .number: number(value.double!)
        case .array:
            beginArray()
            value.forEachElement { self.value($0) }
            endArray()
        case .object: object(value)
        }
    }

    private mutating func object(_ object: JSONValue) {
        beginObject()
        var indexed: [(UInt32, JSONValue)] = []
        object.forEachMember { key, value in
            if let index = arrayIndex(key) { indexed.append((index, value)) }
        }
        if !indexed.isEmpty {
            indexed.sort { $0.0 < $1.0 }
            for (index, value) in indexed {
                separate()
                bytes.append(UInt8(ascii: "\""))
                digits(UInt64(index), negative: false)
                bytes.append(contentsOf: [UInt8(ascii: "\""), UInt8(ascii: ":")])
                needsComma = false
                self.value(value)
            }
        }
        object.forEachMember { key, value in
            if !indexed.isEmpty, arrayIndex(key) != nil { return }
            self.key(key)
            self.value(value)
        }
        endObject()
    }

    // MARK: Text

    private mutating func quoted(_ value: UnsafeRawBufferPointer) {
        bytes.append(UInt8(ascii: "\""))
        var start = 0
        for position in 0..<value.count {
            let byte = value[position]
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            bytes.append(contentsOf: value[start..<position])
            start = position + 1
            escape(byte)
        }
        bytes.append(contentsOf: value[start...])
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func escape(_ byte: UInt8) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x0C: bytes.append(UInt8(ascii: "f"))
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(byte)
        default:
            let hex: StaticString = "0123456789abcdef"
            bytes.append(contentsOf: [UInt8(ascii: "u"), UInt8(ascii: "0"), UInt8(ascii: "0")])
            bytes.append(hex.utf8Start[Int(byte >> 4)])
            bytes.append(hex.utf8Start[Int(byte & 15)])
        }
    }

    // MARK: Numbers

    private mutating func digits(_ magnitude: UInt64, negative: Bool) {
        if negative, magnitude != 0 { bytes.append(UInt8(ascii: "-")) }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { room in
            var rest = magnitude
            var start = 20
            repeat {
                start -= 1
                room[start] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            } while rest > 0
            bytes.append(contentsOf: room[start...])
        }
    }

    /// ECMA-262 Number::toString: digits d1…dk and exponent n where value = 0.d1…dk × 10^n.
    private mutating func appendECMAScript(_ value: Double) {
        if value == 0 {  // also −0
            bytes.append(UInt8(ascii: "0"))
            return
        }
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { text in
            let length = csimdjson_shortest_digits(value.magnitude, text.baseAddress!)
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { significant in
                var count = 0
                var position = 0
                while position < length, text[position] != CChar(UInt8(ascii: "e")) {
                    if text[position] != CChar(UInt8(ascii: ".")) {
                        significant[count] = UInt8(bitPattern: text[position])
                        count += 1
                    }
                    position += 1
                }
                var exponent = 0
                let negative = text[position + 1] == CChar(UInt8(ascii: "-"))
                for index in (position + 2)..<length { exponent = exponent * 10 + Int(text[index]) - 48 }
                place(
                    UnsafeBufferPointer(rebasing: significant[..<count]),
                    pointAfter: (negative ? -exponent : exponent) + 1)
            }
        }
    }

    private mutating func place(_ significant: UnsafeBufferPointer<UInt8>, pointAfter point: Int) {
        let count = significant.count
        let zero = UInt8(ascii: "0")
        if count <= point, point <= 21 {
            bytes.append(contentsOf: significant)
            bytes.append(contentsOf: repeatElement(zero, count: point - count))
        } else if 0 < point, point <= 21 {
            bytes.append(contentsOf: significant[..<point])
            bytes.append(UInt8(ascii: "."))
            bytes.append(contentsOf: significant[point...])
        } else if -6 < point, point <= 0 {
            bytes.append(contentsOf: [zero, UInt8(ascii: ".")])
            bytes.append(contentsOf: repeatElement(zero, count: -point))
            bytes.append(contentsOf: significant)
        } else {
            bytes.append(significant[0])
            if count > 1 {
                bytes.append(UInt8(ascii: "."))
                bytes.append(contentsOf: significant[1...])
            }
            bytes.append(UInt8(ascii: "e"))
            bytes.append(UInt8(ascii: point - 1 < 0 ? "-" : "+"))
            digits(UInt64((point - 1).magnitude), negative: false)
        }
    }
}

/// The number a property name stands for when JavaScript would order it as an array index (0…2^32 − 2, no leading zero).
private func arrayIndex(_ key: UnsafeRawBufferPointer) -> UInt32? {
    guard key.count > 0, key.count <= 10, !(key.count > 1 && key[0] == UInt8(ascii: "0")) else { return nil }
    var value: UInt64 = 0
    for byte in key {
        guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
        value = value * 10 + UInt64(byte - UInt8(ascii: "0"))
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
