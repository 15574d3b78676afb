// `GET /v1/event-types`: the documented types with the words of the documentation, the schema of each body, and an example,
// which is the schema's own. The program carries the schemas (`EventSchemas`), so that one file is enough to answer.
internal import Core
internal import JSON

enum EventCatalogue {
    /// The whole answer. The schemas are parsed once.
    static let answer: [UInt8] = JSONWriter.document { json in
        json.field("success", true)
        json.key("data")
        json.beginArray()
        for type in EventTypes.all { write(type, to: &json) }
        json.endArray()
    }

    private static func write(_ type: EventType, to json: inout JSONWriter) {
        guard let schema = EventSchemas.all.first(where: { $0.type == type.name })?.schema else {
            preconditionFailure("\(type.name) has no schema; ./dev generate")
        }
        let bytes = Array(schema.utf8)
        json.object { json in
            json.field("type", type.name)
            json.field("description", type.description)
            json.key("schema")
            json.raw(bytes)
            json.key("example")
            let isWritten = try? JSONParser().parse(bytes) { root in
                guard let example = root["examples"]?.elements.first else { return false }
                json.value(example)
                return true
            }
            precondition(isWritten == true, "\(type.name) has no example")
        }
    }
}
