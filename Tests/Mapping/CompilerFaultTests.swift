import Mapping
import Testing

/// Every fault of a file is found in one go, with its key.
@Suite struct CompilerFaultTests {
    @Test func everyFaultOfAFileIsReportedWithItsKey() {
        let text = """
            { topic: "t", type: "eventType", created: "/at", surprise: 1, audience: { acount: "/a" }, otherwise: "explode",
              envelope: "avro", payload: "x", ignore: [1],
              events: { A: { type: "user.vanished", data: { x: { from: "/a", kind: "strnig" }, y: { from: "/a", value: 1 }, z: 3,
                t: { template: "a{b}" }, u: { template: "a}" }, d: { from: "/a", kind: "integer", default: "x" },
                b: { from: "/a", optional: true, default: 1 }, e: { from: "/a", kind: "enum" },
                f: { from: "/a", kind: "enum", translate: {A: [1]} }, g: { from: "/a", values: ["a"] },
                h: { value: 1, optional: true }, "7": "/a", c: { from: "/a", when: { "no": 1, "/y": null } } } },
                B: [], C: { plugin: "none" }, D: { plugin: "graded-batch", type: "user.created" }, E: 1, F: { type: "user.created" } } }
            """
        let keys = MappingCompiler.compile(Array(text.utf8), file: "f.json5", topicPrefix: "webhooks.").faults.map(
            \.key)
        let wanted: Set<String> = [
            "surprise", "type", "audience.acount", "audience.account", "otherwise", "envelope", "payload", "ignore",
            "events.A.type", "events.A.data.x.kind", "events.A.data.y", "events.A.data.z", "events.A.data.t.template",
            "events.A.data.u.template", "events.A.data.d.default", "events.A.data.b", "events.A.data.e",
            "events.A.data.f.translate.A", "events.A.data.g.values", "events.A.data.h.optional", "events.A.data.7",
            "events.A.data.c.when.no", "events.A.data.c.when./y", "events.B", "events.C.plugin", "events.D.type",
            "events.E", "events.F.data",
        ]
        #expect(Set(keys) == wanted, "\(Set(keys).symmetricDifference(wanted))")
    }

    @Test(arguments: [
        ("{", "is not JSON5"), ("{ // }", "is not JSON5"), ("{ a: 'b }", "line 1"), ("[]", "must be an object"),
        ("{ topic: 'a', topic: 'b' }", "is not JSON5"),
        ("{ events: {} }", "events: maps nothing"), ("{ }", "topic: is missing"),
        ("{ envelope: ['plain', 'debezium-outbox'] }", "debezium-outbox stands alone"),
        ("{ topic: '{prefix}dead-letters' }", "topic: is written by the bridge itself"),
        ("{ topic: '^learnault.*' }", "topic: must be a topic's name"),
        ("{ topic: 'a b' }", "topic: must be a topic's name"),
        ("{ id: 'timestamp' }", "id: cannot be the record's timestamp"),
        ("{ audience: { account: 'timestamp' } }", "audience.account: cannot be the record's timestamp"),
        ("{\n  events: {\n    a: 1, 'a': 2 } }", "a key twice in one object, at line 3"),
        (
            "{ events: { A: [{ type: 'user.deleted', data: {} }, { plugin: 'graded-batch' }] } }",
            "cannot stand in a list"
        ),
        (
            "{ events: { A: { type: 'user.deleted', when: { '/x': { exists: true, is: 1 } }, data: {} } } }",
            "/x: must be a text"
        ),
        ("{ events: { A: { type: 'user.deleted', data: { t: { template: 'a{}b' } } } } }", "has a brace without"),
        (
            "{ events: { A: { type: 'user.deleted', data: { t: { from: '/t', kind: 'time', default: '2024-01-15 10:30:00+02:00' } } } } }",
            "is not what its kind writes"
        ),
    ])
    func texts(text: String, cause: String) {
        let said = faults(text).joined(separator: "\n")
        #expect(said.contains(cause), "\(said)")
    }

