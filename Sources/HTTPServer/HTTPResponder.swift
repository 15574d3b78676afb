// The handler's end of a request: how, when and from which thread it is answered is the handler's choice.

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

    deinit { deliver(whenDropped) }

    /// Call it once; what comes after the first answer is ignored. Never blocks.
    package func respond(_ response: HTTPServerResponse) { deliver(response) }
}
