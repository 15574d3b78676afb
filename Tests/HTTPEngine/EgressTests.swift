// The guard at connect and on reuse: whatever a name turns out to be, only judged addresses are connected to.
import Core
import Glibc
import HTTPEngine
import Runtime
import Testing

@Suite(.timeLimit(.minutes(2))) struct EgressTests {
    /// Every kind of place that no POST may reach, as a nameserver can tell it.
    static let hostile = [
        "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.8.8.8", "169.254.169.254", "172.16.0.1", "192.0.0.1",
        "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255", "168.63.129.16", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
        "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::7f00:1", "2001:db8::1", "2002:7f00:1::",
        "2a00::5efe:10.0.0.1",
        "3fff::1", "4000::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
    ]

    @Test func deniesWhateverANameResolvesTo() throws {
        var answers: [String: ScriptedNameserver.Answer] = [:]
        for (number, address) in Self.hostile.enumerated() {
            answers["h\(number).example"] = .addresses([address])
            answers["m\(number).example"] = .addresses(["8.8.8.8", "2a00:1450::1", address])
        }
        let nameserver = ScriptedNameserver(answers)
        defer { nameserver.stop() }
        let harness = try Harness(policy: AddressPolicy()) { $0.nameservers = ["127.0.0.1:\(nameserver.port)"] }
        for number in Self.hostile.indices {
            for kind in ["h", "m"] {
                let result = try harness.post("https://\(kind)\(number).example/")
                #expect(result.outcome == .failed(.addressDenied), "\(kind) \(Self.hostile[number])")
                #expect(result.outcome.errorText == "Endpoint address not allowed")
                #expect(result.responseHead.isEmpty && result.bodyPrefix.isEmpty)
            }
        }
        #expect(harness.engine.counters.connects == 0)
        harness.engine.stop()
    }

    /// The name changes between two requests: neither a new connection nor the idle one to where it was is used.
    @Test(arguments: [["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["::ffff:10.0.0.1"], ["127.0.0.1", "fd00::1"]])
    func aNameThatChangesIsJudgedAgain(_ later: [String]) throws {
        let requests = Guarded(0)
        let server = ScriptedServer { peer in
            while peer.request() != nil {
                requests.withLock { $0 += 1 }
                peer.answer()
            }
        }
        defer { server.stop() }
        let nameserver = ScriptedNameserver([
            "rebinding.example": .changing([.addresses(["127.0.0.1"]), .addresses(later)])
        ])
        defer { nameserver.stop() }
        let harness = try Harness { $0.nameservers = ["127.0.0.1:\(nameserver.port)"] }
        let url = "http://rebinding.example:\(server.port)/"
        var delivered = 0
        var outcome = try harness.post(url).outcome
        // Until the answer's second of life is over the name is what it was.
        while outcome == .answered(status: 200) {
            delivered += 1
            usleep(50_000)
            outcome = try harness.post(url).outcome
        }
        #expect(outcome == .failed(.addressDenied) && delivered >= 1)
        #expect(harness.engine.counters.connectionsIdle == 1, "there was a connection to reuse")
        #expect(requests.withLock { $0 } == delivered)
        #expect(try harness.post(url).outcome == .failed(.addressDenied))
        harness.engine.stop()
    }

    /// A name that moves from one allowed address to another does not ride on the old connection.
    @Test func aConnectionBelongsToItsAddress() throws {
        let server = ScriptedServer(at: "127.0.0.1") { peer in while peer.request() != nil { peer.answer(200) } }
        defer { server.stop() }
        let other = ScriptedServer(at: "127.0.0.2", port: server.port) { peer in
            while peer.request() != nil { peer.answer(202) }
        }
        defer { other.stop() }
        let nameserver = ScriptedNameserver([
            "moving.example": .changing([.addresses(["127.0.0.1"]), .addresses(["127.0.0.2"])])
        ])
        defer { nameserver.stop() }
        let harness = try Harness { $0.nameservers = ["127.0.0.1:\(nameserver.port)"] }
        let url = "http://moving.example:\(server.port)/"
        while try harness.post(url).outcome == .answered(status: 200) { usleep(50_000) }
        #expect(try harness.post(url).outcome == .answered(status: 202))
        harness.engine.stop()
    }

    @Test func ourOwnListenersAreDenied() throws {
        let server = ScriptedServer { peer in while peer.request() != nil { peer.answer() } }
        defer { server.stop() }
        let nameserver = ScriptedNameserver(["inside.example": .addresses(["127.0.0.1"])])
        defer { nameserver.stop() }
        let policy = AddressPolicy(
            allow: [Network("127.0.0.0/8")!], ownListeners: [.init(address: IPAddress("127.0.0.1")!, port: server.port)]
        )
        let harness = try Harness(policy: policy) { $0.nameservers = ["127.0.0.1:\(nameserver.port)"] }
        #expect(try harness.post("http://inside.example:\(server.port)/").outcome == .failed(.addressDenied))
        #expect(harness.engine.counters.connects == 0)
        harness.engine.stop()
    }

    /// A policy that comes while a connection is being made stops it before the request.
    @Test func aNewPolicyStopsWhatIsBeingMade() throws {
        let requests = Guarded(0)
        let server = ScriptedServer { peer in
            // No TLS is spoken: the handshake stays open.
            peer.awaitEnd()
            requests.withLock { $0 += 1 }
        }
        defer { server.stop() }
        let harness = try Harness()
        harness.engine.submit([
            HTTPRequest(
                token: 0, affinity: 0, endpoint: try Harness.endpoint("https://127.0.0.1:\(server.port)/"),
                headerLines: [], body: [], timeoutMilliseconds: 30_000)
        ])
        try harness.wait("it connects") { $0.connects == 1 }
        harness.engine.update(policy: AddressPolicy())
        #expect(try harness.results(1)[0].outcome == .failed(.addressDenied))
        try harness.wait("it is closed") { $0.connectionsOpen == 0 }
        harness.engine.stop()
    }

    // MARK: Where we come from

    @Test(arguments: [("127.0.0.1", "127.0.0.5"), ("::1", "::1")])
    func connectsFromTheSourceAddress(_ receiver: String, _ source: String) throws {
        let seen = Guarded<IPAddress?>(nil)
        let server = ScriptedServer(at: receiver) { peer in
            while peer.request() != nil {
                seen.withLock { $0 = peer.address }
                peer.answer()
            }
        }
        defer { server.stop() }
        let policy = AddressPolicy(allow: [Network("127.0.0.0/8")!, Network("::1/128")!])
        let harness = try Harness(policy: policy) {
            $0.sourceAddresses = [IPAddress("127.0.0.5")!, IPAddress("::1")!]
        }
        let host = receiver.contains(":") ? "[\(receiver)]" : receiver
        #expect(try harness.post("http://\(host):\(server.port)/").outcome == .answered(status: 200))
        #expect(seen.withLock { $0 } == IPAddress(source))
        harness.engine.stop()
    }

    @Test func saysThatASourceAddressIsNotOurs() throws {
        let foreign = try #require(IPAddress("203.0.113.1"))
        #expect(throws: HTTPEngineFault.sourceAddress(foreign)) { try Harness { $0.sourceAddresses = [foreign] } }
    }

    @Test func knowsTheAddressesOfThisMachine() throws {
        #expect(InterfaceAddresses.all().contains(try #require(IPAddress("127.0.0.1"))))
    }
}