    @Test func cloudEventsAndOutboxNeedNoAttributes() {
        for envelope in ["cloudevents", "debezium-outbox"] {
            #expect(
                faults(
                    "{ topic: 't', envelope: '\(envelope)', audience: 'everyone', events: { A: { type: 'user.updated', data: {} } } }"
                ) == [])
        }
    }

    // MARK: Against a schema

    private static func schemas() -> PayloadSchemas {
        var schemas = PayloadSchemas()
        let text = """
            {"$defs":{"money":{"type":"string"}},"properties":{"data":{"type":"object","additionalProperties":false,
            "required":["id","amount"],"properties":{"id":{"type":"string"},"amount":{"$ref":"#/$defs/money"},
            "score":{"type":"integer"},"ratio":{"type":["number","null"]},"status":{"enum":["ok","bad"]},
            "meta":{"type":"object","required":["a"],"additionalProperties":false,"properties":{"a":{"type":"boolean"}}},
            "tags":{"type":"array","items":{"type":"string"}},
            "rows":{"type":"array","items":{"type":"object","additionalProperties":false,"properties":{"n":{"type":"integer"}}}}}}}}
            """
        #expect(schemas.add(Array(text.utf8), for: "user.updated") == nil)
        return schemas
    }

    private func objections(_ data: String, type: String = "user.updated") -> [String] {
        faults(
            "{ topic: 't', type: '/t', created: '/c', audience: 'everyone', events: { A: { type: '\(type)', data: {\(data)} } } }",
            schemas: Self.schemas())
    }

    private let good = "id: '/i', amount: {from: '/a', kind: 'decimal'}"

    @Test func whatFitsTheSchemaIsFine() {
        #expect(
            objections(
                good + """
                    , score: {from: '/s', kind: 'integer', optional: true}, ratio: {from: '/s', kind: 'integer', default: 1},
                    status: {from: '/x', kind: 'enum', translate: {A: 'ok'}, optional: true}, meta: {data: {a: {from: '/b', kind: 'boolean'}}},
                    tags: {each: '/t', kind: 'string'}, rows: {each: '/r', data: {n: {from: '/n', kind: 'integer'}}},
                    """) == [])
    }

    @Test(arguments: [
        ("id: '/i'", "events.A.data.amount: is missing; user.updated.json requires it"),
        ("id: {from: '/i', optional: true}, amount: '/a'", "events.A.data.id: can be left out"),
        ("id: {from: '/i', when: {'/x': 1}}, amount: '/a'", "events.A.data.id: can be left out"),
        (
            "id: '/i', amount: {from: '/a', kind: 'number'}",
            "events.A.data.amount: is written as number, user.updated.json wants string"
        ),
        ("id: '/i', amount: '/a', extra: '/x'", "events.A.data.extra: is unknown to user.updated.json"),
        ("id: {value: 7}, amount: '/a'", "events.A.data.id: is written as integer"),
        ("id: '/i', amount: '/a', score: {template: 'x'}", "events.A.data.score: is written as string"),
        (
            "id: '/i', amount: '/a', status: {from: '/s', kind: 'enum', values: ['ok', 'no']}",
            "events.A.data.status: can become a value"
        ),
        ("id: '/i', amount: '/a', status: {from: '/s', default: 'no'}", "events.A.data.status: can become a value"),
        ("id: '/i', amount: '/a', meta: {data: {b: '/b'}}", "events.A.data.meta.data.a: is missing"),
        (
            "id: '/i', amount: '/a', meta: '/m', tags: {each: '/t', kind: 'integer'}",
            "events.A.data.tags: is written as integer"
        ),
        ("id: '/i', amount: '/a', rows: {each: '/t', data: {m: '/m'}}", "events.A.data.rows.data.m: is unknown"),
        ("id: '/i', amount: '/a', rows: {from: '/t', kind: 'object'}", "events.A.data.rows: is written as object"),
    ])
    func whatBreaksTheSchemaIsSaid(data: String, cause: String) {
        let said = objections(data).joined(separator: "\n")
        #expect(said.contains(cause), "\(said)")
    }

    @Test func aSchemaThatRefersToItselfHasAnEnd() {
        var schemas = PayloadSchemas()
        let members = (0..<8).map { "\"p\($0)\":{\"$ref\":\"#/$defs/n\"}" }.joined(separator: ",")
        let text =
            "{\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\(members)}}},\"properties\":{\"data\":{\"$ref\":\"#/$defs/n\"}}}"
        #expect(schemas.add(Array(text.utf8), for: "user.updated") == nil)
    }

    @Test func aTypeWithoutSchemaIsSaid() {
        #expect(objections("id: '/i'", type: "user.deleted").joined().contains("there is no schema user.deleted.json"))
    }
}
