// Names: what the engine makes of a nameserver's answers, good, bad, late and hostile.
import Core
import Glibc
import HTTPEngine
import Testing

@Suite(.timeLimit(.minutes(2))) struct DNSTests {
    @Test func resolvesJudgesAndFallsBack() throws {
        let nameserver = ScriptedNameserver([
            "one.example": .addresses(["127.0.0.1"]), "mixed.example": .addresses(["127.0.0.1", "10.0.0.1"]),
            "private.example": .addresses(["169.254.169.254"]), "two.example": .addresses(["127.0.0.2", "127.0.0.1"]),
            "broken.example": .code(2), "silent.example": .silence, "empty.example": .addresses([]),
            "many.example": .addresses((1...25).map { "127.0.1.\($0)" }),
        ])
        defer { nameserver.stop() }
        let server = ScriptedServer { peer in while peer.request() != nil { peer.answer() } }
        defer { server.stop() }
        let harness = try Harness { $0.nameservers = ["127.0.0.1:\(nameserver.port)"] }
        func outcome(_ name: String, timeout: Int = 5000) throws -> Outcome {
            try harness.post("http://\(name):\(server.port)/", timeout: timeout).outcome
        }
        #expect(try outcome("one.example") == .answered(status: 200))
        #expect(try outcome("ONE.example.") == .answered(status: 200))
        #expect(nameserver.questions == ["one.example"])
        #expect(try outcome("mixed.example") == .failed(.addressDenied))
        #expect(try outcome("private.example") == .failed(.addressDenied))
        #expect(try outcome("two.example") == .answered(status: 200))
        #expect(try outcome("two.example") == .answered(status: 200))
        #expect(try outcome("many.example") == .failed(.connectRefused))
        #expect(try outcome("missing.example") == .failed(.dnsNotFound))
        #expect(try outcome("empty.example") == .failed(.dnsNotFound))
        #expect(try outcome("broken.example") == .failed(.dnsFailed))
        #expect(try outcome("silent.example", timeout: 100) == .failed(.dnsTimeout))
        let counters = harness.engine.counters
        #expect(counters.reuses == 2 && counters.dnsCacheHits == 2)
        #expect(counters.dnsFound == 5 && counters.dnsNotFound == 2 && counters.dnsFailed == 1)
        harness.engine.stop()
    }

    @Test func mergesLookupsOfOneName() throws {
        let nameserver = ScriptedNameserver(["one.example": .addresses(["127.0.0.1"])])
        defer { nameserver.stop() }
        let server = ScriptedServer { peer in while peer.request() != nil { peer.answer() } }
        defer { server.stop() }
        let harness = try Harness {
            $0.nameservers = ["127.0.0.1:\(nameserver.port)"]
            $0.maximumConnectionsPerHost = 16
        }
        let endpoint = try Harness.endpoint("http://one.example:\(server.port)/")
        harness.engine.submit(
            (0..<50).map { HTTPRequest(token: $0, affinity: 0, endpoint: endpoint, headerLines: [], body: [1]) })
        let results = try harness.results(50)
        #expect(results.allSatisfy { $0.outcome == .answered(status: 200) })
        #expect(nameserver.questions.count == 1 && harness.engine.counters.dnsQueries == 1)
        #expect(server.connections == 16)
        harness.engine.stop()
    }

    @Test func stopsWithLookupsUnderWay() throws {
        let nameserver = ScriptedNameserver(["silent.example": .silence])
        defer { nameserver.stop() }
        let harness = try Harness { $0.nameservers = ["127.0.0.1:\(nameserver.port)"] }
        let endpoint = try Harness.endpoint("http://silent.example/")
        harness.engine.submit([HTTPRequest(token: 1, affinity: 0, endpoint: endpoint, headerLines: [], body: [])])
        try harness.wait("it was asked") { $0.dnsQueries == 1 }
        harness.engine.stop()
        #expect(try harness.results(1)[0].cancellation == .beforeSending)
    }

    @Test func refusesANameserverThatIsNone() {
        #expect(throws: HTTPEngineFault.self) { try Harness { $0.nameservers = ["not an address"] } }
    }

    /// 200 addresses are judged and eight tried; a last one that is denied denies them all.
    @Test func boundsWhatANameCosts() throws {
        let many = (1...200).map { "127.0.1.\($0)" }
        let nameserver = ScriptedNameserver([
            "many.example": .addresses(many), "many-but-one.example": .addresses(many + ["10.0.0.1"]),
            "too-many.example": .addresses((0..<300).map { "127.0.\($0 / 100 + 2).\($0 % 100)" }),
        ])
        defer { nameserver.stop() }
        let harness = try Harness { $0.nameservers = ["127.0.0.1:\(nameserver.port)"] }
        let (socket, port) = ScriptedServer.listen(1)
        close(socket)
        #expect(try harness.post("http://many.example:\(port)/").outcome == .failed(.connectRefused))
        #expect(harness.engine.counters.connects <= 8)
        #expect(try harness.post("http://many-but-one.example:\(port)/").outcome == .failed(.addressDenied))
        #expect(try harness.post("http://too-many.example:\(port)/").outcome == .failed(.dnsFailed))
        harness.engine.stop()
    }

    /// A nameserver that drops the questions of one family costs next to nothing.
    @Test func doesNotWaitForTheOtherFamily() throws {
        let nameserver = ScriptedNameserver([
            "half.example": .split(v4: .addresses(["127.0.0.1"]), v6: .silence),
            "broken.example": .split(v4: .addresses(["127.0.0.1"]), v6: .code(2)),
            "uncertain.example": .split(v4: .code(3), v6: .code(2)),
        ])
        defer { nameserver.stop() }
        let server = ScriptedServer { peer in while peer.request() != nil { peer.answer() } }
        defer { server.stop() }
        let harness = try Harness { $0.nameservers = ["127.0.0.1:\(nameserver.port)"] }
        let half = try harness.post("http://half.example:\(server.port)/")
        #expect(half.outcome == .answered(status: 200) && half.durationMicroseconds < 1_400_000)
        #expect(try harness.post("http://broken.example:\(server.port)/").outcome == .answered(status: 200))
        #expect(try harness.post("http://uncertain.example:\(server.port)/").outcome == .failed(.dnsFailed))
        harness.engine.stop()
    }

    /// The first address answers no SYN: the second one is tried beside it, and the loser is closed.
    @Test func racesAddresses() throws {
        let server = ScriptedServer { peer in while peer.request() != nil { peer.answer() } }
        defer { server.stop() }
        let (hole, _) = ScriptedServer.listen(0, at: "127.0.0.3", port: server.port)
        let queue = ScriptedServer.fillQueue(at: "127.0.0.3", port: server.port, count: 6)
        defer { for descriptor in queue + [hole] { close(descriptor) } }
        let nameserver = ScriptedNameserver([
            "two.example": .addresses(["127.0.0.3", "127.0.0.1"]), "six.example": .addresses(["::1", "127.0.0.1"]),
        ])
        defer { nameserver.stop() }
        let policy = AddressPolicy(allow: [Network("127.0.0.0/8")!, Network("::1/128")!])
        let harness = try Harness(policy: policy) { $0.nameservers = ["127.0.0.1:\(nameserver.port)"] }
        let raced = try harness.post("http://two.example:\(server.port)/")
        #expect(raced.outcome == .answered(status: 200))
        #expect((250_000..<2_400_000).contains(raced.durationMicroseconds))
        try harness.wait("the loser is closed") { $0.connectionsOpen == 1 && $0.connectionsIdle == 1 }
        #expect(try harness.post("http://two.example:\(server.port)/").reusedConnection)
        // Nothing listens there on IPv6: no time is lost.
        let refused = try harness.post("http://six.example:\(server.port)/")
        #expect(refused.outcome == .answered(status: 200) && harness.engine.counters.connects == 4)
        harness.engine.stop()
    }

    @Test func prefersIPv6() throws {
        let server = ScriptedServer(at: "::1") { peer in while peer.request() != nil { peer.answer() } }
        defer { server.stop() }
        let nameserver = ScriptedNameserver(["six.example": .addresses(["127.0.0.1", "::1"])])
        defer { nameserver.stop() }
        let policy = AddressPolicy(allow: [Network("127.0.0.0/8")!, Network("::1/128")!])
        let harness = try Harness(policy: policy) { $0.nameservers = ["127.0.0.1:\(nameserver.port)"] }
        #expect(try harness.post("http://six.example:\(server.port)/").outcome == .answered(status: 200))
        #expect(harness.engine.counters.connects == 1)
        harness.engine.stop()
    }
}
