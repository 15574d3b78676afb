// Judges a request's head before any of its body is read. A pure value: what libmicrohttpd 0.9.75 lets through and a
// server must not (two lengths, a length with chunks, two hosts) is refused here.

/// The header fields of a request and what they say of its body.
struct RequestHead {
    /// How long the body will be.
    enum BodyLength: Equatable {
        case none
        case bytes(Int)
        case chunked
    }

    let headers: HTTPHeaders
    let bodyLength: BodyLength

    /// - Parameters:
    ///   - fields: names and values as received; values without the white space around them.
    ///   - requiresHost: from HTTP/1.1 on.
    /// - Throws: why the request must not be handled; the connection is closed behind the answer, since where the next
    ///   request would begin is not certain.
    init(
        fields: [(name: [UInt8], value: [UInt8])], headBytes: Int, requiresHost: Bool, limits: HTTPServerLimits
    ) throws(HTTPRefusalError) {
        guard headBytes <= limits.headBytes else { throw HTTPRefusalError(.headTooLarge(limit: limits.headBytes)) }
        guard fields.count <= limits.headerFields else {
            throw HTTPRefusalError(.tooManyHeaders(limit: limits.headerFields))
        }
        var headers = HTTPHeaders()
        for field in fields {
            guard !field.name.isEmpty, field.name.allSatisfy(isTokenCharacter) else {
                throw HTTPRefusalError(
                    .badRequest(cause: "A header field's name has a character that is not allowed in it."))
            }
            guard field.value.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
                throw HTTPRefusalError(.badRequest(cause: "A header field's value has a control character in it."))
            }
            headers.append(String(decoding: field.name, as: UTF8.self), String(decoding: field.value, as: UTF8.self))
        }
        guard headers.values("Host").count <= 1 else {
            throw HTTPRefusalError(.badRequest(cause: "The request has more than one Host; send one."))
        }
        guard headers["Host"] != nil || !requiresHost else {
            throw HTTPRefusalError(.badRequest(cause: "The request has no Host; HTTP/1.1 needs one."))
        }
        self.headers = headers
        bodyLength = try Self.bodyLength(headers, limit: limits.bodyBytes)
    }

    private static func bodyLength(_ headers: HTTPHeaders, limit: Int) throws(HTTPRefusalError) -> BodyLength {
        let lengths = headers.values("Content-Length")
        let encodings = headers.values("Transfer-Encoding")
        guard lengths.isEmpty || encodings.isEmpty else {
            throw HTTPRefusalError(
                .badRequest(cause: "The request has both Content-Length and Transfer-Encoding; send one of them."))
        }
        if !encodings.isEmpty {
            guard encodings.count == 1, encodings[0].equalsIgnoringCase("chunked") else {
                throw HTTPRefusalError(.unsupportedTransferEncoding)
            }
            return .chunked
        }
        guard let length = lengths.first else { return .none }
        guard lengths.count == 1 else {
            throw HTTPRefusalError(.badRequest(cause: "The request has more than one Content-Length; send one."))
        }
        guard !length.isEmpty, length.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else {
            throw HTTPRefusalError(.badRequest(cause: "Content-Length is not a number of bytes."))
        }
        guard let bytes = Int(length) else { throw HTTPRefusalError(.bodyTooLarge(limit: limit)) }
        return bytes == 0 ? .none : .bytes(bytes)
    }
}

struct HTTPRefusalError: Error {
    let refusal: HTTPRefusal
    init(_ refusal: HTTPRefusal) { self.refusal = refusal }
}

/// RFC 9110 §5.6.2.
private func isTokenCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "A")...UInt8(ascii: "Z"):
        true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}
