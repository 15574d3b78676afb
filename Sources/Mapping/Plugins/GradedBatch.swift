// The example of a plugin: a record with the results of a whole class becomes an event for each learner, which a file
// cannot say, since it maps an array within one body and not to several bodies.
//
//     {"payload": {"module": {"id": "mod_456", "title": "Understanding Stablecoins"}, "completedAt": "2024-01-15T10:30:00Z",
//                  "results": [{"userId": "usr_1", "score": 92}, {"userId": "usr_2", "score": 41, "reason": "score below 70"}]}}
internal import Core
internal import JSON

struct GradedBatch: MappingPlugin {
    let name = "graded-batch"
    let webhookTypes = ["module.completed", "module.failed"]

    func map(_ record: OpenedRecord, emit: EventEmitter) throws(MappingFailure) {
        let payload = record.payload
        let module = try text(payload?["module"]?["id"], "/payload/module/id")
        let title = try text(payload?["module"]?["title"], "/payload/module/title")
        guard let at = payload?["completedAt"]?.stringBytes.flatMap({ Timestamp(rfc3339: $0) }) else {
            throw MappingFailure("/payload/completedAt: expected an RFC 3339 time")
        }
        guard let results = payload?["results"], results.isArray else {
            throw MappingFailure("/payload/results: expected an array, came \(kind(payload?["results"]))")
        }
        for (position, result) in results.elements.enumerated() {
            let place = "/payload/results/\(position)"
            let user = try text(result["userId"], "\(place)/userId")
            guard let score = result["score"]?.int64 else {
                throw MappingFailure("\(place)/score: expected an integer, came \(kind(result["score"]))")
            }
            var reason: String?
            if let why = result["reason"], !why.isNull { reason = try text(why, "\(place)/reason") }
            try emit(reason == nil ? "module.completed" : "module.failed") { data in
                data.field("userId", user)
                data.field("moduleId", module)
                data.field("moduleTitle", title)
                data.field("score", score)
                if let reason { data.field("reason", reason) }
                data.field(reason == nil ? "completedAt" : "failedAt", at.secondsText)
            }
        }
    }

    private func text(_ value: JSONValue?, _ place: String) throws(MappingFailure) -> String {
        guard let text = value?.string else { throw MappingFailure("\(place): expected a string, came \(kind(value))") }
        return text
    }

    private func kind(_ value: JSONValue?) -> String { value?.kind.rawValue ?? "nothing" }
}
