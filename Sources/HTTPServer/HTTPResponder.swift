// The handler's end of a request: how, when and from which thread it is answered is the handler's choice.
internal import Runtime

/// Answers one request. Any thread.
package final class HTTPResponder: Sendable {
    private let deliver: @Sendable (HTTPServerResponse) -> Void
    private let whenDropped: HTTPServerResponse

    /// - Parameters:
    ///   - whenDropped: what is answered when nobody holds the responder any more and none was given.
    ///   - deliver: takes the first answer and ignores later ones.
    package init(whenDropped: HTTPServerResponse, deliver: @escaping @Sendable (HTTPServerResponse) -> Void) {
        self.whenDropped = whenDropped
        self.deliver = deliver
    }

    /// Answers through another responder.
    /// - Parameter change: sees the one answer that counts before it goes, on the thread that gives it, and may change it;
    ///   must not block.
    package convenience init(
        over other: HTTPResponder, _ change: @escaping @Sendable (inout HTTPServerResponse) -> Void
    ) {
        let isAnswered = Guarded(false)
        self.init(whenDropped: other.whenDropped) { response in
            let isFirst = isAnswered.withLock { isAnswered in
                defer { isAnswered = true }
                return !isAnswered
            }
            guard isFirst else { return }
            var response = response
            change(&response)
            other.respond(response)
        }
    }

    deinit { deliver(whenDropped) }

    /// Call it once; what comes after the first answer is ignored. Never blocks.
    package func respond(_ response: HTTPServerResponse) { deliver(response) }
}
