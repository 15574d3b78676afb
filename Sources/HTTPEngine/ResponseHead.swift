// The lines of a response head that matter to a sender of webhooks: status, framing, whether the connection stays, and
// when to come back. Everything else is checked for its form and forgotten.
internal import Core
internal import Glibc

struct ResponseHead: Sendable {
    private(set) var status = 0
    private(set) var contentLength: Int?
    private(set) var isChunked = false
    private(set) var retryAfter: RetryAfter?
    private(set) var keepAliveSeconds: Int?
    var keepsAlive = false
    private var hasTransferEncoding = false

    /// False where two readers could see two different ends of the body.
    var isConsistent: Bool { !(hasTransferEncoding && contentLength != nil) }

    // MARK: Status line

    private static let versionStart: StaticString = "HTTP/1."

    /// Whether these bytes can still become a status line.
    static func mayStart(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let count = min(bytes.count, versionStart.utf8CodeUnitCount)
        return count == 0 || memcmp(bytes.baseAddress!, versionStart.utf8Start, count) == 0
    }

    /// `HTTP/1.0` or `HTTP/1.1`, a space, three digits from 100 to 599, and nothing or a space and any reason.
    /// - Returns: what is wrong with it; nil if it is one.
    mutating func readStatusLine(_ line: UnsafeRawBufferPointer) -> AttemptFailure? {
        guard line.count >= 9, Self.mayStart(line), line[7] == 0x30 || line[7] == 0x31, line[8] == 0x20,
            Self.isClean(line)
        else { return .responseNotHTTP }
        guard line.count >= 12, line.count == 12 || line[12] == 0x20 else { return .responseStatusInvalid }
        var value = 0
        for position in 9..<12 {
            guard (0x30...0x39).contains(line[position]) else { return .responseStatusInvalid }
            value = value * 10 + Int(line[position] - 0x30)
        }
        guard (100...599).contains(value) else { return .responseStatusInvalid }
        // Nobody asked for another protocol; what follows would not be HTTP.
        guard value != 101 else { return .protocolSwitched }
        status = value
        keepsAlive = line[7] == 0x31
        return nil
    }

    // MARK: Headers

    /// A header line.
    /// - Returns: what is wrong with it (no colon, a name that is no token, folded, NUL or a bare CR inside, a length that
    ///   is none); nil if it is one.
    mutating func readHeader(_ line: UnsafeRawBufferPointer) -> AttemptFailure? {
        guard let colon = Self.tokenEnd(line), colon > 0, colon < line.count, line[colon] == 0x3a, Self.isClean(line)
        else { return .responseHeaderInvalid }
        let name = UnsafeRawBufferPointer(rebasing: line[..<colon])
        let value = Self.trimmed(UnsafeRawBufferPointer(rebasing: line[(colon + 1)...]))
        switch colon {
        case 10:
            if Self.equal(name, "connection") {
                Self.eachElement(value) { element in
                    if Self.equal(element, "close") { keepsAlive = false }
                    if Self.equal(element, "keep-alive") { keepsAlive = true }
                }
            } else if Self.equal(name, "keep-alive") {
                Self.eachElement(value) { element in
                    let prefix: StaticString = "timeout="
                    guard element.count > 8, Self.equal(UnsafeRawBufferPointer(rebasing: element[..<8]), prefix) else {
                        return
                    }
                    keepAliveSeconds = Self.decimal(UnsafeRawBufferPointer(rebasing: element[8...]))
                }
            }
        case 11: if Self.equal(name, "retry-after") { retryAfter = RetryAfter(value) }
        case 14: if Self.equal(name, "content-length"), !readLength(value) { return .responseLengthInvalid }
        case 17:
            if Self.equal(name, "transfer-encoding"), !readTransferEncoding(value) { return .responseLengthInvalid }
        default: break
        }
        return nil
    }

    /// The same length may be told twice, also in one list (RFC 9110 §8.6); two lengths may not.
    private mutating func readLength(_ value: UnsafeRawBufferPointer) -> Bool {
        var isValid = !value.isEmpty
        Self.eachElement(value) { element in
            guard let length = Self.decimal(element), contentLength ?? length == length else {
                isValid = false
                return
            }
            contentLength = length
        }
        return isValid && contentLength != nil
    }

    /// Only what ends in one `chunked` has an end of its own; other codings run until the connection closes.
    private mutating func readTransferEncoding(_ value: UnsafeRawBufferPointer) -> Bool {
        hasTransferEncoding = true
        var isValid = true
        Self.eachElement(value) { element in
            if isChunked { isValid = false }
            isChunked = Self.equal(element, "chunked")
        }
        return isValid
    }

    /// The size of a chunk; extensions are skipped. Nil for anything that is no size.
    static func chunkSize(_ line: UnsafeRawBufferPointer) -> Int? {
        var size = 0
        var digits = 0
        for byte in line {
            let digit: UInt8
            switch byte {
            case 0x30...0x39: digit = byte - 0x30
            case 0x41...0x46: digit = byte - 0x41 + 10
            case 0x61...0x66: digit = byte - 0x61 + 10
            case 0x3b, 0x20, 0x09: return digits > 0 ? size : nil
            default: return nil
            }
            digits += 1
            guard digits <= 15 else { return nil }
            size = size << 4 | Int(digit)
        }
        return digits > 0 ? size : nil
    }

    // MARK: Bytes

    /// No NUL and no CR: either makes readers disagree about where a line ends.
    private static func isClean(_ line: UnsafeRawBufferPointer) -> Bool {
        line.isEmpty
            || memchr(line.baseAddress!, 0, line.count) == nil && memchr(line.baseAddress!, 0x0d, line.count) == nil
    }

    /// Where the leading token ends.
    private static func tokenEnd(_ line: UnsafeRawBufferPointer) -> Int? {
        for position in 0..<line.count where !isTokenCharacter(line[position]) { return position }
        return nil
    }

    /// RFC 9110 §5.6.2, a bit a character.
    @inline(__always)
    private static func isTokenCharacter(_ byte: UInt8) -> Bool {
        let half: UInt64 = byte < 0x40 ? 0x03ff_6cfa_0000_0000 : 0x57ff_ffff_c7ff_fffe
        return byte < 0x80 && half >> UInt64(byte & 0x3f) & 1 == 1
    }

    private static func trimmed(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var start = 0
        var end = bytes.count
        while start < end, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
        while end > start, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }

    private static func eachElement(_ list: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
        var start = 0
        while start <= list.count {
            var end = start
            while end < list.count, list[end] != 0x2c { end += 1 }
            body(trimmed(UnsafeRawBufferPointer(rebasing: list[start..<end])))
            start = end + 1
        }
    }

    /// Equal but for the case of letters; `text` is lower case.
    private static func equal(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount else { return false }
        for position in 0..<bytes.count {
            let byte = bytes[position]
            let lowered = (0x41...0x5a).contains(byte) ? byte | 0x20 : byte
            if lowered != text.utf8Start[position] { return false }
        }
        return true
    }

    static func decimal(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard (1...18).contains(bytes.count) else { return nil }
        var value = 0
        for byte in bytes {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + Int(byte - 0x30)
        }
        return value
    }
}
