// Reads the header fields out of libmicrohttpd's memory and notices what it hides. The library works with C strings, so
// a NUL cuts a value silently and the rest of the line is gone; it also joins folded lines and takes bare line feeds.
//
// It parses in place: where a field ended, the line's CRLF has become two NULs, and the next field begins right behind
// them. So any other distance between the end of one field and the beginning of the next is a NUL inside a line, a
// fold or a bare line feed. All three are refused: each is a way to make two servers see two different requests.
internal import CMicroHTTPD
internal import Glibc

struct RawHead {
    private(set) var fields: [(name: [UInt8], value: [UInt8])] = []
    /// Bytes of request line and header fields.
    let bytes: Int
    let isHTTP10: Bool
    private let end: UInt
    /// Where the next field has to begin.
    private var expected: UInt
    private(set) var isIntact: Bool

    /// - Parameter targetLength: of the target as it was before the library cut it at its `?`.
    init(
        connection: OpaquePointer, method: UnsafePointer<CChar>, version: UnsafePointer<CChar>,
        target: UnsafePointer<CChar>, targetLength: Int
    ) {
        bytes = cmicrohttpd_head_size(connection)
        let start = UInt(bitPattern: method)
        end = start + UInt(bytes)
        let targetStart = UInt(bitPattern: target)
        let versionStart = UInt(bitPattern: version)
        isIntact =
            start + UInt(strlen(method)) + 1 == targetStart && targetStart + UInt(targetLength) + 1 == versionStart
        isHTTP10 = strcmp(version, "HTTP/1.0") == 0
        expected = versionStart + UInt(strlen(version)) + 2
        // The iterator calls back before it returns, so a pointer to self is good for that long.
        withUnsafeMutablePointer(to: &self) { head in
            _ = cmicrohttpd_each_header(connection, readField, head)
        }
        // Behind the last field stands only the empty line.
        if expected + 2 != end { isIntact = false }
    }

    fileprivate mutating func read(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        let nameStart = UInt(bitPattern: name.baseAddress)
        let valueStart = UInt(bitPattern: value.baseAddress)
        let valueEnd = valueStart + UInt(value.count)
        // Also keeps every byte read below inside the head.
        if nameStart != expected || valueStart < nameStart + UInt(name.count) + 1 || valueEnd > end { isIntact = false }
        if isIntact {
            let afterName = name.count + 1
            let blanks = UnsafeRawBufferPointer(
                start: name.baseAddress! + afterName, count: Int(valueStart - nameStart) - afterName)
            if !blanks.allSatisfy({ isBlank($0) }) { isIntact = false }
        }
        expected = valueEnd + 2
        let end = value.lastIndex { !isBlank($0) }.map { $0 + 1 } ?? 0
        fields.append((Array(name), Array(value[..<end])))
    }
}

private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

private func readField(
    _ context: UnsafeMutableRawPointer?, _ kind: MHD_ValueKind, _ name: UnsafePointer<CChar>?, _ nameLength: Int,
    _ value: UnsafePointer<CChar>?, _ valueLength: Int
) -> MHD_Result {
    guard let head = context?.assumingMemoryBound(to: RawHead.self), let name, let value else { return .NO }
    head.pointee.read(
        name: UnsafeRawBufferPointer(start: name, count: nameLength),
        value: UnsafeRawBufferPointer(start: value, count: valueLength))
    return .YES
}
