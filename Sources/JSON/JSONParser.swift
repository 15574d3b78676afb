// Strict JSON parsing: simdjson behind a C shim (UTF-8 only, exact 64-bit integers, a depth limit).
internal import CSimdJSON

/// Why a text is not JSON that the bridge accepts. `reason` is fixed text, never a part of the input.
package struct JSONError: Error, Equatable, CustomStringConvertible {
    package let reason: String
    package var description: String { reason }
}

/// A reusable parser: its buffers grow to the largest document seen. One owner; not thread-safe.
package final class JSONParser {
    private let handle: OpaquePointer

    /// Bytes that must be readable behind a document parsed with `padded: true`.
    package static var padding: Int { Int(CSIMDJSON_PADDING) }

    /// - Parameter maxDepth: nested containers allowed; deeper documents are refused.
    package init(maxDepth: Int = 32) {
        guard let handle = csimdjson_parser_new(maxDepth) else { fatalError("out of memory for a JSON parser") }
        self.handle = handle
    }

    deinit { csimdjson_parser_free(handle) }

    /// Parses `bytes`; the root is valid until the next document.
    package func document(_ bytes: UnsafeRawBufferPointer) throws(JSONError) -> JSONValue {
        guard let base = bytes.baseAddress, bytes.count > 0 else { throw JSONError(reason: "empty document") }
        let result = csimdjson_parse(handle, base.assumingMemoryBound(to: UInt8.self), bytes.count, 0)
        guard result.error == 0, let tape = result.tape, let strings = result.strings else {
            throw JSONError(reason: String(cString: csimdjson_error_text(result.error)))
        }
        return JSONValue(tape: tape, strings: strings, index: 1)
    }

    /// Parses `bytes` and calls `body` with the root.
    /// - Parameter padded: the caller promises ``padding`` readable bytes behind `bytes`, which saves a copy.
    /// - Throws: ``JSONError`` when the bytes are not acceptable JSON, or what `body` throws.
    package func parse<Result>(
        _ bytes: UnsafeRawBufferPointer, padded: Bool = false, _ body: (JSONValue) throws -> Result
    ) throws -> Result {
        guard let base = bytes.baseAddress, bytes.count > 0 else { throw JSONError(reason: "empty document") }
        let result = csimdjson_parse(
            handle, base.assumingMemoryBound(to: UInt8.self), bytes.count, padded ? 1 : 0)
        guard result.error == 0, let tape = result.tape, let strings = result.strings else {
            throw JSONError(reason: String(cString: csimdjson_error_text(result.error)))
        }
        return try body(JSONValue(tape: tape, strings: strings, index: 1))
    }

    package func parse<Result>(_ bytes: [UInt8], _ body: (JSONValue) throws -> Result) throws -> Result {
        try bytes.withUnsafeBytes { try parse($0, body) }
    }
}
