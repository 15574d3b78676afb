// The server over real sockets: what clients may do.
import HTTPProbe
import HTTPServer
import Runtime
import Testing

/// Answers with what it received.
func echoServer(_ change: (inout HTTPServerLimits) -> Void = { _ in }) throws -> HTTPServer {
    var limits = HTTPServerLimits()
    change(&limits)
    return try HTTPServer(listen: "127.0.0.1:0", limits: limits) { request, responder in
        let query = request.query.map { "\($0.name)=\($0.value)" }.joined(separator: ";")
        responder.respond(
            .text(200, "\(request.method) \(request.path) [\(query)] \(request.body.count) \(request.remoteAddress)"))
    }
}

/// Answers from another thread, a while after the request.
func lateServer(afterMilliseconds delay: Int) throws -> HTTPServer {
    try HTTPServer(listen: "127.0.0.1:0") { _, responder in
        _ = OwnedThread(name: "late") {
            EventFD().wait(milliseconds: delay)
            responder.respond(.text(200, "late"))
        }
    }
}

@Suite struct HTTPServerTests {
    @Test func answersWithWhatItReceived() throws {
        let server = try echoServer()
        defer { server.stop() }
        #expect(server.port > 0)
        let response = try probe(port: server.port, "GET", "/a%2Fb/c?x=1%202&x=+&y")
        #expect(response.status == 200)
        #expect(response.text == "GET /a%2Fb/c [x=1 2;x= ;y=] 0 127.0.0.1\n")
        #expect(try probe(port: server.port, "POST", "/", body: "hello").text == "POST / [] 5 127.0.0.1\n")
    }

    @Test func headHasTheLengthAndNoBody() throws {
        let server = try echoServer()
        defer { server.stop() }
        let connection = try RawConnection(port: server.port)
        connection.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let head = try connection.receive(headOnly: true)
        #expect(head.header("Content-Length") == "22")
        #expect(try connection.receive().text == "GET / [] 0 127.0.0.1\n")
    }

    @Test func keepsAConnectionAlive() throws {
        let server = try echoServer()
        defer { server.stop() }
        let connection = try RawConnection(port: server.port)
        for count in [0, 3, 0, 70_000] {
            connection.send("POST /n HTTP/1.1\r\nHost: a\r\nContent-Length: \(count)\r\n\r\n")
            connection.send([UInt8](repeating: 120, count: count))
            #expect(try connection.receive().text == "POST /n [] \(count) 127.0.0.1\n")
        }
    }

    @Test func answersPipelinedRequestsInOrder() throws {
        let server = try echoServer()
        defer { server.stop() }
        let connection = try RawConnection(port: server.port)
        connection.send(
            (0..<20).map { "POST /\($0) HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab" }.joined())
        for number in 0..<20 { #expect(try connection.receive().text == "POST /\(number) [] 2 127.0.0.1\n") }
    }

    @Test func readsChunksAndExpectations() throws {
        let server = try echoServer()
        defer { server.stop() }
        let connection = try RawConnection(port: server.port)
        connection.send(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
        #expect(try connection.receive().text == "POST / [] 5 127.0.0.1\n")
        connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
        connection.send("x")
        #expect(try connection.receive().text == "POST / [] 1 127.0.0.1\n")
    }

    @Test func answersFromAnotherThread() throws {
        let server = try lateServer(afterMilliseconds: 50)
        defer { server.stop() }
        let connections = try (0..<20).map { _ in try RawConnection(port: server.port) }
        for _ in 0..<3 {
            for connection in connections { connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
            for connection in connections { #expect(try connection.receive().text == "late\n") }
        }
    }

    @Test func aDroppedResponderAnswers503() throws {
        let server = try HTTPServer(listen: "127.0.0.1:0") { _, _ in }
        defer { server.stop() }
        #expect(try probe(port: server.port, "GET", "/").status == 503)
    }

    @Test func onlyTheFirstAnswerCounts() throws {
        let server = try HTTPServer(listen: "127.0.0.1:0") { _, responder in
            responder.respond(.text(200, "first"))
            responder.respond(.text(500, "second"))
        }
        defer { server.stop() }
        #expect(try probe(port: server.port, "GET", "/").text == "first\n")
    }

    @Test func anAnswerForAClientThatHasGoneIsDropped() throws {
        let server = try lateServer(afterMilliseconds: 100)
        defer { server.stop() }
        do {
            let connection = try RawConnection(port: server.port)
            connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        }
        #expect(try probe(port: server.port, "GET", "/").text == "late\n")
    }

    @Test func saysWhyItCannotListen() throws {
        let server = try echoServer()
        defer { server.stop() }
        for (listen, cause) in [
            ("127.0.0.1:\(server.port)", "another process has the port"), ("127.0.0.1", "write host:port"),
            ("::1:80", "in brackets"), ("127.0.0.1:70000", "0 to 65535"),
            ("no.such.host.invalid:0", "cannot listen on"),
        ] {
            let error = #expect(throws: HTTPServerError.self) { try HTTPServer(listen: listen) { _, _ in } }
            #expect(error?.description.contains(cause) == true, "\(listen): \(error?.description ?? "")")
        }
    }
}

@Suite struct HTTPServerStopTests {
    @Test func answersWhatIsInFlightThenRefusesNewcomers() throws {
        let server = try lateServer(afterMilliseconds: 300)
        let connection = try RawConnection(port: server.port)
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        EventFD().wait(milliseconds: 100)
        server.stop(seconds: 5)
        let response = try connection.receive()
        #expect(response.text == "late\n")
        #expect(response.header("Connection") == "close")
        #expect(throws: ProbeError.self) { try RawConnection(port: server.port) }
    }

    @Test func doesNotWaitForeverForAHandler() throws {
        let kept = Guarded<[HTTPResponder]>([])
        let server = try HTTPServer(listen: "127.0.0.1:0") { _, responder in kept.withLock { $0.append(responder) } }
        let connection = try RawConnection(port: server.port)
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        EventFD().wait(milliseconds: 100)
        let begun = Clock.monotonic()
        server.stop(seconds: 0.2)
        #expect(Clock.monotonic() - begun < 2_000_000_000)
        #expect(try connection.receive().status == 503)
        kept.withLock { $0.first }?.respond(.text(200, "too late"))
    }

    @Test func stopsWithIdleAndHalfSentRequests() throws {
        let server = try echoServer()
        let idle = try RawConnection(port: server.port)
        let half = try RawConnection(port: server.port)
        half.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        EventFD().wait(milliseconds: 50)
        server.stop(seconds: 0.1)
        server.stop(seconds: 0.1)
        #expect(idle.isClosedByPeer())
        #expect(half.isClosedByPeer())
    }
}
