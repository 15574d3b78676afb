// Who is asking: Bearer keys against the view of accounts.
internal import Core
internal import HTTPServer
internal import Registry
internal import Runtime

struct Authentication: Sendable {
    let view: RegistryView

    /// - Throws: 401, the same for every kind of wrong key.
    func account(of request: HTTPServerRequest, now: Timestamp) throws(APIError) -> (account: AccountID, keyID: String)
    {
        let fields = request.headers.values("Authorization")
        guard let field = fields.first else {
            Log.info("API authentication failed", .address(request.remoteAddress), .method(request.method))
            throw .unauthorized(hadKey: false)
        }
        let parts = field.split(separator: " ", maxSplits: 1).map { $0.trimmed }
        // The checksum sends mistyped keys away before anything is hashed or looked up.
        guard fields.count == 1, parts.count == 2, parts[0].equalsIgnoringCase("Bearer"),
            let key = APIKeyText(parts[1]),
            let found = view.read({ state -> (AccountID, String)? in
                state.account(keyHash: key.hash, now: now).map { ($0.account.id, $0.key.id) }
            })
        else {
            Log.info(
                "API authentication failed", .address(request.remoteAddress), .method(request.method),
                .key(fields.count == 1 ? APIKeyText.id(in: field) : ""))
            throw .unauthorized(hadKey: true)
        }
        return found
    }
}
