// The whole engine against receivers that behave, that do not, and that are not there.
import Core
import Glibc
import HTTPEngine
import Runtime
import Testing

@Suite(.timeLimit(.minutes(2))) struct EngineTests {
    private func url(_ server: ScriptedServer, _ path: String = "/hook?a=b") -> String {
        "http://127.0.0.1:\(server.port)\(path)"
    }

    @Test func postsOverOneConnection() throws {
        let seen = Guarded<[String]>([])
        let server = ScriptedServer { peer in
            while let request = peer.request() {
                seen.withLock { $0.append(request) }
                peer.answer(200, body: "fine")
            }
        }
        defer { server.stop() }
        let harness = try Harness()
        for number in 0..<3 {
            let result = try harness.post(url(server), body: "{\"n\":\(number)}")
            #expect(result.outcome == .answered(status: 200))
            #expect(result.cancellation == .none && result.reusedConnection == (number > 0))
            #expect(
                result.responseHead.isEmpty && result.bodyPrefix.isEmpty && result.startedAtWall > 1_600_000_000_000)
        }
        let expected =
            "POST /hook?a=b HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nUser-Agent: Test\r\nX-A: b\r\nContent-Length: 7\r\n\r\n{\"n\":0}"
        #expect(seen.withLock { $0.first } == expected)
        #expect(server.connections == 1)
        let counters = harness.engine.counters
        #expect(counters.connects == 1 && counters.reuses == 2)
        #expect(counters.connectionsOpen == 1 && counters.connectionsOpening == 0)
        harness.engine.stop()
    }

    @Test func postsLargeBodiesWhole() throws {
        let length = Guarded(0)
        let server = ScriptedServer { peer in
            while let request = peer.request() {
                length.withLock { $0 = request.utf8.count }
                peer.answer()
            }
        }
        defer { server.stop() }
        let harness = try Harness()
        let result = try harness.post(url(server), body: String(repeating: "x", count: 1 << 23))
        #expect(result.outcome == .answered(status: 200))
        #expect(length.withLock { $0 } > 1 << 23)
        harness.engine.stop()
    }

    @Test func keepsWhatASuccessSaidWhereThatIsAskedFor() throws {
        let server = ScriptedServer { peer in
            while peer.request() != nil { peer.answer(200, headers: "X-Place: here\r\n", body: "thanks") }
        }
        defer { server.stop() }
        let harness = try Harness()
        let result = try harness.post(url(server), keepsSuccess: true)
        #expect(result.outcome == .answered(status: 200))
        #expect(String(decoding: result.bodyPrefix, as: UTF8.self) == "thanks")
        #expect(String(decoding: result.responseHead, as: UTF8.self).contains("X-Place: here\r\n"))
        let next = try harness.post(url(server))
        #expect(next.reusedConnection && next.responseHead.isEmpty && next.bodyPrefix.isEmpty)
        harness.engine.stop()
    }

    /// The body is waited for, but it neither undoes the success nor counts as response time.
    @Test func aBodyThatDoesNotComeIsNoFailureOfAKeptSuccess() throws {
        let server = ScriptedServer { peer in
            while peer.request() != nil { peer.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal") }
        }
        defer { server.stop() }
        let harness = try Harness()
        let result = try harness.post(url(server), timeout: 1500, keepsSuccess: true)
        #expect(result.outcome == .answered(status: 200) && result.bodyPrefix == Array("hal".utf8))
        #expect(result.durationMicroseconds < 1_400_000)
        harness.engine.stop()
    }

    @Test func keepsWhatAFailureSaid() throws {
        let server = ScriptedServer { peer in
            while peer.request() != nil { peer.answer(503, headers: "Retry-After: 7\r\n", body: "sorry") }
        }
        defer { server.stop() }
        let harness = try Harness()
        let result = try harness.post(url(server))
        #expect(result.outcome == .answered(status: 503))
        #expect(result.retryAfterSeconds == 7)
        #expect(String(decoding: result.bodyPrefix, as: UTF8.self) == "sorry")
        #expect(String(decoding: result.responseHead, as: UTF8.self).hasPrefix("HTTP/1.1 503 X\r\n"))
        #expect(try harness.post(url(server)).reusedConnection)
        harness.engine.stop()
    }

    /// What a receiver writes after the request before it closes, and what becomes of the attempt.
    @Test(arguments: [
        ("", AttemptFailure.connectionClosed), ("HTTP/1.1 200 OK\r\nConte", .connectionClosed),
        ("HTTP/1.1 100 Continue\r\n\r\n", .connectionClosed), ("hello\r\n", .responseNotHTTP),
        ("HTTP/1.1 101 Switching\r\n\r\n", .protocolSwitched),
    ])
    func classifiesHalfAnswers(_ text: String, _ failure: AttemptFailure) throws {
        let server = ScriptedServer { peer in
            _ = peer.request()
            peer.write(text)
        }
        defer { server.stop() }
        let harness = try Harness()
        #expect(try harness.post(url(server)).outcome == .failed(failure))
        harness.engine.stop()
    }

    @Test func classifiesFloods() throws {
        let server = ScriptedServer { peer in
            guard let request = peer.request() else { return }
            if request.contains("/headers") {
                peer.write("HTTP/1.1 200 OK\r\n")
                while peer.write("X-Flood: yes\r\n") {}
            } else {
                while peer.write("HTTP/1.1 100 Continue\r\n\r\n") {}
            }
        }
        defer { server.stop() }
        let harness = try Harness()
        #expect(try harness.post(url(server, "/headers")).outcome == .failed(.responseHeadTooLarge))
        #expect(try harness.post(url(server, "/interim")).outcome == .failed(.tooManyInterimResponses))
        harness.engine.stop()
    }

    /// What receivers do, through a socket: each its own class, and none of them slows the engine down.
    @Test(arguments: [
        ("HTTP/1.1 99 X\r\n\r\n", AttemptFailure.responseStatusInvalid),
        ("HTTP/1.1 999999 X\r\n\r\n", .responseStatusInvalid),
        ("<html>HTTP/0.9</html>", .responseNotHTTP), ("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", .responseHeaderInvalid),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", .responseLengthInvalid),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", .responseLengthInvalid),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", .protocolSwitched),
        ("HTTP/1.1 200 OK\r\nA: " + String(repeating: "x", count: 17_000), .responseHeadTooLarge),
    ])
    func classifiesMisbehaviour(_ text: String, _ failure: AttemptFailure) throws {
        let server = ScriptedServer { peer in
            guard peer.request() != nil else { return }
            peer.write(text)
            // Half-closed, or simply silent: what was said is enough.
            if peer.number == 0 { shutdown(peer.descriptor, Int32(SHUT_WR)) }
            peer.awaitEnd()
        }
        defer { server.stop() }
        let harness = try Harness()
        for _ in 0..<2 { #expect(try harness.post(url(server)).outcome == .failed(failure)) }
        harness.engine.stop()
    }

    /// A redirect is an answer and no success; nobody follows it.
    @Test func followsNoRedirect() throws {
        let server = ScriptedServer { peer in
            while peer.request() != nil { peer.answer(302, headers: "Location: http://127.0.0.1:1/\r\n") }
        }
        defer { server.stop() }
        let harness = try Harness()
        let result = try harness.post(url(server))
        #expect(result.outcome == .answered(status: 302) && !result.outcome.isSuccess)
        #expect(harness.engine.counters.connects == 1)
        harness.engine.stop()
    }

    /// A byte now and then keeps nothing alive: the deadline is one for all of it.
    @Test func dripsRunIntoTheDeadline() throws {
        let server = ScriptedServer { peer in
            guard peer.request() != nil else { return }
            for byte in Array("HTTP/1.1 200 OK\r\nX-Slow: ".utf8) + [UInt8](repeating: 0x61, count: 10_000) {
                guard peer.write([byte]) else { return }
                usleep(30_000)
            }
        }
        defer { server.stop() }
        let harness = try Harness()
        let result = try harness.post(url(server), timeout: 400)
        #expect(result.outcome == .failed(.responseTimeout) && result.durationMicroseconds < 3_000_000)
        harness.engine.stop()
    }

    /// Nothing is inflated, and of ten thousand large bodies never more than the cap is kept.
    @Test func tenThousandBodiesNeverExceedTheCap() throws {
        let server = ScriptedServer { peer in
            let body = String(repeating: "x", count: 17_000)
            while peer.request() != nil {
                peer.answer(500, headers: "Content-Encoding: gzip\r\nX-Pad: \(body.prefix(5000))\r\n", body: body)
            }
        }
        defer { server.stop() }
        let harness = try Harness { $0.maximumConnectionsPerHost = 16 }
        let endpoint = try Harness.endpoint(url(server))
        for start in stride(from: UInt64(0), to: 10_000, by: 1000) {
            harness.engine.submit(
                (start..<start + 1000).map {
                    HTTPRequest(
                        token: $0, affinity: 0, endpoint: endpoint, headerLines: [], body: [1],
                        timeoutMilliseconds: 60_000)
                })
            let results = try harness.results(Int(start) + 1000)
            #expect(results.allSatisfy { $0.outcome == .answered(status: 500) })
            #expect(results.allSatisfy { $0.bodyPrefix.count <= 1024 && $0.responseHead.count <= 4096 })
        }
        harness.engine.stop()
    }

    @Test func refusedAndReset() throws {
        let (socket, port) = ScriptedServer.listen(1)
        close(socket)
        let server = ScriptedServer { peer in
            _ = peer.request()
            peer.reset()
        }
        defer { server.stop() }
        let harness = try Harness()
        #expect(try harness.post("http://127.0.0.1:\(port)/").outcome == .failed(.connectRefused))
        #expect(try harness.post(url(server)).outcome == .failed(.connectionReset))
        harness.engine.stop()
    }

    @Test func timesOutWhileTheAnswerIsMissing() throws {
        let server = ScriptedServer { peer in
            guard let request = peer.request() else { return }
            if request.contains("/half") { peer.write("HTTP/1.1 200 OK\r\n") }
            peer.awaitEnd()
        }
        defer { server.stop() }
        let harness = try Harness()
        let result = try harness.post(url(server), timeout: 100)
        #expect(result.outcome == .failed(.responseTimeout))
        #expect(result.durationMicroseconds >= 100_000 && result.cancellation == .none)
        #expect(try harness.post(url(server, "/half"), timeout: 100).outcome == .failed(.responseTimeout))
        try harness.wait("connections closed") { $0.connectionsOpen == 0 && $0.inFlight == 0 }
        harness.engine.stop()
    }

    /// A listener whose queue is full answers no SYN.
    @Test func timesOutInConnect() throws {
        let server = ScriptedServer(backlog: 0, accepts: false) { _ in }
        defer { server.stop() }
        let harness = try Harness { $0.maximumConnectionsPerHost = 8 }
        let endpoint = try Harness.endpoint(url(server))
        harness.engine.submit(
            (0..<6).map {
                HTTPRequest(
                    token: $0, affinity: 0, endpoint: endpoint, headerLines: [], body: [], timeoutMilliseconds: 150)
            })
        let outcomes = try harness.results(6).map(\.outcome)
        #expect(outcomes.contains(.failed(.connectTimeout)))
        #expect(outcomes.allSatisfy { $0 == .failed(.connectTimeout) || $0 == .failed(.responseTimeout) })
        harness.engine.stop()
    }

    /// Our own queue is no fault of the receiver: who got no connection made no attempt, who got one has all its time.
    @Test func waitingForAConnectionIsNotHeldAgainstTheReceiver() throws {
        let server = ScriptedServer { peer in
            _ = peer.request()
            peer.awaitEnd()
        }
        defer { server.stop() }
        let harness = try Harness { $0.maximumConnectionsPerHost = 1 }
        let endpoint = try Harness.endpoint(url(server))
        harness.engine.submit(
            [(UInt64(0), 200), (1, 400), (2, 100)].map {
                HTTPRequest(
                    token: $0, affinity: 0, endpoint: endpoint, headerLines: [], body: [], timeoutMilliseconds: $1)
            })
        let results = try harness.results(3)
        #expect(results[0].outcome == .failed(.responseTimeout))
        #expect(results[1].outcome == .failed(.responseTimeout) && results[1].durationMicroseconds >= 400_000)
        #expect(results[1].cancellation == .none && results[2].cancellation == .beforeSending)
        harness.engine.stop()
    }

    /// A provider of hooks: one webhook there hangs with all it has, and a neighbour is not behind all of that.
    @Test func webhooksOfOneHostGetItsConnectionsInTurn() throws {
        let order = Guarded<[Bool]>([])
        let server = ScriptedServer { peer in
            while let request = peer.request() {
                let isSlow = request.contains("/slow")
                order.withLock { $0.append(isSlow) }
                if isSlow { EventFD().wait(milliseconds: 20) }
                peer.answer()
            }
        }
        defer { server.stop() }
        let harness = try Harness { $0.maximumConnectionsPerHost = 2 }
        let (slow, quick) = (try Harness.endpoint(url(server, "/slow")), try Harness.endpoint(url(server, "/quick")))
        func request(_ token: UInt64, _ endpoint: HTTPEndpoint) -> HTTPRequest {
            HTTPRequest(
                token: token, affinity: 0, endpoint: endpoint, headerLines: [], body: [1], timeoutMilliseconds: 20_000)
        }
        harness.engine.submit((0..<40).map { request($0, slow) } + (40..<44).map { request($0, quick) })
        #expect(try harness.results(44).allSatisfy { $0.outcome.isSuccess })
        let last = try #require(order.withLock { $0 }.lastIndex(of: false))
        #expect(last < 16, "four quick ones, each behind a few slow ones and not behind forty")
        harness.engine.stop()
    }

    /// The status stands once the head is complete, whatever follows.
    @Test func aBodyNeverUndoesASuccess() throws {
        let server = ScriptedServer { peer in
            guard let request = peer.request() else { return }
            if request.contains("/endless") {
                peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while peer.write("5\r\nhello\r\n") {}
            } else if request.contains("/stalls") {
                peer.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal")
                peer.awaitEnd()
            } else if request.contains("/reset") {
                peer.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal")
                peer.reset()
            } else {
                peer.write("HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\nhal")
                peer.awaitEnd()
            }
        }
        defer { server.stop() }
        let harness = try Harness()
        let endless = try harness.post(url(server, "/endless"))
        #expect(endless.outcome == .answered(status: 200))
        let stalls = try harness.post(url(server, "/stalls"), timeout: 3000)
        #expect(stalls.outcome == .answered(status: 200) && stalls.durationMicroseconds < 2_900_000)
        #expect(try harness.post(url(server, "/reset")).outcome == .answered(status: 200))
        let failed = try harness.post(url(server, "/failed"), timeout: 150)
        #expect(failed.outcome == .answered(status: 500) && failed.bodyPrefix == Array("hal".utf8))
        try harness.wait("all connections are given up") { $0.connectionsOpen == 0 }
        #expect(harness.resultCount == 4)
        harness.engine.stop()
    }

    /// The request on a dying connection is one failed attempt of its own class; it is never sent again.
    @Test func aDyingReusedConnectionIsAFailedAttempt() throws {
        let requests = Guarded(0)
        let server = ScriptedServer { peer in
            while peer.request() != nil {
                let count = requests.withLock { count in
                    count += 1
                    return count
                }
                if count == 2 { return }
                if count == 4 { return peer.reset() }
                peer.answer()
            }
        }
        defer { server.stop() }
        let harness = try Harness()
        let outcomes = try (0..<5).map { _ in try harness.post(url(server)) }
        #expect(outcomes.map(\.outcome.status) == [200, nil, 200, nil, 200])
        #expect(outcomes[1].outcome == .failed(.reusedConnectionClosed))
        #expect(outcomes[3].outcome == .failed(.reusedConnectionClosed))
        #expect(requests.withLock { $0 } == 5)
        harness.engine.stop()
    }

    @Test func anIdleConnectionThatSpeaksOrEndsIsClosed() throws {
        let server = ScriptedServer { peer in
            guard peer.request() != nil else { return }
            peer.answer()
            if peer.number == 0 { peer.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") }
            if peer.number < 2 { peer.awaitEnd() }
        }
        defer { server.stop() }
        let harness = try Harness()
        #expect(try harness.post(url(server)).outcome.isSuccess)
        try harness.wait("the talker is closed") { $0.connectionsOpen == 0 }
        #expect(try harness.post(url(server)).outcome.isSuccess)
        try harness.wait("the silent one is kept") { $0.connectionsIdle == 1 }
        harness.engine.update(policy: AddressPolicy())
        try harness.wait("a denied one is closed") { $0.connectionsOpen == 0 }
        #expect(try harness.post(url(server)).outcome == .failed(.addressDenied))
        #expect(harness.engine.counters.addressesDenied == 1)
        harness.engine.update(policy: Harness.loopback)
        #expect(try harness.post(url(server)).outcome.isSuccess)
        try harness.wait("the ended one is closed") { $0.connectionsOpen == 0 }
        harness.engine.stop()
    }

    /// Answer and end may be told by the very edge that tells of the connect.
    @Test func hearsAnAnswerThatComesBeforeTheRequest() throws {
        let server = ScriptedServer { peer in
            peer.write("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            if peer.number % 2 == 0 { shutdown(peer.descriptor, Int32(SHUT_WR)) }
            peer.awaitEnd()
        }
        defer { server.stop() }
        let harness = try Harness()
        for _ in 0..<20 { #expect(try harness.post(url(server)).outcome == .answered(status: 503)) }
        harness.engine.stop()
    }

    @Test func stopAndCancelGiveEveryRequestAResult() throws {
        let server = ScriptedServer { $0.awaitEnd() }
        defer { server.stop() }
        let harness = try Harness { $0.maximumConnectionsPerHost = 2 }
        let endpoint = try Harness.endpoint(url(server))
        func batch(_ tokens: Range<UInt64>) -> [HTTPRequest] {
            tokens.map {
                HTTPRequest(
                    token: $0, affinity: 0, endpoint: endpoint, headerLines: [], body: [1], timeoutMilliseconds: 60_000)
            }
        }
        harness.engine.submit(batch(0..<5))
        try harness.wait("two are on their way") { $0.inFlight == 5 && $0.connects == 2 }
        harness.engine.cancelAll()
        let cancelled = try harness.results(5)
        #expect(cancelled.allSatisfy { $0.outcome == .failed(.connectionClosed) && $0.cancellation != .none })
        #expect(cancelled.count { $0.cancellation == .beforeSending } >= 3)
        harness.engine.submit(batch(5..<9))
        harness.engine.stop()
        #expect(harness.resultCount == 9)
        harness.engine.submit(batch(9..<11))
        let all = try harness.results(11)
        #expect(all.map(\.token) == Array(0..<11))
        #expect(all[9].cancellation == .beforeSending)
    }

    @Test(arguments: [1, 3]) func tenThousandOverEightConnections(_ threads: Int) throws {
        let server = ScriptedServer { peer in
            while let request = peer.request() { peer.answer(request.hasSuffix("7") ? 500 : 200) }
        }
        defer { server.stop() }
        let harness = try Harness(threads: threads) { $0.maximumConnectionsPerHost = 8 }
        let endpoint = try Harness.endpoint(url(server))
        for start in stride(from: UInt64(0), to: 10_000, by: 500) {
            harness.engine.submit(
                (start..<start + 500).map {
                    HTTPRequest(
                        token: $0, affinity: Int($0), endpoint: endpoint, headerLines: [], body: Array("\($0)".utf8),
                        timeoutMilliseconds: 30_000)
                })
        }
        let results = try harness.results(10_000)
        #expect(results.map(\.token) == Array(0..<10_000))
        #expect(results.allSatisfy { $0.outcome == .answered(status: $0.token % 10 == 7 ? 500 : 200) })
        #expect(server.connections == 8 * threads)
        harness.engine.stop()
        #expect(harness.resultCount == 10_000)
    }
}
