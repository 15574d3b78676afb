// Names of /etc/hosts: the file is asked before any nameserver. The resolver is asked by itself, since the names that are in
// every such file have one label, which no endpoint's may.
import Core
import Glibc
import Runtime
import Testing

@testable import HTTPEngine

@Suite(.timeLimit(.minutes(1))) struct HostsFileTests {
    /// Name and address of a line of this machine's file, rather not `localhost`, which libraries know by themselves.
    private static let entry: (name: String, address: IPAddress)? = {
        guard let file = fopen("/etc/hosts", "r") else { return nil }
        defer { fclose(file) }
        var found: [(name: String, address: IPAddress)] = []
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, 4096, file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let words = text.prefix { $0 != "#" }.split { $0 == " " || $0 == "\t" || $0 == "\n" }.map(String.init)
            guard let address = words.first.flatMap({ IPAddress($0) }) else { continue }
            found += words.dropFirst().map { ($0, address) }
        }
        return found.first { $0.name != "localhost" } ?? found.first
    }()

    @Test(.enabled(if: entry != nil)) func theFileIsAskedFirst() throws {
        let entry = try #require(Self.entry)
        let nameserver = ScriptedNameserver([entry.name: .addresses(["192.0.2.99"])])
        defer { nameserver.stop() }
        let resolver = try Resolver.make(nameservers: ["127.0.0.1:\(nameserver.port)"])
        var sockets: Set<Int32> = []
        resolver.watch = { descriptor, readable, writable, _ in
            if readable || writable { sockets.insert(descriptor) } else { sockets.remove(descriptor) }
        }
        resolver.ask(entry.name)
        var answers: [Resolver.Answer] = []
        let end = Clock.monotonic() + 30_000_000_000
        // The family that the file does not have may be asked of the nameserver.
        while answers.isEmpty || resolver.pending > 0, Clock.monotonic() < end {
            for descriptor in sockets { resolver.process(descriptor, readable: true, writable: false) }
            resolver.tick()
            answers += resolver.takeAnswers(now: Clock.monotonic())
            usleep(1000)
        }
        let answer = try #require(answers.first)
        guard case .addresses(let addresses) = answer.resolution else {
            Issue.record("\(entry.name): \(answer.resolution)")
            return
        }
        #expect(addresses.contains(entry.address), "\(entry.name) is \(addresses)")
        #expect(!addresses.contains(IPAddress("192.0.2.99")!))
        resolver.watch = nil
    }
}
