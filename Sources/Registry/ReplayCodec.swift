// The JSON forms of replays: in a webhook's record on `subscriptions`, and in the commands about them.
internal import Core
internal import JSON

extension Replay {
    /// The replays of a webhook's record; none where the field is missing.
    static func list(_ json: JSONValue?) throws(RegistryRecordError) -> [Replay] {
        guard let json else { return [] }
        guard json.isArray else { throw RegistryRecordError(description: "field replays is of the wrong kind") }
        var replays: [Replay] = []
        for element in json.elements { replays.append(try Replay(json: element)) }
        return replays
    }

    init(json: JSONValue) throws(RegistryRecordError) {
        let fields = Fields(object: json)
        guard let status = Status(rawValue: try fields.text("status")) else { throw fields.wrong("status") }
        var total = ReplayCounts()
        if let counts = json["counts"] {
            let fields = Fields(object: counts)
            total = ReplayCounts(
                records: try fields.integer("records"), read: try fields.integer("read"),
                events: try fields.integer("events"), unmappable: try fields.integer("unmappable"))
        }
        self.init(
            id: try fields.id("id"), since: try fields.time("since"), until: try fields.time("until"),
            from: try fields.time("from"), isDryRun: try fields.boolean("dryRun"),
            generation: try fields.integer("generation"), createdAt: try fields.time("createdAt"), status: status,
            reason: fields.optionalText("reason"), endedAt: fields.optionalTime("endedAt"),
            parts: try ReplayPart.list(fields), total: total)
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("id", id.description)
            writer.field("since", since.description)
            writer.field("until", until.description)
            writer.field("from", from.description)
            writer.field("dryRun", isDryRun)
            writer.field("generation", generation)
            writer.field("createdAt", createdAt.description)
            writer.field("status", status.rawValue)
            if let reason { writer.field("reason", reason) }
            if let endedAt { writer.field("endedAt", endedAt.description) }
            // A summary of a running one has counts, too.
            if isRunning, !parts.isEmpty || total == ReplayCounts() {
                ReplayPart.write(parts, to: &writer)
            } else {
                writer.object("counts") { writer in
                    writer.field("records", total.records)
                    writer.field("read", total.read)
                    writer.field("events", total.events)
                    writer.field("unmappable", total.unmappable)
                }
            }
        }
    }
}

extension ReplayPart {
    /// No log comes as far, and what all parts that fit a record come to can be added up.
    private static let mostCount: Int64 = 1 << 48

    static func list(_ owner: Fields) throws(RegistryRecordError) -> [ReplayPart] {
        guard owner.object["parts"] != nil else { return [] }
        var parts: [ReplayPart] = []
        for fields in try owner.objects("parts") {
            let partition = try fields.integer("partition")
            guard let number = Int32(exactly: partition), number >= 0 else { throw fields.wrong("partition") }
            let part = ReplayPart(
                topic: try fields.text("topic"), partition: number, first: Int64(try fields.integer("first")),
                next: Int64(try fields.integer("next")), end: Int64(try fields.integer("end")),
                events: try fields.integer("events"), unmappable: try fields.integer("unmappable"))
            guard part.first >= 0, part.first <= part.next, part.next <= part.end, part.end <= mostCount else {
                throw fields.wrong("next")
            }
            guard (0...Int(mostCount)).contains(part.events) else { throw fields.wrong("events") }
            guard (0...Int(mostCount)).contains(part.unmappable) else { throw fields.wrong("unmappable") }
            parts.append(part)
        }
        return parts
    }

    static func write(_ parts: [ReplayPart], to writer: inout JSONWriter) {
        writer.key("parts")
        writer.beginArray()
        for part in parts {
            writer.object { writer in
                writer.field("topic", part.topic)
                writer.field("partition", Int(part.partition))
                writer.field("first", Int(part.first))
                writer.field("next", Int(part.next))
                writer.field("end", Int(part.end))
                writer.field("events", part.events)
                writer.field("unmappable", part.unmappable)
            }
        }
        writer.endArray()
    }
}

extension Command.Change {
    /// - Returns: nil for a type that is none of the commands about replays.
    init?(replayCommand type: String, _ fields: Fields) throws(RegistryRecordError) {
        switch type {
        case "replay.start":
            guard let replay = fields.object["replay"] else { throw fields.wrong("replay") }
            self = .startReplay(try fields.id("webhookId"), try Replay(json: replay))
        case "replay.progress": self = .progressReplay(try fields.id("webhookId"), try ReplayReport(fields))
        case "replay.finish":
            self = .finishReplay(
                try fields.id("webhookId"), try ReplayReport(fields), failure: fields.optionalText("failure"))
        case "replay.cancel": self = .cancelReplay(try fields.id("webhookId"), try fields.id("replayId"))
        default: return nil
        }
    }

    func writeReplay(to writer: inout JSONWriter) {
        switch self {
        case .startReplay(let webhook, let replay):
            writer.field("webhookId", webhook.description)
            writer.key("replay")
            replay.write(to: &writer)
        case .progressReplay(let webhook, let report):
            writer.field("webhookId", webhook.description)
            report.write(to: &writer)
        case .finishReplay(let webhook, let report, let failure):
            writer.field("webhookId", webhook.description)
            report.write(to: &writer)
            if let failure { writer.field("failure", failure) }
        case .cancelReplay(let webhook, let replay):
            writer.field("webhookId", webhook.description)
            writer.field("replayId", replay.description)
        default: preconditionFailure("no command about a replay")
        }
    }
}

extension ReplayReport {
    init(_ fields: Fields) throws(RegistryRecordError) {
        self.init(
            replay: try fields.id("replayId"), generation: try fields.integer("generation"),
            parts: try ReplayPart.list(fields), from: fields.optionalTime("from"))
    }

    func write(to writer: inout JSONWriter) {
        writer.field("replayId", replay.description)
        writer.field("generation", generation)
        if let from { writer.field("from", from.description) }
        ReplayPart.write(parts, to: &writer)
    }
}
