// Compiles mapping files and reports every fault with file, key and cause. This part reads a file's head; events are in
// EventCompiler, payload members in FieldCompiler.
internal import Core
internal import JSON

package struct MappingCompiler {
    let fileName: String
    private let file: String
    private let prefix: String
    let schemas: PayloadSchemas?
    private var faults: [MappingFault] = []

    /// - Parameters:
    ///   - file: the path, for faults.
    ///   - topicPrefix: stands for `{prefix}` in a topic's name.
    ///   - schemas: what the payloads are checked against; nil leaves that check out.
    /// - Returns: the plan, or every fault there is.
    package static func compile(
        _ text: [UInt8], file: String, topicPrefix: String, schemas: PayloadSchemas? = nil
    ) -> (plan: MappingPlan?, faults: [MappingFault]) {
        var compiler = MappingCompiler(file: file, prefix: topicPrefix, schemas: schemas)
        let json: [UInt8]
        do { json = try JSON5Reader.read(text).strictJSON } catch {
            return (nil, [MappingFault(file: file, key: "", cause: "is not JSON5: \(error)")])
        }
        do {
            let plan = try JSONParser(maxDepth: 32).parse(json) { compiler.plan($0) }
            return (compiler.faults.isEmpty ? plan : nil, compiler.faults)
        } catch {
            return (nil, [MappingFault(file: file, key: "", cause: "is not JSON5: \(place(of: error, in: json))")])
        }
    }

    private init(file: String, prefix: String, schemas: PayloadSchemas?) {
        self.file = file
        self.prefix = prefix
        self.schemas = schemas
        fileName = file.split(separator: "/").last.map(String.init) ?? file
    }

    // MARK: The file's head

    private mutating func plan(_ root: JSONValue) -> MappingPlan? {
        guard root.isObject else {
            fault("", "must be an object")
            return nil
        }
        refuseUnknown(
            root, at: "",
            known: [
                "topic", "envelope", "type", "id", "created", "payload", "audience", "ignore", "otherwise", "events",
            ])
        let topic = text(root, "topic", at: "topic").map { replacingPrefix($0) }
        if let topic { judge(topic: topic) }
        let envelopes = envelopes(root["envelope"])
        let attributes = attributes(root, envelopes)
        let payload = payload(root["payload"])
        let audience = audience(root["audience"], envelopes)
        let ignore = ignore(root["ignore"])
        var ignoresUnknown = false
        if let otherwise = root["otherwise"] {
            switch otherwise.string {
            case "dead-letter": break
            case "ignore": ignoresUnknown = true
            default: fault("otherwise", "must be \"dead-letter\" or \"ignore\"")
            }
        }
        var slotCount = 0
        let events = events(root["events"], payload: payload, slotCount: &slotCount)
        guard let topic, let attributes, let audience else { return nil }
        return MappingPlan(
            topic: topic, file: fileName, envelopes: envelopes, attributes: attributes, payload: payload,
            audience: audience, ignore: ignore.map { MappingPlan.IgnorePattern($0) }, ignoresUnknown: ignoresUnknown,
            events: events, slotCount: slotCount)
    }

    private func replacingPrefix(_ topic: String) -> String {
        topic.hasPrefix("{prefix}") ? prefix + topic.dropFirst("{prefix}".count) : topic
    }

    /// A name Kafka could not have would never be found, one with `^` would be a pattern to the client, and a topic the bridge
    /// writes itself would feed on what comes of it.
    private mutating func judge(topic: String) {
        let isName = topic.utf8.allSatisfy { byte in
            byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")
                || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") || "._-".utf8.contains(byte)
        }
        if !isName || topic == "." || topic == ".." || topic.utf8.count > 249 {
            fault("topic", "must be a topic's name: letters, digits, '.', '_' and '-', 249 at most")
        }
        let topics = Topics(prefix: prefix, shards: 1)
        if topic != topics.notices, topics.plans.contains(where: { $0.name == topic }) {
            fault("topic", "is written by the bridge itself; of its own topics only {prefix}notices can be mapped")
        }
    }

    private mutating func envelopes(_ value: JSONValue?) -> EnvelopeSet {
        guard let value else { return .selfDescribing }
        let names = value.string.map { [$0] } ?? value.stringArray ?? []
        let known = names.compactMap { Envelope(rawValue: $0) }
        guard !known.isEmpty, known.count == names.count else {
            fault(
                "envelope",
                "must be one of \(Envelope.allCases.map(\.rawValue).joined(separator: ", ")), or a list of them")
            return .selfDescribing
        }
        var envelopes = EnvelopeSet(known.map { EnvelopeSet($0) })
        if envelopes.contains(.debeziumOutbox), !envelopes.isSubset(of: [.debeziumOutbox, .confluentJSON]) {
            fault(
                "envelope",
                "debezium-outbox stands alone or with confluent-json, since its records do not show what they are")
        }
        // A frame needs something inside.
        if envelopes == .confluentJSON { envelopes.insert(.plain) }
        return envelopes
    }

    /// A CloudEvent has its attributes by its own specification, and Debezium's event router has usual headers.
    private mutating func attributes(_ root: JSONValue, _ envelopes: EnvelopeSet) -> MappingPlan.Attributes? {
        let isOutbox = envelopes.contains(.debeziumOutbox)
        let isNeeded = envelopes.contains(.plain)
        func usual(_ header: StaticString) -> Place? { isOutbox ? .header(Array("\(header)".utf8)) : nil }
        let type = place(root["type"], at: "type", isNeeded: isNeeded) ?? usual("eventType")
        let id = place(root["id"], at: "id", isNeeded: false) ?? usual("id")
        for (key, place) in [("type", type), ("id", id)] where place == .timestamp {
            fault(key, "cannot be the record's timestamp")
        }
        let created = place(root["created"], at: "created", isNeeded: isNeeded) ?? (isNeeded ? nil : .timestamp)
        guard let type = type ?? (isNeeded ? nil : .timestamp), let created else { return nil }
        return MappingPlan.Attributes(type: type, id: id, created: created)
    }

    private mutating func payload(_ value: JSONValue?) -> JSONPointer {
        let usual = JSONPointer("/payload")!
        guard let value else { return usual }
        return pointer(value, at: "payload") ?? usual
    }

    private mutating func audience(_ value: JSONValue?, _ envelopes: EnvelopeSet) -> MappingPlan.Audience? {
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
        guard let place = place(value["account"], at: "audience.account", isNeeded: true) else { return nil }
        if place == .timestamp { fault("audience.account", "cannot be the record's timestamp") }
        return .account(place, extensionName: extensionName(place))
    }

    /// The context attributes of the specification, which are never an account, whatever its place ends in.
    private static let coreAttributes: Set<String> = [
        "id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time", "data", "database64",
    ]

    /// CloudEvents allows lower-case letters and digits in a name: `/accountId` is the attribute `accountid`. Empty where no
    /// attribute can carry it.
    private func extensionName(_ place: Place) -> [UInt8] {
        let last: [UInt8] =
            switch place {
            case .pointer(let pointer): pointer.tokens.last ?? []
            case .header(let name): name
            case .timestamp: []
            }
        let name = String(decoding: last, as: UTF8.self).lowercased().utf8.filter { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        return Self.coreAttributes.contains(String(decoding: name, as: UTF8.self)) ? [] : name
    }

    private mutating func ignore(_ value: JSONValue?) -> [String] {
        guard let value else { return [] }
        guard let names = value.stringArray else {
            fault("ignore", "must be a list of domain event types; a * at the end stands for any ending")
            return []
        }
        return names
    }

    /// The rewritten text keeps the file's lines, so that an error's line is the file's.
    private static func place(of error: any Error, in json: [UInt8]) -> String {
        guard let error = error as? JSONError, let position = error.position else { return "\(error)" }
        let line = json.prefix(position).reduce(1) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
        return "\(error.reason), at line \(line)"
    }

    // MARK: What all parts use

    mutating func fault(_ key: String, _ cause: String) {
        faults.append(MappingFault(file: file, key: key, cause: cause))
    }

    mutating func refuseUnknown(_ object: JSONValue, at place: String, known: [String]) {
        object.forEachMember { key, _ in
            let name = String(decoding: key, as: UTF8.self)
            if !known.contains(name) {
                fault(
                    place.isEmpty ? name : "\(place).\(name)", "is unknown; known are \(known.joined(separator: ", "))")
            }
        }
    }

    mutating func text(_ object: JSONValue, _ name: String, at place: String) -> String? {
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

    mutating func pointer(_ value: JSONValue, at key: String) -> JSONPointer? {
        guard let text = value.string, let pointer = JSONPointer(text) else {
            fault(key, "must be a JSON Pointer such as \"/payload/user/id\"")
            return nil
        }
        return pointer
    }

    /// `"/a/b"`, `"header:name"` or `"timestamp"`.
    mutating func place(_ value: JSONValue?, at key: String, isNeeded: Bool) -> Place? {
        guard let value else {
            if isNeeded { fault(key, "is missing; it must be a JSON Pointer such as \"/eventType\"") }
            return nil
        }
        guard let text = value.string, let place = Self.place(text) else {
            fault(key, "must be a JSON Pointer such as \"/payload/user/id\", \"header:NAME\" or \"timestamp\"")
            return nil
        }
        return place
    }

    static func place(_ text: String) -> Place? {
        if text == "timestamp" { return .timestamp }
        if text.hasPrefix("header:") {
            let name = Array(text.utf8.dropFirst("header:".utf8.count))
            return name.isEmpty ? nil : .header(name)
        }
        return JSONPointer(text).map { .pointer($0) }
    }
}
