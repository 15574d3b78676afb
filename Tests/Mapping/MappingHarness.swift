// What the mapping tests share: files compiled from text, records mapped, the shipped files.
import Core
import Crypto
import Foundation
import Mapping
import Testing

let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

func shippedPlan(_ topic: String) throws -> MappingPlan {
    let file = repository.appending(path: "config/mappings/\(topic).json5")
    let compiled = MappingCompiler.compile(
        Array(try Data(contentsOf: file)), file: file.lastPathComponent, topicPrefix: "webhooks.")
    #expect(compiled.faults == [])
    return try #require(compiled.plan)
}

/// A mapping file with this head and these events, compiled.
func plan(head: String = "", events: String) throws -> MappingPlan {
    let text = """
        { topic: "t", type: "/type", id: "/id", created: "/at", audience: {account: "/accountId"}, \(head)
          events: { \(events) } }
        """
    let compiled = MappingCompiler.compile(Array(text.utf8), file: "config/mappings/t.json5", topicPrefix: "webhooks.")
    #expect(compiled.faults == [])
    return try #require(compiled.plan)
}

/// One event of type A with these members.
func plan(data: String, head: String = "") throws -> MappingPlan {
    try plan(head: head, events: "A: { type: \"user.updated\", data: { \(data) } }")
}

func faults(_ text: String, schemas: PayloadSchemas? = nil) -> [String] {
    MappingCompiler.compile(
        Array(text.utf8), file: "f.json5", topicPrefix: "webhooks.", schemas: schemas
    ).faults.map { "\($0.key): \($0.cause)" }
}

struct Mapped: Equatable {
    let type: String
    let audience: MappedEvent.Audience
    let event: EventID
    let body: String

    /// The body's `data`, as text.
    var data: String {
        guard let begin = body.range(of: "\"data\":") else { return "" }
        return String(body[begin.upperBound...].dropLast())
    }
}

func map(
    _ value: [UInt8], _ plan: MappingPlan, headers: [(String, String)] = [], timestamp: Int64 = -1,
    with mapper: Mapper = Mapper()
) throws -> [Mapped] {
    try mapper.map(
        OwnedRecord(
            topic: plan.topic, partition: 3, offset: 42, timestamp: timestamp, value: value,
            headers: headers.map { (Array($0.0.utf8), Array($0.1.utf8)) }), by: plan)
    return mapper.events.map { event in
        Mapped(
            type: event.webhookType, audience: event.audience, event: event.event,
            body: String(decoding: mapper.bytes[event.body], as: UTF8.self))
    }
}

func map(_ value: String, _ plan: MappingPlan, headers: [(String, String)] = [], timestamp: Int64 = -1) throws
    -> [Mapped]
{
    try map(Array(value.utf8), plan, headers: headers, timestamp: timestamp)
}

func map(payload: String, _ plan: MappingPlan) throws -> String {
    let record = """
        {"type":"A","id":"1","at":"2024-01-15T10:30:00Z","accountId":"acct_000000000000000000000001","payload":\(payload)}
        """
    return try #require(try map(record, plan).first).data
}

func failure(_ body: () throws -> Void) -> String {
    do {
        try body()
        return "no failure"
    } catch {
        return (error as? MappingFailure)?.description ?? "another error: \(error)"
    }
}

func eventID(_ parts: String...) -> EventID {
    EventID(bytes: Digest.sha256(Array(parts.joined(separator: "\0").utf8)))
}
