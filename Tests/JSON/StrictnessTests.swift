// What the parser says when it refuses, where, and at what cost.
import JSON
import Testing

@Suite struct StrictnessTests {
    private func fault(_ text: String, maxDepth: Int = 32) -> JSONError? {
        do {
            try JSONParser(maxDepth: maxDepth).parse(Array(text.utf8)) { _ in }
            return nil
        } catch {
            return error as? JSONError
        }
    }

    @Test(arguments: [
        ("{\"a\":1,\"b\":{\"c\":\"x\",\"d\":-1.5,\"c\":2}}", JSONError(.keyTwice, at: 29)),
        ("{\"a\":[\"a\",18446744073709551615,\"\\\"a\"], \"b\":0, \"a\":1}", JSONError(.keyTwice, at: 46)),
        ("[1,2,18446744073709551616]", JSONError(.integerBeyond64Bits, at: 5)),
        ("{\"amount\": 1e400}", JSONError(.numberBeyondDouble, at: 11)),
        ("{\"a\":\"\\ud83d\"}", JSONError(.loneSurrogate, at: 6)),
        ("[\"é\u{0}\"]", JSONError(.controlCharacter, at: 4)),
        ("{\"a\":1", JSONError(.unexpectedEnd, at: 6)),
        ("{\"a\":1}x", JSONError(.trailing, at: 7)),
        ("{\"a\":1,}", JSONError(.unexpectedCharacter, at: 7)),
        (" [\"abc]", JSONError(.openString, at: 2)),
        ("[[[[]]]]", JSONError(.tooDeep, at: 3)),
        ("\u{feff}{}", JSONError(.byteOrderMark, at: 0)),
        ("", JSONError(.empty)),
    ])
    func namesCauseAndPlace(text: String, expected: JSONError) {
        #expect(fault(text, maxDepth: 3) == expected)
    }

    @Test func wordsAreFixedAndCarryNoContent() {
        #expect(fault("{\"secret\":1,\"secret\":2}")?.description == "a key twice in one object, at byte 12")
        #expect(fault("")?.description == "empty document")
        #expect(Set(JSONError.Cause.allCases.map(\.rawValue)).count == JSONError.Cause.allCases.count)
    }

    @Test func depthCountsContainers() {
        for limit in [1, 2, 8, 32] {
            for (begin, inner, end) in [("[", "", "]"), ("[", "1", "]"), ("{\"a\":", "1", "}")] {
                #expect(fault(nest(begin, limit, inner, end), maxDepth: limit) == nil)
                #expect(fault(nest(begin, limit + 1, inner, end), maxDepth: limit)?.cause == .tooDeep)
            }
        }
    }

    /// Around the size at which an object's keys are sorted instead of compared, with the second key anywhere.
    @Test(arguments: [2, 3, 63, 64, 65, 66, 200, 5000]) func findsTheSecondKeyInObjectsOfAnySize(count: Int) {
        let keys = (0..<count).map { "\"key number \($0)\":\($0)" }
        #expect(fault("{" + keys.joined(separator: ",") + "}") == nil)
        for (first, second) in [(0, count), (0, 1), (count / 2, count), (count - 1, count)] {
            var more = keys
            more.insert("\"key number \(first)\":null", at: max(second, first + 1))
            let text = "{" + more.joined(separator: ",") + "}"
            let place = "{".utf8.count + more[..<max(second, first + 1)].reduce(0) { $0 + $1.utf8.count + 1 }
            #expect(fault(text) == JSONError(.keyTwice, at: place))
        }
    }

    @Test func keysTwiceCanBeAllowed() throws {
        let parser = JSONParser(maxDepth: 2, allowsKeysTwice: true)
        let keys = try parser.parse(Array("{\"a\":{\"b\":1,\"b\":2},\"a\":3}".utf8)) { root in
            root.members.map { String(decoding: $0.key, as: UTF8.self) }
        }
        #expect(keys == ["a", "a"])
        #expect(throws: JSONError(.tooDeep, at: 10)) { try parser.parse(Array("{\"a\":{\"b\":{}}}".utf8)) { _ in } }
    }

    /// The keys of an object inside a long one must not be taken for the outer object's.
    @Test func nestedObjectsHaveTheirOwnKeys() {
        let inner = "{" + (0..<100).map { "\"k\($0)\":0" }.joined(separator: ",") + "}"
        let outer = "{" + (0..<100).map { "\"k\($0)\":\(inner)" }.joined(separator: ",") + "}"
        #expect(fault(outer) == nil)
        #expect(fault(outer.dropLast() + ",\"k7\":0}")?.cause == .keyTwice)
    }

    /// A hundred thousand keys, plain and chosen to look alike, cost a fraction of a second, not minutes; a debug build and a
    /// busy machine are allowed for.
    @Test func manyKeysAreNotQuadratic() throws {
        let plain = (0..<100_000).map { "\"k\($0)\":0" }
        let alike = (100_000..<200_000).map { "\"same begin \($0) same end\":0" }
        let parser = JSONParser()
        for keys in [plain, alike] {
            let text = Array(("{" + keys.joined(separator: ",") + "}").utf8)
            let took = try ContinuousClock().measure { try parser.parse(text) { _ in } }
            #expect(took < .seconds(2))
        }
    }

    /// A parser that refused a text reads the next one as if nothing had been.
    @Test func parserIsUsableAfterEachRefusal() throws {
        let parser = JSONParser()
        for entry in refusedCases + openCases {
            _ = try? parser.parse(entry.text) { _ in }
            var writer = JSONWriter()
            try parser.parse(Array("{\"a\":[1,\"b\"]}".utf8)) { writer.value($0) }
            #expect(String(decoding: writer.bytes, as: UTF8.self) == "{\"a\":[1,\"b\"]}")
        }
    }
}
