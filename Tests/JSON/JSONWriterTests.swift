import JSON
import Testing

@Suite struct JSONWriterTests {
    private func rewritten(_ text: String) throws -> String {
        var writer = JSONWriter()
        try JSONParser().parse(Array(text.utf8)) { writer.value($0) }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// What node's JSON.stringify(JSON.parse(text)) prints.
    @Test(arguments: [
        ("1.0", "1"), ("-0.0", "0"), ("1e21", "1e+21"), ("1e20", "100000000000000000000"), ("1e-6", "0.000001"),
        ("1e-7", "1e-7"), ("1.5e300", "1.5e+300"), ("123.456", "123.456"), ("0.1", "0.1"), ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"), ("9007199254740991", "9007199254740991"),
        ("-12.5", "-12.5"), ("100", "100"), ("1.25e2", "125"), ("0.00001234", "0.00001234"),
        ("\"\\u0041\\/\\u2028\"", "\"A/\u{2028}\""),
        ("\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\\"", "\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\\""),
        ("\"\\u007f\"", "\"\u{7f}\""), ("\"\\ud83d\\ude00\"", "\"😀\""),
        ("{ \"b\" : 1 , \"a\" : [ ] }", "{\"b\":1,\"a\":[]}"),
        ("{\"b\":1,\"2\":2,\"10\":3,\"1\":4,\"01\":5}", "{\"1\":4,\"2\":2,\"10\":3,\"b\":1,\"01\":5}"),
        ("[true,false,null]", "[true,false,null]"),
    ])
    func writesWhatJavaScriptWould(input: String, expected: String) throws { #expect(try rewritten(input) == expected) }

    /// Bytes are looked at eight at a time: each one that needs an escape, and its neighbours, at each offset of two words.
    @Test func escapesAtEveryOffset() {
        for byte: UInt8 in 0..<0x80 {
            let scalar = Character(Unicode.Scalar(byte))
            let escaped =
                switch byte {
                case 0x22: "\\\""
                case 0x5C: "\\\\"
                case 0x08: "\\b"
                case 0x09: "\\t"
                case 0x0A: "\\n"
                case 0x0C: "\\f"
                case 0x0D: "\\r"
                case 0..<0x10: "\\u000" + String(byte, radix: 16)
                case 0x10..<0x20: "\\u00" + String(byte, radix: 16)
                default: String(scalar)
                }
            for offset in 0..<17 {
                let begin = String(repeating: "é", count: offset / 2) + String(repeating: "a", count: offset % 2)
                var writer = JSONWriter()
                writer.string(begin + String(scalar) + "end of text")
                #expect(String(decoding: writer.bytes, as: UTF8.self) == "\"\(begin)\(escaped)end of text\"")
            }
        }
    }

    /// Beyond ±(2^53 − 1) JavaScript would round; the contract writes those as strings.
    @Test func largeIntegersBecomeStrings() throws {
        #expect(
            try rewritten("[9007199254740992,-9007199254740993,18446744073709551615]")
                == "[\"9007199254740992\",\"-9007199254740993\",\"18446744073709551615\"]")
    }

    @Test(arguments: [
        "", "{", "[1,]", "nul", "01", "\"\\ud800\"", "1e400", "99999999999999999999", "\u{feff}{}", "{\"a\":1}x", "'a'",
    ])
    func refusesWhatIsNotJSON(text: String) {
        #expect(throws: JSONError.self) { try JSONParser().parse(Array(text.utf8)) { _ in } }
    }

    @Test func depthIsLimited() throws {
        let deep = String(repeating: "[", count: 33) + String(repeating: "]", count: 33)
        #expect(throws: JSONError.self) { try JSONParser(maxDepth: 32).parse(Array(deep.utf8)) { _ in } }
        let allowed = String(repeating: "[", count: 32) + String(repeating: "]", count: 32)
        #expect(try rewritten(allowed) == allowed)
    }

    @Test func json5BecomesJSONLineByLine() throws {
        let text = """
            // a comment
            { topic: 'it\\'s', /* inline
            over lines */ "list": [1, 2,], hex: 0x1F, "slashes": "http://x/*y*/",
              nested: { $key_1: true, },
            }
            """
        let json = try JSON5Reader.read(Array(text.utf8)).strictJSON
        #expect(json.split(separator: 10).count == 3, "each member stays on its line")
        #expect(
            try rewritten(String(decoding: json, as: UTF8.self))
                == "{\"topic\":\"it's\",\"list\":[1,2],\"hex\":31,\"slashes\":\"http://x/*y*/\",\"nested\":{\"$key_1\":true}}"
        )
    }
}
