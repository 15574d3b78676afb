// An engine with a place where its results gather, and a wait for a condition instead of a time.
import Core
import HTTPEngine
import Runtime
import Testing

final class Harness: Sendable {
    private final class Store: Sendable {
        let results = Guarded<[HTTPResult]>([])
        let wake = EventFD()
    }
    private let store = Store()
    let engine: HTTPEngine
    let policy: AddressPolicy

    static let loopback = AddressPolicy(allow: [Network("127.0.0.0/8")!])

    init(
        threads: Int = 1, policy: AddressPolicy = loopback,
        _ configure: (inout HTTPEngineConfiguration) -> Void = { _ in }
    ) throws {
        var configuration = HTTPEngineConfiguration()
        configuration.policy = policy
        configure(&configuration)
        self.policy = policy
        let store = store
        engine = try HTTPEngine(configuration: configuration, threads: threads) { batch in
            store.results.withLock { $0 += batch }
            store.wake.signal()
        }
    }

    /// Results are looked for until there are so many; a test that waits for ever is stopped after 30 s.
    func results(_ count: Int) throws -> [HTTPResult] {
        let end = Clock.monotonic() + 30_000_000_000
        while true {
            store.wake.clear()
            let results = store.results.withLock { $0 }
            if results.count >= count { return results.sorted { $0.token < $1.token } }
            try #require(Clock.monotonic() < end, "only \(results.count) of \(count) results came")
            store.wake.wait(milliseconds: 1000)
        }
    }

    var resultCount: Int { store.results.withLock { $0.count } }

    static func endpoint(_ url: String, policy: AddressPolicy = loopback, lines: String = "User-Agent: Test\r\n") throws
        -> HTTPEndpoint
    {
        HTTPEndpoint(try EndpointURL(url, allowHTTP: true, policy: policy), fixedLines: Array(lines.utf8))
    }

    /// One POST and its result.
    func post(
        _ url: String, body: String = "{}", timeout: Int = 5000, keepsSuccess: Bool = false
    ) throws -> HTTPResult {
        let before = resultCount
        let request = HTTPRequest(
            token: UInt64(before), affinity: 0, endpoint: try Self.endpoint(url, policy: policy),
            headerLines: Array("X-A: b\r\n".utf8),
            body: Array(body.utf8), timeoutMilliseconds: timeout, keepsSuccess: keepsSuccess)
        engine.submit([request])
        return try results(before + 1)[before]
    }

    /// Waits until the engine's counters say so.
    func wait(_ what: Comment, until isTrue: (HTTPEngineCounters) -> Bool) throws {
        let end = Clock.monotonic() + 30_000_000_000
        while !isTrue(engine.counters) {
            try #require(Clock.monotonic() < end, what)
            store.wake.wait(milliseconds: 2)
        }
    }
}
