// No request begins once its lease is over, however it came to be late: in our inbox, at the nameserver, in the queue for
// a connection, in the handshake.
import Core
import HTTPEngine
import Runtime
import Testing

@Suite(.timeLimit(.minutes(2))) struct StartLeaseTests {
    private static let ever = UInt64.max

    private func request(_ token: UInt64, _ url: String, _ lease: StartLease?) throws -> HTTPRequest {
        HTTPRequest(
            token: token, affinity: 0, endpoint: try Harness.endpoint(url), headerLines: [], body: [1],
            timeoutMilliseconds: 30_000, lease: lease)
    }

    @Test func whatComesTooLateIsNotBegun() throws {
        let server = ScriptedServer { peer in while peer.request() != nil { peer.answer() } }
        defer { server.stop() }
        let harness = try Harness()
        let url = "http://127.0.0.1:\(server.port)/"
        let over = StartLease(until: Clock.monotonic())
        harness.engine.submit([try request(0, url, over), try request(1, url, StartLease(until: Self.ever))])
        let results = try harness.results(2)
        #expect(results[0].cancellation == .tooLate)
        #expect(results[1].cancellation == .none && results[1].outcome == .answered(status: 200))
        #expect(harness.engine.counters.connects == 1 && harness.engine.counters.startsTooLate == 1)
        over.renew(until: Self.ever)
        harness.engine.submit([try request(2, url, over)])
        #expect(try harness.results(3)[2].outcome == .answered(status: 200))
        harness.engine.stop()
    }

    /// The first question is lost, the second, 1.5 s later, is answered.
    @Test func notAfterTheNameServerLetItWait() throws {
        let requests = Guarded(0)
        let server = ScriptedServer { peer in
            while peer.request() != nil {
                requests.withLock { $0 += 1 }
                peer.answer()
            }
        }
        defer { server.stop() }
        let nameserver = ScriptedNameserver([
            "slow.example": .changing([.silence, .addresses(["127.0.0.1"])])
        ])
        defer { nameserver.stop() }
        let harness = try Harness { $0.nameservers = ["127.0.0.1:\(nameserver.port)"] }
        let lease = StartLease(until: Self.ever)
        harness.engine.submit([try request(0, "http://slow.example:\(server.port)/", lease)])
        try harness.wait("it was asked") { $0.dnsQueries == 1 }
        lease.revoke()
        let result = try harness.results(1)[0]
        #expect(result.cancellation == .tooLate && requests.withLock { $0 } == 0)
        harness.engine.stop()
    }

    @Test func notAfterTheQueueForAConnection() throws {
        let requests = Guarded(0)
        let isReleased = EventFD()
        let server = ScriptedServer { peer in
            while peer.request() != nil {
                requests.withLock { $0 += 1 }
                isReleased.wait(milliseconds: 20_000)
                peer.answer()
            }
        }
        defer { server.stop() }
        let harness = try Harness { $0.maximumConnectionsPerHost = 1 }
        let url = "http://127.0.0.1:\(server.port)/"
        let lease = StartLease(until: Self.ever)
        harness.engine.submit([try request(0, url, lease), try request(1, url, lease), try request(2, url, nil)])
        try harness.wait("one is with the server, two wait") { $0.connects == 1 && $0.inFlight == 3 }
        while requests.withLock({ $0 }) == 0 { EventFD().wait(milliseconds: 1) }
        lease.revoke()
        isReleased.signal()
        let results = try harness.results(3)
        #expect(results[0].outcome == .answered(status: 200), "what has begun comes to its end")
        #expect(results[1].cancellation == .tooLate)
        #expect(results[2].outcome == .answered(status: 200), "and those behind it get their turn")
        #expect(requests.withLock { $0 } == 2)
        harness.engine.stop()
    }

    /// The server's end of the handshake waits until the lease is over.
    @Test func notAfterTheHandshake() throws {
        let requests = Guarded(0)
        let mayShakeHands = EventFD()
        let server = ScriptedServer(
            tls: Certificates.shared.tls("good"), beforeHandshake: { mayShakeHands.wait(milliseconds: 20_000) }
        ) { peer in
            while peer.request() != nil {
                requests.withLock { $0 += 1 }
                peer.answer()
            }
        }
        defer { server.stop() }
        let harness = try Harness { $0.authoritiesFile = Certificates.shared.folder + "/ca.pem" }
        let lease = StartLease(until: Self.ever)
        harness.engine.submit([try request(0, "https://127.0.0.1:\(server.port)/", lease)])
        try harness.wait("it connects") { $0.connectionsOpening == 1 }
        lease.revoke()
        mayShakeHands.signal()
        #expect(try harness.results(1)[0].cancellation == .tooLate)
        #expect(harness.engine.counters.tlsHandshakes == 1, "it was the lease that ended it")
        try harness.wait("the connection goes") { $0.connectionsOpen == 0 && $0.connectionsOpening == 0 }
        #expect(requests.withLock { $0 } == 0)
        harness.engine.stop()
    }
}
