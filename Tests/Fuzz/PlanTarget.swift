// Fuzzes what people and backends hand to the mapping: files for the compiler, records and headers for plans that use all
// of the format. The first byte chooses: 0xFF compiles what follows, anything else maps it by one of the plans.
import Core

@testable import JSON
@testable import Mapping

private let features = """
    { topic: "t", type: "/type", id: "/id", created: "/at", audience: {account: "/accountId"}, ENVELOPE
      ignore: ["No*"], events: {
        A: [
          { type: "user.updated", when: {"/payload/on": [true, 1, "x"], "header:h": {exists: false}}, data: {
            s: {from: "/payload/s", kind: "string", optional: true},
            i: {from: "/payload/i", kind: "integer", default: 0},
            n: {from: "/payload/n", kind: "number", optional: true},
            d: {from: "/payload/d", kind: "decimal", optional: true},
            t: {from: "/payload/t", kind: "time", optional: true},
            ts: {from: "/payload/ts", kind: "time-seconds", optional: true},
            tm: {from: "/payload/tm", kind: "time-milliseconds", optional: true},
            any: {from: "/payload", optional: true}, h: {from: "header:x", optional: true},
            e: {from: "/payload/e", kind: "enum", translate: {A: "a", B: 7}, optional: true},
            u: {template: "u/{/payload/s}/{/payload/i}", optional: true},
            o: {data: {c: {value: [1]}, k: {from: "timestamp", kind: "time", optional: true}}},
            l: {each: "/payload/l", kind: "string", default: []},
            m: {each: "/payload/m", optional: true, data: {
              id: "/id", q: {each: "/q", data: {z: {from: "/z", optional: true}}, optional: true}}} } },
          { type: "module.failed", when: {"/payload/on": false}, data: {x: "/payload/l/0"} } ],
        B: { plugin: "graded-batch" }, C: { type: "user.deleted", data: {} } } }
    """

private let heads = ["", "envelope: \"plain\",", "envelope: \"cloudevents\",", "envelope: \"debezium-outbox\","]

private let plans = heads.map { envelope in
    let text = features.split(separator: "ENVELOPE", maxSplits: 1).joined(separator: envelope)
    let compiled = MappingCompiler.compile(Array(text.utf8), file: "fuzz.json5", topicPrefix: "webhooks.")
    guard let plan = compiled.plan else { fatalError("\(compiled.faults)") }
    return plan
}

private nonisolated(unsafe) let mapper = Mapper()
private nonisolated(unsafe) let parser = JSONParser(maxDepth: 64)

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPlan(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard count > 0 else { return 0 }
    let bytes = UnsafeBufferPointer(start: start, count: count)
    if bytes[0] == 0xFF {
        let compiled = MappingCompiler.compile(Array(bytes.dropFirst()), file: "f", topicPrefix: "webhooks.")
        precondition((compiled.plan == nil) == !compiled.faults.isEmpty, "either a plan or faults")
        return 0
    }
    let plan = plans[Int(bytes[0]) % plans.count]
    // Lines before an empty one are headers.
    var headers: [(name: [UInt8], value: [UInt8])] = []
    var rest = bytes.dropFirst()
    while rest.first == UInt8(ascii: "#"), let end = rest.firstIndex(of: UInt8(ascii: "\n")), headers.count < 8 {
        let line = rest[rest.startIndex + 1..<end]
        let equals = line.firstIndex(of: UInt8(ascii: "=")) ?? line.endIndex
        headers.append((Array(line[..<equals]), Array(line[equals...].dropFirst())))
        rest = rest[(end + 1)...]
    }
    let record = OwnedRecord(topic: "t", timestamp: 1_705_310_100_000, value: Array(rest), headers: headers)
    do throws(MappingFailure) {
        try mapper.map(record, by: plan)
    } catch {
        precondition(mapper.events.isEmpty && error.description.hasPrefix("fuzz.json5: "), "a failure names the file")
        return 0
    }
    let bodies = mapper.bytes
    for event in mapper.events {
        do {
            try parser.parse(Array(bodies[event.body])) { body in
                precondition(body["type"]?.string == event.webhookType && body["id"]?.string == event.event.description)
                precondition(body["data"]?.isObject == true)
            }
        } catch {
            fatalError("a body that is no JSON: \(error)")
        }
    }
    return 0
}
