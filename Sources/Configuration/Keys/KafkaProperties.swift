// The properties under `kafka`: librdkafka's, passed through as text. What would break the bridge's guarantees is its own.
internal import JSON

enum KafkaProperties {
    enum Value: Equatable {
        case text(String)
        case file(String)
        /// null: whatever a lower layer said, forget it.
        case absent
    }

    static let bootstrapServers = "bootstrap.servers"

    static func value(_ input: ValueInput) throws(Rejection) -> Value {
        switch input.tree.value {
        case .string(let text): return .text(text)
        case .number(let literal): return .text(input.text ?? literal)
        case .boolean(let flag): return .text("\(flag)")
        case .null: return .absent
        case .object(let members):
            if let path = filePath(members) { return .file(FileAccess.resolve(path, in: input.folder)) }
        case .array: break
        }
        throw Rejection(cause: "must be a text, a number, true, false or {\"file\": \"path\"} (was \(input.tree.kind))")
    }

    /// `path` when an object is exactly `{"file": "path"}`.
    static func filePath(_ members: [JSONTree.Member]) -> String? {
        guard members.count == 1, members[0].key == "file", case .string(let path) = members[0].value.value,
            !path.isEmpty
        else { return nil }
        return path
    }

    /// What the bridge sets itself because its guarantees hang on it, and why, for the warning.
    static func reason(ignored name: String) -> String? {
        switch name {
        case "group.id": "the groups are named after application.id"
        case "group.instance.id": "instance.id sets it"
        case "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset":
            "the bridge keeps its offsets itself"
        case "partition.assignment.strategy": "deliveries and deferred must be shared out together"
        case "acks", "request.required.acks", "enable.idempotence", "transactional.id":
            "every record must be acknowledged by all replicas"
        case "allow.auto.create.topics": "the topics need their partition counts"
        default: nil
        }
    }

    /// Whether a value must never be shown.
    static func isSecret(_ name: String) -> Bool {
        name.contains("password") || name.contains("secret") || name.contains("oauthbearer.config")
            || name.hasSuffix("key.pem") || name == "ssl_key"
    }
}
