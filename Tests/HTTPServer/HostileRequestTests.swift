// The server over real sockets: what clients must not do.
import HTTPProbe
import HTTPServer
import Runtime
import Testing

/// A request that must be refused, shown by its name.
struct HostileRequest: Sendable, CustomTestStringConvertible {
    let name: String
    let request: String
    let status: Int
    var testDescription: String { name }
    /// libmicrohttpd 0.9.75 judges a length itself, and sends the head of that answer twice.
    var isAnsweredByLibrary: Bool { ["a list of lengths", "a signed length", "a huge length"].contains(name) }

    init(_ name: String, _ request: String, _ status: Int) {
        self.name = name
        self.request = request
        self.status = status
    }
}

@Suite struct HostileRequestTests {
    static let refused: [HostileRequest] = [
        HostileRequest(
            "two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        HostileRequest(
            "two equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
        HostileRequest("a list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", 400),
        HostileRequest("a signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400),
        HostileRequest(
            "a huge length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
        HostileRequest(
            "length and chunks",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400
        ),
        HostileRequest(
            "chunks and length",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400
        ),
        HostileRequest(
            "gzip and chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        HostileRequest("identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\nabc", 400),
        HostileRequest("broken chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        HostileRequest("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        HostileRequest("no host", "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", 400),
        HostileRequest("a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        HostileRequest("NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\nX-B: d\r\n\r\n", 400),
        HostileRequest("NUL in the last value", "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n", 400),
        HostileRequest("NUL at the end of the last value", "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0\r\n\r\n", 400),
        HostileRequest(
            "NUL at the beginning of a value", "GET / HTTP/1.1\r\nHost: a\r\nX-A: \0b\r\nX-B: c\r\n\r\n", 400),
        HostileRequest("NUL in the host", "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 400),
        HostileRequest("NUL in the name", "GET / HTTP/1.1\r\nHost: a\r\nX\0A: b\r\n\r\n", 400),
        HostileRequest("NUL in the target", "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        HostileRequest("NUL in the query", "GET /a?b=\0c HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        HostileRequest("NUL in the method", "GE\0T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        HostileRequest("a folded line", "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", 400),
        HostileRequest("bare line feeds", "GET / HTTP/1.1\nHost: a\n\n", 400),
        HostileRequest("one bare line feed", "GET / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n", 400),
        HostileRequest("a bare carriage return", "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n", 400),
        HostileRequest("a space before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n", 400),
        HostileRequest("no colon", "GET / HTTP/1.1\r\nHost: a\r\nX-A\r\n\r\n", 400),
        HostileRequest("a broken escape in the query", "GET /?a=%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        HostileRequest("a query that is not UTF-8", "GET /?a=%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        HostileRequest("an encoded NUL", "GET /?a=%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        HostileRequest("an absolute target", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        HostileRequest(
            "many fields", "GET / HTTP/1.1\r\nHost: a\r\n" + (0..<120).map { "X-\($0): b\r\n" }.joined() + "\r\n", 431),
        HostileRequest(
            "a long field", "GET / HTTP/1.1\r\nHost: a\r\nX-A: \(String(repeating: "b", count: 20_000))\r\n\r\n", 431),
        HostileRequest(
            "a longer field", "GET / HTTP/1.1\r\nHost: a\r\nX-A: \(String(repeating: "b", count: 200_000))\r\n\r\n", 431
        ),
        HostileRequest(
            "a long target", "GET /\(String(repeating: "b", count: 200_000)) HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ]

    @Test(arguments: refused) func isRefusedAndEndsTheConnection(_ hostile: HostileRequest) throws {
        let (request, status) = (hostile.request, hostile.status)
        let server = try echoServer()
        defer { server.stop() }
        let connection = try RawConnection(port: server.port)
        connection.send(request)
        let response: ProbeResponse
        do {
            response = try connection.receive()
        } catch  where status == 431 || status == 414 {
            return  // what was not read yet turns the close into a reset, which may overtake the answer
        }
        #expect(response.status == status, "\(response.text)")
        if !hostile.isAnsweredByLibrary { #expect(connection.isClosedByPeer()) }
        #expect(try probe(port: server.port, "GET", "/").status == 200)
    }

    @Test func refusesALargeBodyBeforeItIsSent() throws {
        let server = try echoServer { $0.bodyBytes = 1000 }
        defer { server.stop() }
        for length in [2000, 3_000_000] {
            let connection = try RawConnection(port: server.port)
            connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(length)\r\nExpect: 100-continue\r\n\r\n")
            #expect(try connection.receive().status == 413)
            #expect(connection.isClosedByPeer())
        }
    }

    @Test func letsTheSenderOfALargeBodyReadTheAnswer() throws {
        let server = try echoServer { $0.bodyBytes = 1000 }
        defer { server.stop() }
        let connection = try RawConnection(port: server.port)
        connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n")
        #expect(connection.send([UInt8](repeating: 65, count: 900_000)))
        #expect(try connection.receive().status == 413)
    }

    @Test func boundsChunksThatGrowOverTheLimit() throws {
        let server = try echoServer { $0.bodyBytes = 1000 }
        defer { server.stop() }
        let small = try RawConnection(port: server.port)
        small.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        small.send("800\r\n" + String(repeating: "a", count: 0x800) + "\r\n0\r\n\r\n")
        #expect(try small.receive().status == 413)

        let endless = try RawConnection(port: server.port)
        endless.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        let chunk = Array(("10000\r\n" + String(repeating: "a", count: 0x10000) + "\r\n").utf8)
        var taken = 0
        while taken < 1000, endless.send(chunk) { taken += 1 }
        #expect(taken < 200)
        #expect(throws: ProbeError.self) { try endless.receive() }
    }

    @Test func endsSlowHeads() throws {
        let server = try echoServer { $0.headSeconds = 0.6 }
        defer { server.stop() }
        let silent = try RawConnection(port: server.port)
        let slow = try RawConnection(port: server.port)
        var sent = 0
        for byte in "GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaa".utf8 {
            guard slow.send([byte]) else { break }
            sent += 1
            EventFD().wait(milliseconds: 50)
        }
        #expect(sent < 40)
        #expect(silent.isClosedByPeer())
    }

    @Test func endsSlowBodies() throws {
        let server = try echoServer { $0.bodySeconds = 0.6 }
        defer { server.stop() }
        let slow = try RawConnection(port: server.port)
        slow.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        var sent = 0
        while sent < 100, slow.send("a") {
            sent += 1
            EventFD().wait(milliseconds: 50)
        }
        #expect(sent < 60)
    }

    @Test func endsIdleConnections() throws {
        let server = try echoServer { $0.idleSeconds = 0.3 }
        defer { server.stop() }
        let connection = try RawConnection(port: server.port)
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try connection.receive().status == 200)
        #expect(connection.isClosedByPeer())
    }

    @Test func limitsConnectionsOfOneAddress() throws {
        let server = try echoServer { $0.connectionsPerAddress = 4 }
        defer { server.stop() }
        let held = try (0..<4).map { _ in try RawConnection(port: server.port) }
        EventFD().wait(milliseconds: 50)
        let fifth = try RawConnection(port: server.port)
        #expect(fifth.isClosedByPeer())
        held[0].send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try held[0].receive().status == 200)
    }

    @Test func servesOthersBesideManyIdleConnections() throws {
        let server = try echoServer()
        defer { server.stop(seconds: 0.1) }
        let idle = try (0..<400).map { _ in try RawConnection(port: server.port) }
        #expect(try probe(port: server.port, "GET", "/").status == 200)
        withExtendedLifetime(idle) {}
    }
}
