// Strict JSON parsing: simdjson behind a C shim. UTF-8 without a byte order mark, exact 64-bit integers, finite doubles,
// no key twice in one object, a limit on depth. Texts where RFC 8259 leaves the answer open: Tests/JSON/Corpus.swift.
internal import CSimdJSON

/// A reusable parser: its buffers grow to the largest document seen, after which a parse allocates nothing. One owner;
/// not thread-safe.
package final class JSONParser {
    private let handle: OpaquePointer
    private let maxDepth: Int

    /// Bytes that must be readable behind a document parsed with `padded: true`.
    package static var padding: Int { Int(CSIMDJSON_PADDING) }

    /// - Parameter maxDepth: objects and arrays that may be nested: with 32, `[[…]]` of 32 brackets passes, of 33 not.
    /// - Parameter allowsKeysTwice: whether an object may have a key twice; for a reader that reports them itself.
    package init(maxDepth: Int = 32, allowsKeysTwice: Bool = false) {
        guard let handle = csimdjson_parser_new(maxDepth, allowsKeysTwice ? 1 : 0) else {
            fatalError("out of memory for a JSON parser")
        }
        self.handle = handle
        self.maxDepth = maxDepth
    }

    deinit { csimdjson_parser_free(handle) }

    /// Parses `bytes` and returns the root, which is valid until this parser parses again or ends.
    /// - Parameter padded: the caller promises ``padding`` readable bytes behind `bytes`, which saves a copy.
    /// - Throws: why the bytes are not acceptable JSON, and where.
    package func root(of bytes: UnsafeRawBufferPointer, padded: Bool = false) throws(JSONError) -> JSONValue {
        guard let base = bytes.baseAddress, bytes.count > 0 else { throw JSONError(.empty) }
        let result = csimdjson_parse(
            handle, base.assumingMemoryBound(to: UInt8.self), bytes.count, padded ? 1 : 0)
        guard result.error == 0, let tape = result.tape, let strings = result.strings else {
            throw diagnose(bytes, result)
        }
        return JSONValue(tape: tape, strings: strings, index: 1)
    }

    /// Parses `bytes` and calls `body` with the root.
    /// - Throws: ``JSONError`` when the bytes are not acceptable JSON, or what `body` throws.
    package func parse<Result>(
        _ bytes: UnsafeRawBufferPointer, padded: Bool = false, _ body: (JSONValue) throws -> Result
    ) throws -> Result {
        try body(root(of: bytes, padded: padded))
    }

    package func parse<Result>(_ bytes: [UInt8], _ body: (JSONValue) throws -> Result) throws -> Result {
        try bytes.withUnsafeBytes { try parse($0, body) }
    }

    private func diagnose(_ bytes: UnsafeRawBufferPointer, _ result: csimdjson_result) -> JSONError {
        switch Int(result.error) {
        case Int(CSIMDJSON_NO_MEMORY): JSONError(.outOfMemory)
        case Int(CSIMDJSON_TOO_LARGE): JSONError(.tooLarge)
        case Int(CSIMDJSON_KEY_TWICE):
            JSONError(
                .keyTwice,
                at: JSONDiagnosis.position(ofString: result.second_key, in: bytes, maxDepth: maxDepth))
        default: JSONDiagnosis.fault(in: bytes, maxDepth: maxDepth) ?? JSONError(.refused)
        }
    }
}
