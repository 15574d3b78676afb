// The payload schemas of `config/schemas`, as far as a mapping can be checked against them before any record comes.
internal import JSON

/// JSON Schemas of webhook bodies by event type.
package struct PayloadSchemas: Sendable {
    private var byType: [String: SchemaNode] = [:]

    package init() {}

    /// - Parameters:
    ///   - text: the schema of a whole body; what it says of the property `data` is used.
    ///   - type: the event type it is for.
    /// - Returns: what is wrong with the file; nil when it was taken.
    package mutating func add(_ text: [UInt8], for type: String) -> String? {
        do {
            return try JSONParser(maxDepth: 32).parse(text) { root in
                guard let data = root["properties"]?["data"] else { return "has no properties.data" }
                var budget = SchemaNode.mostNodes
                byType[type] = SchemaNode(data, in: root, depth: 0, &budget)
                return nil
            }
        } catch {
            return "is not JSON: \(error)"
        }
    }

    /// What a mapping to this type does that its schema does not allow, by payload field; an empty key is the whole.
    func objections(to fields: [FieldPlan], of type: String) -> [(key: String, cause: String)] {
        guard let schema = byType[type] else { return [("", "there is no schema \(type).json beside the mappings")] }
        return schema.objections(to: fields, within: "", schemaName: "\(type).json")
    }
}

/// The part of a schema that a mapping file can break.
indirect enum SchemaShape: Sendable {
    case scalar
    case object(properties: [String: SchemaNode], required: [String], isOpen: Bool)
    case array(SchemaNode?)
}

struct SchemaNode: Sendable {
    /// The JSON types allowed; empty for any.
    let types: Set<String>
    /// The values allowed, as JSON; empty for any.
    let values: [[UInt8]]
    let shape: SchemaShape

    private static let deepest = 16
    /// What is beyond is not checked: a schema that refers to itself has no end.
    static let mostNodes = 4096

    /// - Parameter root: where local references are looked up.
    init(_ node: JSONValue, in root: JSONValue, depth: Int, _ budget: inout Int) {
        budget -= 1
        if budget > 0, depth < Self.deepest, let reference = node["$ref"]?.string, reference.hasPrefix("#"),
            let target = JSONPointer(String(reference.dropFirst()))?.find(in: root)
        {
            self.init(target, in: root, depth: depth + 1, &budget)
            return
        }
        self.init(plain: node, in: root, depth: depth, &budget)
    }

    private init(plain node: JSONValue, in root: JSONValue, depth: Int, _ budget: inout Int) {
        types = Set(node["type"]?.string.map { [$0] } ?? node["type"]?.stringArray ?? [])
        let allowed = node["const"].map { [$0] } ?? node["enum"]?.elements ?? []
        values = allowed.map { value in
            var writer = JSONWriter()
            writer.value(value)
            return writer.bytes
        }
        if budget > 0, depth < Self.deepest, let members = node["properties"] {
            var properties: [String: SchemaNode] = [:]
            members.forEachMember { key, value in
                properties[String(decoding: key, as: UTF8.self)] = SchemaNode(
                    value, in: root, depth: depth + 1, &budget)
            }
            shape = .object(
                properties: properties, required: node["required"]?.stringArray ?? [],
                isOpen: node["additionalProperties"]?.bool != false)
        } else if budget > 0, types.contains("array") {
            shape = .array(node["items"].map { SchemaNode($0, in: root, depth: depth + 1, &budget) })
        } else {
            shape = .scalar
        }
    }
}
