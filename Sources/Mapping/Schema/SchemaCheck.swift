// Compares a compiled mapping with a schema: every member is known and of an allowed type, and what is required cannot be
// left out.
internal import JSON

extension SchemaNode {
    typealias Objection = (key: String, cause: String)

    func objections(to fields: [FieldPlan], within outer: String, schemaName: String) -> [Objection] {
        guard case .object(let properties, let required, let isOpen) = shape else { return [] }
        var found: [Objection] = []
        for name in required {
            let key = outer + name
            guard let field = fields.first(where: { $0.member == name }) else {
                found.append((key, "is missing; \(schemaName) requires it"))
                continue
            }
            if field.canBeLeftOut { found.append((key, "can be left out, but \(schemaName) requires it")) }
        }
        for field in fields {
            guard let property = properties[field.member] else {
                if !isOpen { found.append((outer + field.member, "is unknown to \(schemaName)")) }
                continue
            }
            found += property.objections(to: field, at: outer + field.member, schemaName: schemaName)
        }
        return found
    }

    private func objections(to field: FieldPlan, at key: String, schemaName: String) -> [Objection] {
        switch field.source {
        case .value(_, let kind, let missing):
            return objections(to: kind, at: key, schemaName) + objections(toDefault: missing, at: key, schemaName)
        case .template(_, let missing):
            return wrongType("string", at: key, schemaName) + objections(toDefault: missing, at: key, schemaName)
        case .constant(let json): return objections(toConstant: json, at: key, schemaName)
        case .object(let members):
            return wrongType("object", at: key, schemaName)
                + objections(to: members, within: key + ".data.", schemaName: schemaName)
        case .each(_, let element, _):
            var found = wrongType("array", at: key, schemaName)
            guard case .array(let items?) = shape else { return found }
            switch element.content {
            case .value(let kind): found += items.objections(to: kind, at: key, schemaName)
            case .object(let members):
                found += items.wrongType("object", at: key, schemaName)
                found += items.objections(to: members, within: key + ".data.", schemaName: schemaName)
            }
            return found
        }
    }

    private func objections(to kind: ValueKind, at key: String, _ schemaName: String) -> [Objection] {
        if case .enumeration(let values) = kind {
            return values.flatMap { objections(toConstant: $0.to, at: key, schemaName) }
        }
        return kind.jsonType.map { wrongType($0, at: key, schemaName) } ?? []
    }

    private func objections(
        toDefault missing: FieldPlan.WhenMissing, at key: String, _ schemaName: String
    ) -> [Objection] {
        guard case .write(let json) = missing else { return [] }
        return objections(toConstant: json, at: key, schemaName)
    }

    private func objections(toConstant json: [UInt8], at key: String, _ schemaName: String) -> [Objection] {
        let type = (try? JSONParser().parse(json) { $0.kind.rawValue }) ?? "null"
        if !values.isEmpty, !values.contains(json) {
            return [(key, "can become a value that \(schemaName) does not list")]
        }
        return wrongType(type, at: key, schemaName)
    }

    private func wrongType(_ type: String, at key: String, _ schemaName: String) -> [Objection] {
        if types.isEmpty || types.contains(type) || type == "integer" && types.contains("number") { return [] }
        return [(key, "is written as \(type), \(schemaName) wants \(types.sorted().joined(separator: " or "))")]
    }
}

extension ValueKind {
    /// The JSON type that is written; nil where the record decides.
    fileprivate var jsonType: String? {
        switch self {
        case .any, .enumeration: nil
        case .string, .decimal, .time: "string"
        case .integer: "integer"
        case .number: "number"
        case .boolean: "boolean"
        case .object: "object"
        case .array: "array"
        }
    }
}

extension FieldPlan {
    fileprivate var canBeLeftOut: Bool {
        if !conditions.isEmpty { return true }
        return switch source {
        case .value(_, _, .leaveOut), .template(_, .leaveOut), .each(_, _, .leaveOut): true
        default: false
        }
    }
}
