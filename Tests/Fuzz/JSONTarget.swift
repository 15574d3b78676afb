// Fuzzes the way of a record's bytes: parser, its second opinion, walk over the values, writer.
@testable import JSON

private nonisolated(unsafe) let parser = JSONParser()
private nonisolated(unsafe) var writer = JSONWriter()
private nonisolated(unsafe) var again = JSONWriter()
private nonisolated(unsafe) var hasWideNumber = false

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSON(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    let fault = JSONDiagnosis.fault(in: bytes, maxDepth: 32)
    do {
        writer.reset()
        try parser.parse(bytes) { root in
            precondition(fault == nil, "the parser takes what the diagnosis refuses")
            hasWideNumber = false
            precondition(walk(root) <= 32, "too deep")
            writer.value(root)
        }
    } catch let error as JSONError {
        precondition(error.cause == .keyTwice ? fault == nil : error == fault, "a refusal without the right cause")
        precondition(error.position.map { $0 <= count } ?? (error.cause == .empty), "a refusal without a place")
        return 0
    } catch {
        fatalError("another error than JSONError")
    }
    // What is written parses and is written the same again, but for doubles from 2^53 on, which JavaScript prints like
    // integers: the parser takes those for exact ones, and the writer then for integers that need quotes.
    if hasWideNumber { return 0 }
    do {
        again.reset()
        try parser.parse(writer.bytes) { again.value($0) }
    } catch {
        fatalError("what was written does not parse")
    }
    precondition(again.bytes == writer.bytes, "no fixed point")
    return 0
}

/// Visits every value by every accessor; the depth in containers.
private func walk(_ value: JSONValue) -> Int {
    switch value.kind {
    case .object:
        var deepest = 0
        for (key, member) in value.members {
            guard let found = value.member(key) else { fatalError("a key that is not found") }
            precondition(found.kind == member.kind, "another member found")
            deepest = max(deepest, walk(member))
        }
        return deepest + 1
    case .array:
        var deepest = 0
        var count = 0
        for item in value.items {
            deepest = max(deepest, walk(item))
            count += 1
        }
        precondition(value.element(count) == nil && (count == 0 || value.element(count - 1) != nil))
        return deepest + 1
    case .string:
        guard let bytes = value.stringBytes, let string = String(validating: bytes, as: UTF8.self) else {
            fatalError("a string that is not UTF-8")
        }
        precondition(string.utf8.count == bytes.count)
    case .integer: precondition(value.int64 != nil || value.uint64 != nil)
    case .number:
        guard let number = value.double, number.isFinite else { fatalError("a number that is not finite") }
        if number.magnitude >= 0x1p53, number.magnitude < 1e21 { hasWideNumber = true }
    case .boolean: precondition(value.bool != nil)
    case .null: precondition(value.isNull)
    }
    return 0
}
