// Compiles `data`: each payload member and where it comes from.
internal import Core
internal import JSON

extension MappingCompiler {
    private static let fieldKeys = [
        "from", "value", "template", "data", "each", "kind", "values", "translate", "optional", "default", "when",
    ]

    /// - Parameter outer: the names of the objects around, with a dot at the end.
    /// - Parameter depth: the containers of the body around these members.
    mutating func fields(
        _ data: JSONValue, at place: String, named outer: String, depth: Int, _ scope: PathScope
    ) -> [FieldPlan] {
        var fields: [FieldPlan] = []
        data.forEachMember { key, source in
            let name = String(decoding: key, as: UTF8.self)
            if let field = field(name, outer + name, depth, source, at: "\(place).\(name)", scope) {
                fields.append(field)
            }
        }
        for field in fields where isIndexLike(field.key) {
            fault(
                "\(place).\(field.member)",
                "a payload's key cannot be a number: JavaScript would move it to the front")
        }
        return fields
    }

    private func isIndexLike(_ key: [UInt8]) -> Bool {
        key.count > 3 && key.dropFirst().dropLast(2).allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    private mutating func field(
        _ key: String, _ name: String, _ depth: Int, _ value: JSONValue, at place: String, _ scope: PathScope
    ) -> FieldPlan? {
        func made(_ source: FieldPlan.Source, when conditions: [Condition] = []) -> FieldPlan {
            var writer = JSONWriter()
            writer.string(key)
            return FieldPlan(
                member: key, name: name, depth: depth, key: writer.bytes + [UInt8(ascii: ":")], source: source,
                conditions: conditions
            )
        }
        if value.string != nil {
            return self.place(value, at: place, isNeeded: true).map {
                made(.value(scope.locator($0), .any, whenMissing: .fail))
            }
        }
        guard value.isObject else {
            fault(place, "must be a JSON Pointer, or an object with from, value, template, data or each")
            return nil
        }
        refuseUnknown(value, at: place, known: Self.fieldKeys)
        let conditions = conditions(value["when"], at: "\(place).when", scope)
        guard let source = source(value, name, depth, at: place, scope) else { return nil }
        return made(source, when: conditions)
    }

    private mutating func source(
        _ value: JSONValue, _ name: String, _ depth: Int, at place: String, _ scope: PathScope
    ) -> FieldPlan.Source? {
        let forms = ["from", "value", "template", "each", "data"].filter { value[$0] != nil }
        guard forms.count == 1 || forms == ["each", "data"] else {
            fault(place, "must have exactly one of from, value, template, data and each (each may have data beside it)")
            return nil
        }
        switch forms[0] {
        case "from":
            let kind = kind(value, at: place)
            let missing = whenMissing(value, kind ?? .any, at: place)
            return self.place(value["from"], at: "\(place).from", isNeeded: true).map {
                .value(scope.locator($0), kind ?? .any, whenMissing: missing)
            }
        case "value":
            refuse(["kind", "values", "translate", "optional", "default"], beside: "value", value, at: place)
            var writer = JSONWriter()
            writer.value(value["value"]!)
            return .constant(writer.bytes)
        case "template":
            refuse(["kind", "values", "translate"], beside: "template", value, at: place)
            let missing = whenMissing(value, .string, at: place)
            return template(value["template"]!, at: "\(place).template", scope).map {
                .template($0, whenMissing: missing)
            }
        case "each":
            return each(value, name, depth, at: place, scope)
        default:
            refuse(["kind", "values", "translate", "optional", "default"], beside: "data", value, at: place)
            guard value["data"]!.isObject else {
                fault("\(place).data", "must be an object from payload field to source")
                return nil
            }
            return .object(fields(value["data"]!, at: "\(place).data", named: name + ".", depth: depth + 1, scope))
        }
    }

    private mutating func refuse(_ keys: [String], beside form: String, _ value: JSONValue, at place: String) {
        for key in keys where value[key] != nil { fault("\(place).\(key)", "says nothing beside \(form)") }
    }

    /// `{each: "/payload/items", data: {…}}` or `{each: "/payload/tags", kind: "string"}`; paths inside begin at the element.
    private mutating func each(
        _ value: JSONValue, _ name: String, _ depth: Int, at place: String, _ scope: PathScope
    ) -> FieldPlan.Source? {
        let missing = whenMissing(value, .array, at: place)
        guard let source = self.place(value["each"], at: "\(place).each", isNeeded: true) else { return nil }
        let locator = scope.locator(source)
        let inner = scope.inside()
        guard let data = value["data"] else {
            let element = ElementPlan(
                paths: PathTrie([]), slots: inner.slots, content: .value(kind(value, at: place) ?? .any))
            return .each(locator, element, whenMissing: missing)
        }
        refuse(["kind", "values", "translate"], beside: "data", value, at: place)
        guard data.isObject else {
            fault("\(place).data", "must be an object from payload field to source")
            return nil
        }
        let members = fields(data, at: "\(place).data", named: name + "[].", depth: depth + 2, inner)
        let element = ElementPlan(paths: inner.rootTrie, slots: inner.slots, content: .object(members))
        return .each(locator, element, whenMissing: missing)
    }

    // MARK: Kinds and defaults

    private mutating func kind(_ value: JSONValue, at place: String) -> ValueKind? {
        let wanted = value["kind"]?.string
        if wanted == "enum" { return enumeration(value, at: place) }
        refuse(["values", "translate"], beside: "a kind that is not \"enum\"", value, at: place)
        guard value["kind"] != nil else { return nil }
        guard let known = ValueKind.named.first(where: { $0.name == wanted }) else {
            fault("\(place).kind", "must be one of \(ValueKind.named.map(\.name).joined(separator: ", ")), enum")
            return nil
        }
        return known.kind
    }

    private mutating func enumeration(_ value: JSONValue, at place: String) -> ValueKind? {
        var values: [(from: [UInt8], to: [UInt8])] = []
        func json(_ value: JSONValue) -> [UInt8] {
            var writer = JSONWriter()
            writer.value(value)
            return writer.bytes
        }
        switch (value["values"], value["translate"]) {
        case (let list?, nil) where list.stringArray?.isEmpty == false:
            list.forEachElement { values.append((Array($0.stringBytes!), json($0))) }
        case (nil, let table?) where table.isObject && !table.isEmptyObject:
            table.forEachMember { key, to in
                guard Scalar(to) != nil else {
                    let name = String(decoding: key, as: UTF8.self)
                    return fault("\(place).translate.\(name)", "must be a text, a number, true or false")
                }
                values.append((Array(key), json(to)))
            }
        default:
            fault(
                place, "kind \"enum\" needs either values: [\"a\", \"b\"] or translate: {A: \"a\", B: \"b\"}")
            return nil
        }
        return .enumeration(values)
    }

    private mutating func whenMissing(_ value: JSONValue, _ kind: ValueKind, at place: String) -> FieldPlan.WhenMissing
    {
        var optional = false
        if let flag = value["optional"] {
            if let known = flag.bool { optional = known } else { fault("\(place).optional", "must be true or false") }
        }
        guard let standIn = value["default"] else { return optional ? .leaveOut : .fail }
        if optional { fault(place, "has both optional and default; a default is never left out") }
        var writer = JSONWriter()
        writer.value(standIn)
        if !kind.writes(standIn, json: writer.bytes) { fault("\(place).default", "is not what its kind writes") }
        return .write(writer.bytes)
    }

    // MARK: Templates

    /// `https://verify.learnault.io/{/payload/credential/id}`: places in braces; `{{` and `}}` are braces.
    private mutating func template(
        _ value: JSONValue, at place: String, _ scope: PathScope
    ) -> [FieldPlan.TemplatePart]? {
        guard let text = value.string else {
            fault(place, "must be a text with pointers in braces")
            return nil
        }
        var parts: [FieldPlan.TemplatePart] = []
        var literal: [UInt8] = []
        func flush() {
            if !literal.isEmpty { parts.append(.text(literal)) }
            literal = []
        }
        var rest = Substring(text)
        while let character = rest.first {
            if rest.hasPrefix("{{") || rest.hasPrefix("}}") {
                literal.append(contentsOf: String(character).utf8)
                rest = rest.dropFirst(2)
            } else if character == "{" {
                guard let close = rest.firstIndex(of: "}"),
                    let source = Self.place(String(rest[rest.index(after: rest.startIndex)..<close])),
                    source != .pointer(JSONPointer("")!)
                else {
                    fault(place, "has a brace without a JSON Pointer and its closing brace")
                    return nil
                }
                flush()
                parts.append(.value(scope.locator(source)))
                rest = rest[rest.index(after: close)...]
            } else if character == "}" {
                fault(place, "has a closing brace without an opening one; write }} for a brace")
                return nil
            } else {
                literal.append(contentsOf: String(character).utf8)
                rest = rest.dropFirst()
            }
        }
        flush()
        return parts
    }
}

extension ValueKind {
    /// Whether a constant is something this kind could have written.
    func writes(_ value: JSONValue, json: [UInt8]) -> Bool {
        switch self {
        case .any: true
        case .string: value.kind == .string
        case .integer: value.kind == .integer
        case .number: value.kind == .integer || value.kind == .number
        case .boolean: value.kind == .boolean
        case .object: value.isObject
        case .array: value.isArray
        case .decimal: value.stringBytes.map { DecimalText.isDecimal($0) } ?? false
        case .time: value.string.map { Timestamp(rfc3339: $0)?.secondsText == $0 } ?? false
        case .enumeration(let values): values.contains { $0.to == json }
        }
    }
}

extension JSONValue {
    fileprivate var isEmptyObject: Bool {
        var count = 0
        forEachMember { _, _ in count += 1 }
        return count == 0
    }
}
