import Mapping
import Testing

/// Each form of a payload member: what it writes, and what it says when it cannot.
@Suite struct FieldTests {
    @Test(arguments: [
        // kind, value, written (nil: refused)
        ("any", "{\"b\":[1,2.50]}", "{\"b\":[1,2.5]}"), ("string", "\"a\\u00e9\"", "\"aé\""), ("string", "1", nil),
        ("integer", "-7", "-7"), ("integer", "7.0", nil), ("integer", "9007199254740993", nil),
        ("integer", "-9007199254740991", "-9007199254740991"), ("number", "9007199254740992", nil),
        ("any", "9007199254740993", "\"9007199254740993\""),
        ("number", "7", "7"), ("number", "1e-7", "1e-7"), ("number", "\"7\"", nil),
        ("boolean", "false", "false"), ("boolean", "0", nil), ("object", "{\"2\":1,\"1\":2}", "{\"1\":2,\"2\":1}"),
        ("object", "[]", nil), ("array", "[{}]", "[{}]"), ("array", "{}", nil),
        ("decimal", "\"0.250\"", "\"0.250\""), ("decimal", "0.25", "\"0.25\""), ("decimal", "25.00", "\"25\""),
        ("decimal", "1e-7", "\"0.0000001\""), ("decimal", "-1.5e-9", "\"-0.0000000015\""),
        ("decimal", "1.25e22", "\"12500000000000000000000\""), ("decimal", "-1e21", "\"-1000000000000000000000\""),
        ("decimal", "18446744073709551615", "\"18446744073709551615\""), ("decimal", "0", "\"0\""),
        ("decimal", "1e300", nil), ("decimal", "1e-300", nil), ("decimal", "\"1e5\"", nil), ("decimal", "\".5\"", nil),
        ("decimal", "\"1.\"", nil), ("decimal", "\"\"", nil), ("decimal", "true", nil),
        ("time", "\"2024-01-15T12:15:00.999+03:00\"", "\"2024-01-15T09:15:00Z\""), ("time", "1705310100", nil),
        ("time-seconds", "1705310100", "\"2024-01-15T09:15:00Z\""), ("time-seconds", "\"x\"", nil),
        ("time-seconds", "9223372036854775807", nil),
        ("time-milliseconds", "1705310100999", "\"2024-01-15T09:15:00Z\""),
        ("time-milliseconds", "-62167219200001", nil),
    ])
    func kinds(kind: String, value: String, written: String?) throws {
        let plan = try plan(data: "x: {from: \"/payload/x\", kind: \"\(kind)\"}")
        guard let written else {
            let said = failure { _ = try map(payload: "{\"x\":\(value)}", plan) }
            #expect(said.hasPrefix("t.json5: A: field x (/payload/x): expected "), "\(said)")
            return
        }
        #expect(try map(payload: "{\"x\":\(value)}", plan) == "{\"x\":\(written)}")
    }

    @Test func enumerationsTranslateAndRefuse() throws {
        let plan = try plan(
            data: "s: {from: \"/payload/s\", kind: \"enum\", translate: {OK: \"passed\", NO: false, \"\": 7}}, "
                + "v: {from: \"/payload/v\", kind: \"enum\", values: [\"a\", \"b\"], optional: true}")
        #expect(try map(payload: "{\"s\":\"OK\",\"v\":\"b\"}", plan) == "{\"s\":\"passed\",\"v\":\"b\"}")
        #expect(try map(payload: "{\"s\":\"NO\"}", plan) == "{\"s\":false}")
        #expect(try map(payload: "{\"s\":\"\"}", plan) == "{\"s\":7}")
        let said = failure { _ = try map(payload: "{\"s\":\"OK\",\"v\":\"c\"}", plan) }
        #expect(said == "t.json5: A: field v (/payload/v): expected one of a, b, came string")
    }

