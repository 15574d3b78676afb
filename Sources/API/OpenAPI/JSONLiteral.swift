// JSON that stands in the source as Swift literals, its members in their order: schemas, examples, the OpenAPI document.
internal import JSON

package indirect enum JSONLiteral: Sendable {
    case null
    case flag(Bool)
    case integer(Int)
    case text(String)
    case list([JSONLiteral])
    case object([(name: String, value: JSONLiteral)])
    /// JSON already, for instance a schema from a file.
    case raw([UInt8])

    /// Without white space.
    package var bytes: [UInt8] {
        var writer = JSONWriter(reserving: 4096)
        write(to: &writer)
        return writer.bytes
    }

    func write(to json: inout JSONWriter) {
        switch self {
        case .null: json.null()
        case .flag(let value): json.boolean(value)
        case .integer(let value): json.integer(value)
        case .text(let value): json.string(value)
        case .raw(let bytes): json.raw(bytes)
        case .list(let values):
            json.beginArray()
            for value in values { value.write(to: &json) }
            json.endArray()
        case .object(let members):
            json.beginObject()
            for (name, value) in members {
                json.key(name)
                value.write(to: &json)
            }
            json.endObject()
        }
    }

    /// This object with more members behind its own; anything else stays as it is.
    func adding(_ more: [(name: String, value: JSONLiteral)]) -> JSONLiteral {
        guard case .object(let members) = self else { return self }
        return .object(members + more)
    }
}

extension JSONLiteral: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .flag(value) }
    package init(nilLiteral: ()) { self = .null }
    package init(arrayLiteral elements: JSONLiteral...) { self = .list(elements) }
    package init(dictionaryLiteral elements: (String, JSONLiteral)...) {
        self = .object(elements.map { (name: $0.0, value: $0.1) })
    }
}

/// JSON for people: two spaces a level, a line a member. Of text that is JSON; its values stay byte for byte.
func indented(_ json: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(json.count * 2)
    var depth = 0
    var isInText = false
    var isEscaped = false
    func newLine() {
        result.append(UInt8(ascii: "\n"))
        result.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * depth))
    }
    for (index, byte) in json.enumerated() {
        if isInText {
            result.append(byte)
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isInText = false
            }
            continue
        }
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            result.append(byte)
            depth += 1
            if !isEnd(json, index + 1) { newLine() }
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            depth -= 1
            if !isBeginning(json, index - 1) { newLine() }
            result.append(byte)
        case UInt8(ascii: ","):
            result.append(byte)
            newLine()
        case UInt8(ascii: ":"): result.append(contentsOf: [byte, UInt8(ascii: " ")])
        default:
            isInText = byte == UInt8(ascii: "\"")
            result.append(byte)
        }
    }
    result.append(UInt8(ascii: "\n"))
    return result
}

private func isEnd(_ json: [UInt8], _ index: Int) -> Bool {
    json.indices.contains(index) && (json[index] == UInt8(ascii: "}") || json[index] == UInt8(ascii: "]"))
}

private func isBeginning(_ json: [UInt8], _ index: Int) -> Bool {
    json.indices.contains(index) && (json[index] == UInt8(ascii: "{") || json[index] == UInt8(ascii: "["))
}
