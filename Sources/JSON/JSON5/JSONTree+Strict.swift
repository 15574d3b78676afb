// A tree as strict JSON, for the parser that everything else is read by. Each value stands on the line it was read from, so
// that what the parser says of a line is true of the file.

extension JSONTree {
    /// The tree as JSON text: keys in their order, also those that stand twice, which the parser refuses.
    package var strictJSON: [UInt8] {
        var text = StrictText()
        text.write(self)
        return text.bytes
    }
}

private struct StrictText {
    var bytes: [UInt8] = []
    private var line = 1

    mutating func write(_ tree: JSONTree) {
        advance(to: tree.line)
        switch tree.value {
        case .object(let members):
            put("{")
            for (index, member) in members.enumerated() {
                if index > 0 { put(",") }
                advance(to: member.line)
                quote(member.key)
                put(":")
                write(member.value)
            }
            put("}")
        case .array(let elements):
            put("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { put(",") }
                write(element)
            }
            put("]")
        case .string(let text): quote(text)
        case .number(let literal): put(NumberLiteral.strict(literal))
        case .boolean(let flag): put(flag ? "true" : "false")
        case .null: put("null")
        }
    }

    private mutating func advance(to wanted: Int) {
        while line < wanted {
            put("\n")
            line += 1
        }
    }

    private mutating func put(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func quote(_ text: String) {
        var writer = JSONWriter(reserving: text.utf8.count + 2)
        writer.string(text)
        bytes.append(contentsOf: writer.bytes)
    }
}
