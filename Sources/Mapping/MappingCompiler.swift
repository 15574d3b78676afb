// Compiles mapping files and reports every fault with file, key and cause.
internal import Core
internal import JSON

package struct MappingFault: Error, Equatable, CustomStringConvertible, Sendable {
    package let file: String
    /// Where in the file, as a dotted path; empty for the file as a whole.
    package let key: String
    package let cause: String

    package init(file: String, key: String, cause: String) {
        self.file = file
        self.key = key
        self.cause = cause
    }

    package var description: String { key.isEmpty ? "\(file): \(cause)" : "\(file): \(key): \(cause)" }
}

package struct MappingCompiler {
    private let file: String
    private let prefix: String
    private var faults: [MappingFault] = []

    /// - Parameter topicPrefix: stands for `{prefix}` in a topic's name.
    /// - Returns: the plan, or every fault there is.
    package static func compile(
        _ text: [UInt8], file: String, topicPrefix: String
    ) -> (plan: MappingPlan?, faults: [MappingFault]) {
        var compiler = MappingCompiler(file: file, prefix: topicPrefix)
        let json: [UInt8]
        do { json = try JSON5.toJSON(text) } catch {
            return (nil, [MappingFault(file: file, key: "", cause: error.description)])
        }
        do {
            let plan = try JSONParser(maxDepth: 16).parse(json) { compiler.plan($0) }
            return (compiler.faults.isEmpty ? plan : nil, compiler.faults)
        } catch {
            return (nil, [MappingFault(file: file, key: "", cause: "is not JSON5: \(error)")])
        }
    }

    private init(file: String, prefix: String) {
        self.file = file
        self.prefix = prefix
    }

    private mutating func fault(_ key: String, _ cause: String) {
        faults.append(MappingFault(file: file, key: key, cause: cause))
    }

    private mutating func plan(_ root: JSONValue) -> MappingPlan? {
        guard root.isObject else {
            fault("", "must be an object")
            return nil
        }
        refuseUnknown(
            root, at: "",
            known: ["topic", "envelope", "type", "id", "created", "audience", "ignore", "otherwise", "events"])
        let topic = text(root, "topic", at: "topic").map { replacingPrefix($0) }
        if let envelope = root["envelope"], envelope.string != "plain" {
            fault("envelope", "must be \"plain\"")
        }
        let type = pointer(root["type"], at: "type", required: true)
        let id = pointer(root["id"], at: "id", required: false)
        let created = pointer(root["created"], at: "created", required: true)
        let audience = audience(root["audience"])
        var ignore: [String] = []
        if let list = root["ignore"] {
            if let names = list.stringArray { ignore = names } else { fault("ignore", "must be a list of event types") }
        }
        var ignoresUnknown = false
        if let otherwise = root["otherwise"] {
            switch otherwise.string {
            case "dead-letter": break
            case "ignore": ignoresUnknown = true
            default: fault("otherwise", "must be \"dead-letter\" or \"ignore\"")
            }
        }
        let events = events(root["events"])
        guard let topic, let type, let created, let audience else { return nil }
        return MappingPlan(
            topic: topic, type: type, id: id, created: created, audience: audience,
            ignore: ignore.map { MappingPlan.IgnorePattern($0) }, ignoresUnknown: ignoresUnknown, events: events)
    }

    private func replacingPrefix(_ topic: String) -> String {
        topic.hasPrefix("{prefix}") ? prefix + topic.dropFirst("{prefix}".count) : topic
    }

    private mutating func refuseUnknown(_ object: JSONValue, at place: String, known: [String]) {
        object.forEachMember { key, _ in
            let name = String(decoding: key, as: UTF8.self)
            if !known.contains(name) {
                fault(
                    place.isEmpty ? name : "\(place).\(name)", "is unknown; known are \(known.joined(separator: ", "))")
            }
        }
    }

    private mutating func text(_ object: JSONValue, _ name: String, at place: String) -> String? {
        guard let value = object[name] else {
            fault(place, "is missing")
            return nil
        }
        guard let text = value.string, !text.isEmpty else {
            fault(place, "must be a text that is not empty")
            return nil
        }
        return text
    }

    private mutating func pointer(_ value: JSONValue?, at place: String, required: Bool) -> JSONPointer? {
        guard let value else {
            if required { fault(place, "is missing; it must be a JSON Pointer such as \"/eventType\"") }
            return nil
        }
        guard let text = value.string, let pointer = JSONPointer(text) else {
            fault(place, "must be a JSON Pointer such as \"/payload/user/id\"")
            return nil
        }
        return pointer
    }

    private mutating func audience(_ value: JSONValue?) -> MappingPlan.Audience? {
        guard let value else {
            fault(
                "audience",
                "is missing; it says whose webhooks hear of the record: {account: \"/accountId\"} or \"everyone\"")
            return nil
        }
        if value.string == "everyone" { return .everyone }
        guard value.isObject else {
            fault("audience", "must be {account: \"/path\"} or \"everyone\"")
            return nil
        }
        refuseUnknown(value, at: "audience", known: ["account"])
        return pointer(value["account"], at: "audience.account", required: true).map { .account($0) }
    }

    private mutating func events(_ value: JSONValue?) -> [String: MappingPlan.EventPlan] {
        guard let value, value.isObject else {
            fault("events", "is missing; it must be an object from domain event type to mapping")
            return [:]
        }
        var events: [String: MappingPlan.EventPlan] = [:]
        value.forEachMember { key, event in
            let name = String(decoding: key, as: UTF8.self)
            if let plan = self.event(event, at: "events.\(name)") { events[name] = plan }
        }
        return events
    }

    private mutating func event(_ value: JSONValue, at place: String) -> MappingPlan.EventPlan? {
        guard value.isObject else {
            fault(place, "must be an object with type and data")
            return nil
        }
        refuseUnknown(value, at: place, known: ["type", "data"])
        let type = text(value, "type", at: "\(place).type")
        if let type, !EventTypes.all.contains(where: { $0.name == type }) {
            fault("\(place).type", "\"\(type)\" is not a documented event type")
        }
        guard let data = value["data"], data.isObject else {
            fault("\(place).data", "is missing; it must be an object from payload field to source")
            return nil
        }
        var fields: [MappingPlan.FieldPlan] = []
        data.forEachMember { key, source in
            let name = String(decoding: key, as: UTF8.self)
            if let field = field(name, source, at: "\(place).data.\(name)") { fields.append(field) }
        }
        return type.map { MappingPlan.EventPlan(webhookType: $0, fields: fields) }
    }

    private mutating func field(_ name: String, _ value: JSONValue, at place: String) -> MappingPlan.FieldPlan? {
        var writer = JSONWriter()
        writer.string(name)
        let key = writer.bytes + [UInt8(ascii: ":")]
        func made(_ source: MappingPlan.Source, _ kind: ValueKind = .any, optional: Bool = false)
            -> MappingPlan.FieldPlan
        {
            MappingPlan.FieldPlan(name: name, key: key, source: source, kind: kind, isOptional: optional)
        }
        if value.string != nil { return pointer(value, at: place, required: true).map { made(.pointer($0)) } }
        guard value.isObject else {
            fault(place, "must be a JSON Pointer, or an object with from, value or template")
            return nil
        }
        refuseUnknown(value, at: place, known: ["from", "value", "template", "kind", "optional"])
        var kind = ValueKind.any
        if let wanted = value["kind"] {
            if let known = wanted.string.flatMap({ ValueKind(rawValue: $0) }) {
                kind = known
            } else {
                fault("\(place).kind", "must be one of \(ValueKind.allCases.map(\.rawValue).joined(separator: ", "))")
            }
        }
        var optional = false
        if let flag = value["optional"] {
            if let known = flag.bool { optional = known } else { fault("\(place).optional", "must be true or false") }
        }
        switch (value["from"], value["value"], value["template"]) {
        case (let from?, nil, nil):
            return pointer(from, at: "\(place).from", required: true).map {
                made(.pointer($0), kind, optional: optional)
            }
        case (nil, let constant?, nil):
            var writer = JSONWriter()
            writer.value(constant)
            return made(.constant(writer.bytes))
        case (nil, nil, let template?):
            return self.template(template, at: "\(place).template").map { made(.template($0), optional: optional) }
        default:
            fault(place, "must have exactly one of from, value and template")
            return nil
        }
    }

    /// `https://verify.learnault.io/{/payload/credential/id}`: pointers in braces.
    private mutating func template(_ value: JSONValue, at place: String) -> [MappingPlan.TemplatePart]? {
        guard let text = value.string else {
            fault(place, "must be a text with pointers in braces")
            return nil
        }
        var parts: [MappingPlan.TemplatePart] = []
        var rest = Substring(text)
        while let open = rest.firstIndex(of: "{") {
            guard let close = rest[open...].firstIndex(of: "}"),
                let pointer = JSONPointer(String(rest[rest.index(after: open)..<close]))
            else {
                fault(place, "has a brace without a JSON Pointer and its closing brace")
                return nil
            }
            if open > rest.startIndex { parts.append(.text(Array(rest[..<open].utf8))) }
            parts.append(.pointer(pointer))
            rest = rest[rest.index(after: close)...]
        }
        if !rest.isEmpty { parts.append(.text(Array(rest.utf8))) }
        return parts
    }
}
