// Names: a nameserver that answers by script, and what the engine makes of its answers.
import CLinux
import Core
import Glibc
import HTTPEngine
import Runtime
import Synchronization
import Testing

/// Answers A questions over UDP; AAAA ones with nothing.
final class ScriptedNameserver: Sendable {
    enum Answer: Sendable {
        case addresses([String])
        case code(UInt8)
        case silence
    }
    let port: UInt16
    private let descriptor: Int32
    private let isStopped = Atomic(false)
    private let asked = Mutex<[String]>([])
    private let thread = Mutex<OwnedThread?>(nil)

    /// Names of the A questions so far.
    var questions: [String] { asked.withLock { $0 } }

    init(_ answers: [String: Answer]) {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                precondition(bind(descriptor, $0, length) == 0)
                getsockname(descriptor, $0, &length)
            }
        }
        port = UInt16(bigEndian: name.sin_port)
        thread.withLock { $0 = OwnedThread(name: "nameserver") { [self] in serve(answers) } }
    }

    private func serve(_ answers: [String: Answer]) {
        var packet = [UInt8](repeating: 0, count: 1500)
        while !isStopped.load(ordering: .acquiring) {
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, 20) > 0 else { continue }
            var peer = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            withUnsafeMutablePointer(to: &peer) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    let count = recvfrom(descriptor, &packet, packet.count, 0, $0, &length)
                    guard count > 16, let reply = reply(Array(packet[..<count]), answers) else { return }
                    sendto(descriptor, reply, reply.count, 0, $0, length)
                }
            }
        }
    }

    private func reply(_ query: [UInt8], _ answers: [String: Answer]) -> [UInt8]? {
        var labels: [String] = []
        var position = 12
        while query[position] != 0 {
            let length = Int(query[position])
            labels.append(String(decoding: query[position + 1...position + length], as: UTF8.self))
            position += length + 1
        }
        let isA = query[position + 2] == 1
        let question = query[12..<position + 5]
        let name = labels.joined(separator: ".").lowercased()
        if isA { asked.withLock { $0.append(name) } }
        var addresses: [IPAddress] = []
        var code: UInt8 = 0
        switch answers[name] ?? .code(3) {
        case .silence: return nil
        case .code(let told): code = told
        case .addresses(let texts): addresses = isA ? texts.map { IPAddress($0)! } : []
        }
        var reply = [query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, UInt8(addresses.count), 0, 0, 0, 0] + question
        for address in addresses { reply += [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4] + address.bytes[12...] }
        return reply
    }

    func stop() {
        isStopped.store(true, ordering: .releasing)
        thread.withLock { thread in
            thread?.join()
            thread = nil
        }
        close(descriptor)
    }
}

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
        #expect(harness.engine.counters.reuses == 2)
        harness.engine.stop()
    }

    @Test func mergesLookupsOfOneName() throws {
        let nameserver = ScriptedNameserver(["one.example": .addresses(["127.0.0.1"])])
        defer { nameserver.stop() }
        let server = ScriptedServer { peer in while peer.request() != nil { peer.answer() } }
        defer { server.stop() }
        let harness = try Harness { $0.nameservers = ["127.0.0.1:\(nameserver.port)"] }
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
}
