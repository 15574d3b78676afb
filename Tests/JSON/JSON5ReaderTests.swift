import Testing

// The reader of JSON with comments: what it takes, and where it says it stopped.
@testable import JSON

@Suite struct JSON5ReaderTests {
    private func read(_ text: String, as dialect: JSON5Reader.Dialect = .json5) throws -> JSONTree {
        try JSON5Reader.read(Array(text.utf8), as: dialect)
    }

    @Test func `comments, bare keys, quotes and trailing commas`() throws {
        let tree = try read(
            "\u{FEFF}// one\n{ a: 1, /* two\n */ 'b': [true, null,], \"c d\": 'x\\\n\\x41\\u00e9\\ud83d\\ude00', $e_1: .5 }\n// end"
        )
        guard case .object(let members) = tree.value else { return #expect(Bool(false)) }
        #expect(members.map(\.key) == ["a", "b", "c d", "$e_1"])
        #expect(members.map(\.line) == [2, 3, 3, 4])
        #expect(members[2].value.value == .string("xAé😀"))
        #expect(members[3].value.value == .number(".5"))
    }

    @Test(arguments: ["0", "-1", "1e5", "0x1F", "+1", ".5", "5.", "1.5e-3"])
    func `a number is kept as written`(literal: String) throws {
        #expect(try read(literal).value == .number(literal))
    }

    @Test(arguments: ["01", "1e", "0x", "0x+1", "--1", "1_000", "1e999", "NaN", "Infinity", "-", ".", "1.2.3"])
    func `what only looks like a number is refused`(literal: String) {
        #expect(throws: JSONSyntaxError.self) { try read(literal) }
    }

    @Test(arguments: ["'x'", "{a:1}", "[1,]", "+1", ".5", "5.", "0x10", "1//", "\"a\tb\""])
    func `the strict dialect is JSON and nothing more`(text: String) {
        #expect(throws: JSONSyntaxError.self) { try read(text, as: .json) }
    }

    @Test(
        arguments: [
            ("{a:1,\n b:\n c:}", 3, 2, "expected a value, found c; a text needs quotes"),
            ("{a:1,\n b:2", 2, 5, "expected a comma or }, found the end of the text"),
            ("{\n\"a\" 1}", 2, 5, "expected a colon after the key a, found 1"),
            ("{\n /* x", 2, 2, "the comment is not closed"),
            ("{a: tru}", 1, 5, "expected a value, found tru; a text needs quotes"),
            ("{a: \"x\n\"}", 1, 7, "the string is not closed on its line"),
            ("{a: {}\n b: {}}", 2, 2, "expected a comma or }, found b"),
            ("{} x", 1, 4, "expected the end of the text, found x"),
            ("", 1, 1, "expected a value, found the end of the text"),
            ("{a: \"\\ud800\"}", 1, 12, "half a surrogate pair in the string"),
        ] as [(String, Int, Int, String)])
    func `a syntax error has line, column and reason`(text: String, line: Int, column: Int, message: String) {
        #expect(throws: JSONSyntaxError(line: line, column: column, message: message)) { try read(text) }
    }

    @Test func `depth is limited and bytes that are no text are refused`() {
        #expect(throws: JSONSyntaxError.self) { try read(String(repeating: "[", count: 100_000)) }
        #expect(throws: JSONSyntaxError.self) { try JSON5Reader.read([0x22, 0xFF, 0x22]) }
    }

    @Test func `no prefix and no single wrong byte crashes it`() throws {
        let text = Array("{a: [1, 'x\\u0041', {\"b\": -1.5e3}], /* c */ d: null, // e\n f: true}".utf8)
        for end in text.indices { _ = try? JSON5Reader.read(Array(text[..<end])) }
        for position in text.indices {
            for byte: UInt8 in [0, 9, 10, 34, 39, 42, 47, 58, 92, 93, 125, 128, 226, 255] {
                var changed = text
                changed[position] = byte
                _ = try? JSON5Reader.read(changed)
                _ = try? JSON5Reader.read(changed, as: .json)
            }
        }
    }
}
