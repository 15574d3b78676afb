// What a caller asks of a write beside its body: `Idempotency-Key`, by which a request sent again is answered as it was, and
// `If-Match`, by which a change that was meant for another state is refused. Both are judged by the registry: it alone sees
// the requests of all API processes in one order.
internal import Core
internal import Crypto
internal import HTTPServer
internal import JSON

struct WriteGuards: Equatable {
    /// Made of account and key, so that every process sends the same; random without a key.
    let command: CommandID
    /// Of method, path and body; nil without a key.
    let fingerprint: String?
    /// Those that the webhook may have; nil: any.
    let revisions: [Int]?

    static let keyHeader = "Idempotency-Key"
    private static let keyBytes = 1...255

    /// - Throws: 400 for a header that cannot be understood.
    init(_ request: HTTPServerRequest, account: AccountID) throws(APIError) {
        revisions = try Self.revisions(request.headers.values("If-Match"))
        let keys = request.headers.values(Self.keyHeader)
        guard let key = keys.first else {
            command = CommandID(bytes: Random.bytes(12))
            fingerprint = nil
            return
        }
        guard keys.count == 1, Self.keyBytes.contains(key.utf8.count), key.utf8.allSatisfy({ 0x20...0x7e ~= $0 }) else {
            throw .invalidHeader(
                Self.keyHeader, "must be one key of 1 to 255 printable ASCII characters, such as a UUID")
        }
        command = CommandID(bytes: Digest.sha256(Array("idempotency\0\(account)\0\(key)".utf8)))
        fingerprint = Digest.sha256Hex(Array("\(request.method)\0\(request.path)\0".utf8) + request.body)
    }

    /// Entity tags are compared strongly (RFC 9110, 13.1.1): a weak one matches nothing, nor does one that no webhook has.
    private static func revisions(_ fields: [String]) throws(APIError) -> [Int]? {
        guard !fields.isEmpty else { return nil }
        if fields.count == 1, fields[0].trimmed == "*" { return nil }
        guard let tags = entityTags(Array(fields.joined(separator: ",").utf8)) else {
            throw .invalidHeader("If-Match", "must be * or entity tags as in the answers' ETag, such as \"3\"")
        }
        return tags.compactMap { tag in
            guard !tag.isWeak, let revision = Int(tag.text), String(revision) == tag.text else { return nil }
            return revision
        }
    }

    /// RFC 9110, 8.8.3: between its quotes a tag may have commas. Empty places in the list are passed over (5.6.1).
    /// - Returns: at least one; nil of what is no list of them.
    private static func entityTags(_ bytes: [UInt8]) -> [(text: String, isWeak: Bool)]? {
        var tags: [(text: String, isWeak: Bool)] = []
        var place = bytes[...]
        func skip(_ skipped: Set<UInt8>) { place = place.drop { skipped.contains($0) } }
        let (space, tab, comma, quote) = (UInt8(0x20), UInt8(0x09), UInt8(ascii: ","), UInt8(ascii: "\""))
        skip([space, tab, comma])
        while !place.isEmpty {
            let isWeak = place.starts(with: "W/".utf8)
            if isWeak { place = place.dropFirst(2) }
            guard place.first == quote else { return nil }
            let text = place.dropFirst().prefix { $0 == 0x21 || $0 >= 0x23 && $0 != 0x7F }
            place = place[text.endIndex...]
            guard place.first == quote else { return nil }
            place = place.dropFirst()
            tags.append((String(decoding: text, as: UTF8.self), isWeak))
            skip([space, tab])
            guard place.isEmpty || place.first == comma else { return nil }
            skip([space, tab, comma])
        }
        return tags.isEmpty ? nil : tags
    }
}

extension HTTPServerResponse {
    /// The state of a webhook's own fields, as `If-Match` takes it. What is told beside them, such as `health`, changes
    /// without it.
    func tagged(_ webhook: Webhook) -> HTTPServerResponse {
        var response = self
        response.headers.append("ETag", "\"\(webhook.revision)\"")
        return response
    }
}

extension APIError {
    static func invalidHeader(_ name: String, _ fault: String) -> APIError {
        APIError(
            status: 400, code: "INVALID_HEADER", message: "\(name) \(fault).",
            details: { $0.field("header", name) })
    }

    static func preconditionFailed() -> APIError {
        APIError(
            status: 412, code: Refusal.preconditionFailed.rawValue,
            message: "The webhook has changed since the state that If-Match names. Read it again, then decide anew.")
    }

    static func keyReused() -> APIError {
        APIError(
            status: 422, code: Refusal.keyReused.rawValue,
            message: "This Idempotency-Key was sent with another request before. Use a new key for each request.")
    }
}
