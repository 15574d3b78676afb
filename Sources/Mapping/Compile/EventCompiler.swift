// Compiles `events`: which webhook events a domain event becomes, and when.
internal import Core
internal import JSON

extension MappingCompiler {
    /// More alternatives for one domain event than anybody writes by hand.
    private static let mostOutputs = 16

    mutating func events(_ value: JSONValue?, payload: JSONPointer, slotCount: inout Int) -> [MappingPlan.DomainEvent] {
        guard let value, value.isObject else {
            fault("events", "is missing; it must be an object from domain event type to mapping")
            return []
        }
        var events: [MappingPlan.DomainEvent] = []
        value.forEachMember { key, entry in
            let name = String(decoding: key, as: UTF8.self)
            let place = "events.\(name)"
            var outputs: [MappingPlan.EventPlan] = []
            if entry.isArray {
                for (position, element) in entry.elements.enumerated() {
                    if let plan = event(element, at: "\(place)[\(position)]", payload, &slotCount) {
                        outputs.append(plan)
                    }
                }
                // The index of an id is the place in the list, and a plugin counts its own.
                if entry.elements.count > 1, entry.elements.contains(where: { $0["plugin"] != nil }) {
                    fault(place, "a plugin makes all events of a record; it cannot stand in a list")
                }
                if entry.elements.isEmpty || entry.elements.count > Self.mostOutputs {
                    fault(place, "a list has 1 to \(Self.mostOutputs) webhook events")
                }
            } else if let plan = event(entry, at: place, payload, &slotCount) {
                outputs.append(plan)
            }
            events.append(MappingPlan.DomainEvent(type: Array(key), outputs: outputs))
        }
        if events.isEmpty { fault("events", "maps nothing") }
        return events
    }

    private mutating func event(
        _ value: JSONValue, at place: String, _ payload: JSONPointer, _ slotCount: inout Int
    ) -> MappingPlan.EventPlan? {
        guard value.isObject else {
            fault(place, "must be an object with type and data")
            return nil
        }
        refuseUnknown(value, at: place, known: ["type", "when", "data", "plugin"])
        let counter = SlotCounter()
        let scope = PathScope(payload: payload, counter: counter)
        let conditions = conditions(value["when"], at: "\(place).when", scope)
        guard let content = content(value, at: place, scope) else { return nil }
        slotCount = max(slotCount, counter.next)
        return MappingPlan.EventPlan(
            conditions: conditions, payloadPaths: scope.payloadTrie, rootPaths: scope.rootTrie, content: content)
    }

    private mutating func content(
        _ value: JSONValue, at place: String, _ scope: PathScope
    ) -> MappingPlan.EventPlan.Content? {
        if let name = value["plugin"] {
            for key in ["type", "data"] where value[key] != nil {
                fault("\(place).\(key)", "says nothing beside plugin")
            }
            guard let plugin = MappingPlugins.all.first(where: { $0.name == name.string }) else {
                let known = MappingPlugins.all.map(\.name).joined(separator: ", ")
                fault("\(place).plugin", "there is no plugin of that name; there are \(known)")
                return nil
            }
            return .plugin(plugin)
        }
        let type = text(value, "type", at: "\(place).type")
        let isDocumented = EventTypes.all.contains { $0.name == type }
        if let type, !isDocumented { fault("\(place).type", "\"\(type)\" is not a documented event type") }
        guard let data = value["data"], data.isObject else {
            fault("\(place).data", "is missing; it must be an object from payload field to source")
            return nil
        }
        let fields = fields(data, at: "\(place).data", named: "", depth: 2, scope)
        guard let type else { return nil }
        for (key, cause) in isDocumented ? schemas?.objections(to: fields, of: type) ?? [] : [] {
            fault(key.isEmpty ? "\(place).data" : "\(place).data.\(key)", cause)
        }
        return .fields(MappingPlan.BodyHead(type), fields)
    }

    // MARK: Conditions

    /// `{"/payload/attempt/passed": true, "header:region": ["eu", "us"], "/payload/user": {exists: true}}`: all must hold.
    mutating func conditions(_ value: JSONValue?, at place: String, _ scope: PathScope) -> [Condition] {
        guard let value else { return [] }
        guard value.isObject else {
            fault(place, "must be an object from path to what is expected there")
            return []
        }
        var conditions: [Condition] = []
        value.forEachMember { key, expected in
            let name = String(decoding: key, as: UTF8.self)
            guard let source = Self.place(name) else {
                return fault("\(place).\(name)", "is neither a JSON Pointer nor \"header:NAME\"")
            }
            guard let test = test(expected) else {
                return fault(
                    "\(place).\(name)",
                    "must be a text, a number, true or false, a list of them, or {exists: true} or {exists: false}")
            }
            conditions.append(Condition(locator: scope.locator(source), test: test))
        }
        return conditions
    }

    private func test(_ value: JSONValue) -> Condition.Test? {
        if let scalar = Scalar(value) { return .isOneOf([scalar]) }
        if value.isArray {
            let scalars = value.elements.compactMap { Scalar($0) }
            return scalars.isEmpty || scalars.count != value.elements.count ? nil : .isOneOf(scalars)
        }
        var count = 0
        value.forEachMember { _, _ in count += 1 }
        guard let wanted = value["exists"]?.bool, count == 1 else { return nil }
        return .isPresent(wanted)
    }
}

extension Scalar {
    /// nil for null and for what has parts.
    init?(_ value: JSONValue) {
        if let bytes = value.stringBytes {
            self = .text(Array(bytes))
        } else if let integer = value.int64 {
            self = .integer(integer)
        } else if let number = value.double {
            self = .number(number)
        } else if let flag = value.bool {
            self = .boolean(flag)
        } else {
            return nil
        }
    }
}