    @Test func whatIsMissingFailsOrIsLeftOutOrHasADefault() throws {
        let plan = try plan(
            data:
                "a: {from: \"/payload/a\", optional: true}, b: {from: \"/payload/b\", kind: \"integer\", default: 0}, "
                + "t: {template: \"x{/payload/t}\", optional: true}, l: {each: \"/payload/l\", kind: \"string\", default: []}"
        )
        #expect(try map(payload: "{}", plan) == "{\"b\":0,\"l\":[]}")
        #expect(try map(payload: "{\"a\":null,\"b\":null,\"l\":null}", plan) == "{\"b\":0,\"l\":[]}")
        #expect(
            try map(payload: "{\"l\":[\"p\"],\"t\":1,\"b\":2,\"a\":{}}", plan)
                == "{\"a\":{},\"b\":2,\"t\":\"x1\",\"l\":[\"p\"]}")
        let strict = try FieldTests.strict()
        #expect(
            failure { _ = try map(payload: "{}", strict) }.hasSuffix(
                "field l (/payload/l): expected an array, came nothing"))
    }

    private static func strict() throws -> MappingPlan { try plan(data: "l: {each: \"/payload/l\", kind: \"string\"}") }

    @Test func templatesTakeScalarsAndBraces() throws {
        let plan = try plan(data: "u: {template: \"https://v/{/payload/a}/{{{/payload/b/0}}}?{header:h}\"}")
        let record = """
            {"type":"A","id":"1","at":"2024-01-15T10:30:00Z","accountId":"a","payload":{"a":"x\\"y","b":[9007199254740993]}}
            """
        #expect(
            try map(record, plan, headers: [("h", "z")]).first?.data
                == "{\"u\":\"https://v/x\\\"y/{9007199254740993}?z\"}")
        let said = failure { _ = try map(payload: "{\"a\":{},\"b\":[1]}", plan) }
        #expect(said.contains("field u (/payload/a): expected a text, a number, true or false, came object"))
    }

    @Test func constantsObjectsAndConditionsOnMembers() throws {
        let plan = try plan(
            data: """
                issuer: {value: "Learnault"}, meta: {data: {score: "/payload/score", deep: {data: {v: {value: [1, {a: null}]}}}}},
                only: {from: "/payload/score", when: {"/payload/passed": true}},
                """)
        #expect(
            try map(payload: "{\"score\":1}", plan)
                == "{\"issuer\":\"Learnault\",\"meta\":{\"score\":1,\"deep\":{\"v\":[1,{\"a\":null}]}}}")
        #expect(try map(payload: "{\"score\":1,\"passed\":true}", plan).hasSuffix(",\"only\":1}"))
        #expect(
            failure { _ = try map(payload: "{}", plan) }.contains(
                "field meta.score (/payload/score): expected any value, came nothing"))
    }

    @Test func arraysAreMappedElementByElement() throws {
        let plan = try plan(
            data: """
                items: {each: "/payload/items", data: {id: {from: "/id", kind: "string"}, n: {from: "/n", optional: true},
                  tags: {each: "/tags", data: {t: "/name"}, default: []}}},
                first: "/payload/items/0/id",
                """)
        #expect(
            try map(
                payload:
                    "{\"items\":[{\"id\":\"a\",\"n\":1,\"tags\":[{\"name\":\"x\"},{\"name\":\"y\"}]},{\"id\":\"b\"}]}",
                plan)
                == "{\"items\":[{\"id\":\"a\",\"n\":1,\"tags\":[{\"t\":\"x\"},{\"t\":\"y\"}]},{\"id\":\"b\",\"tags\":[]}],\"first\":\"a\"}"
        )
        #expect(
            failure { _ = try map(payload: "{\"items\":[{\"id\":\"a\"},{\"id\":1}]}", plan) }
                == "t.json5: A: element 1 of items: field items[].id (/id): expected a string, came integer")
        #expect(
            failure { _ = try map(payload: "{\"items\":[7]}", plan) }
                == "t.json5: A: field items, element 0: expected an object, came integer")
        #expect(
            failure { _ = try map(payload: "{\"items\":{}}", plan) }
                == "t.json5: A: field items (/payload/items): expected an array, came object")
    }

    @Test func headersAndTheTimestampAreSources() throws {
        let plan = try plan(
            data:
                "h: {from: \"header:x-origin\", kind: \"string\"}, t: {from: \"timestamp\", kind: \"time\"}, d: {from: \"header:n\", kind: \"decimal\", optional: true}"
        )
        let record = "{\"type\":\"A\",\"id\":\"1\",\"at\":\"2024-01-15T10:30:00Z\",\"accountId\":\"a\"}"
        let mapped = try map(
            record, plan, headers: [("x-origin", "old"), ("x-origin", "eu")], timestamp: 1_705_310_100_999)
        #expect(mapped.first?.data == "{\"h\":\"eu\",\"t\":\"2024-01-15T09:15:00Z\"}")
        // Found by fuzzing: a header's bytes went into the body as they were.
        let header = (name: Array("x-origin".utf8), value: [0xFF, 0x61] as [UInt8])
        let binary = OwnedRecord(topic: "t", value: Array(record.utf8), headers: [header])
        let said = failure { try Mapper().map(binary, by: plan) }
        #expect(said.hasSuffix("field h (header:x-origin): expected a string, came a header that is not UTF-8"))
        #expect(
            failure { _ = try map(record, plan) }.contains("field h (header:x-origin): expected a string, came nothing")
        )
    }

    @Test func pathsMayEndInsideOneAnother() throws {
        let plan = try plan(
            data: "whole: \"/payload/user\", id: \"/payload/user/id\", again: \"/payload/user/id\", type: \"/type\"")
        #expect(
            try map(payload: "{\"user\":{\"id\":7,\"id2\":8}}", plan)
                == "{\"whole\":{\"id\":7,\"id2\":8},\"id\":7,\"again\":7,\"type\":\"A\"}")
    }

    @Test func bodiesAreNoDeeperThan32() throws {
        let plan = try plan(data: "x: \"/x\", o: {data: {y: {from: \"/y\", optional: true}}}")
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        func run(_ x: Int, _ y: Int) throws -> Int {
            try map(
                "{\"type\":\"A\",\"id\":\"1\",\"at\":\"2024-01-15T10:30:00Z\",\"accountId\":\"a\",\"x\":\(nested(x)),\"y\":\(nested(y))}",
                plan
            ).count
        }
        #expect(try run(30, 29) == 1)
        #expect(failure { _ = try run(31, 29) }.contains("field x (/x): expected at most 32 objects and arrays"))
        #expect(failure { _ = try run(30, 30) }.contains("field o.y (/y): expected at most 32 objects and arrays"))
    }

    @Test func elementsAndKeysWithDotsCountAsDeepAsTheyAre() throws {
        let plan = try plan(
            data: "a: {data: {b: {each: \"/x\", optional: true}}}, \"k.e.y.[.\": {from: \"/y\", optional: true}")
        func run(_ name: String, _ value: String) throws -> Int {
            try map(
                "{\"type\":\"A\",\"id\":\"1\",\"at\":\"2024-01-15T10:30:00Z\",\"accountId\":\"a\",\"\(name)\":\(value)}",
                plan
            ).count
        }
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(try run("x", "[\(nested(28))]") == 1)
        #expect(failure { _ = try run("x", "[\(nested(29))]") }.contains("field a.b: expected at most 32"))
        #expect(try run("y", nested(30)) == 1)
    }

    @Test func aBodyThatGrowsFarBeyondItsRecordIsGivenUp() throws {
        let plan = try plan(data: "l: {each: \"/l\", data: {c: {value: \"\(String(repeating: "x", count: 1000))\"}}}")
        let elements = Array(repeating: "{}", count: 200).joined(separator: ",")
        let record =
            "{\"type\":\"A\",\"id\":\"1\",\"at\":\"2024-01-15T10:30:00Z\",\"accountId\":\"a\",\"l\":[\(elements)]}"
        let mapper = Mapper(bodyBytes: 100_000)
        do {
            _ = try map(Array(record.utf8), plan, with: mapper)
            Issue.record("it was mapped")
        } catch {
            #expect((error as? MappingFailure)?.reason == .tooLarge)
        }
        #expect(try map(Array(record.utf8), plan, with: Mapper(bodyBytes: 300_000)).count == 1)
    }

    @Test func conditionsCompareIntegersExactly() throws {
        let plan = try plan(data: "x: {value: 1, when: {\"/payload/n\": 9007199254740993}}")
        #expect(try map(payload: "{\"n\":9007199254740993}", plan) == "{\"x\":1}")
        #expect(try map(payload: "{\"n\":9007199254740992}", plan) == "{}")
    }
}
