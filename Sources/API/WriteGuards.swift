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
        var revisions: [Int] = []
        for tag in fields.joined(separator: ",").split(separator: ",", omittingEmptySubsequences: false) {
            let tag = tag.trimmed
            let quoted = tag.hasPrefix("W/") ? tag.dropFirst(2) : tag[...]
            guard quoted.utf8.count >= 2, quoted.first == "\"", quoted.last == "\"",
                !quoted.dropFirst().dropLast().contains("\"")
            else { throw .invalidHeader("If-Match", "must be * or entity tags as in the answers' ETag, such as \"3\"") }
            let text = String(quoted.dropFirst().dropLast())
            if !tag.hasPrefix("W/"), let revision = Int(text), String(revision) == text { revisions.append(revision) }
        }
        return revisions
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
