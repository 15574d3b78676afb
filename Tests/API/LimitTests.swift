// The limits of requests and of failed authentications, over real sockets.
import API
import Core
import HTTPProbe
import Runtime
import Testing

@Suite struct LimitTests {
    private func api(requests: Int = 0, failures: Int = 0) throws -> TestAPI {
        var limits = Settings.Limits()
        limits.requestsPerMinute = requests
        limits.authFailuresPerMinute = failures
        return try TestAPI(limits: limits)
    }

    private func rate(_ response: ProbeResponse) -> [Int] {
        ["X-RateLimit-Limit", "X-RateLimit-Remaining"].compactMap { response.header($0).flatMap { Int($0) } }
    }

    @Test func aKeyHasItsRequests() throws {
        let api = try api(requests: 4)
        let id = try api.register()
        // Also what is answered later, and what is refused.
        let patched = try api.call("PATCH", "/v1/webhooks/\(id)", #"{"isActive":false}"#)
        #expect(patched.status == 200 && rate(patched) == [4, 2])
        let missing = try api.call("GET", "/v1/webhooks/none")
        #expect(missing.status == 404 && rate(missing) == [4, 1])
        let last = try api.call("GET", "/v1/webhooks")
        #expect(last.status == 200 && rate(last) == [4, 0])
        let now = Int(Clock.wallMilliseconds() / 1000)
        let reset = try #require(last.header("X-RateLimit-Reset").flatMap { Int($0) })
        #expect((now...now + 61).contains(reset))

        let commands = api.registry.commands.withLock { $0.count }
        let refused = try api.call("DELETE", "/v1/webhooks/\(id)")
        #expect(refused.status == 429 && refused.code == "RATE_LIMITED" && rate(refused) == [4, 0])
        #expect(refused.json["error"]["details"]["limit"].int == 4)
        #expect((1...60).contains(refused.header("Retry-After").flatMap { Int($0) } ?? 0))
        #expect(api.registry.commands.withLock { $0.count } == commands)

        let others = try api.call("GET", "/v1/webhooks", key: api.others.key)
        #expect(others.status == 200 && rate(others) == [4, 3])
    }

    @Test func noLimitHasNoHeaders() throws {
        let api = try api()
        let response = try api.call("GET", "/v1/webhooks")
        #expect(response.status == 200 && response.header("X-RateLimit-Limit") == nil)
    }

    @Test func failedAuthenticationsAreLimitedAndNeverAValidKey() throws {
        let api = try api(failures: 3)
        let wrong = APIKeyText.generate(.live)
        for _ in 0..<3 { #expect(try api.call("GET", "/v1/webhooks", key: wrong).status == 401) }
        for _ in 0..<2 {
            let refused = try api.call("GET", "/v1/webhooks", key: wrong)
            #expect(refused.status == 429 && refused.code == "RATE_LIMITED")
            #expect((1...60).contains(refused.header("Retry-After").flatMap { Int($0) } ?? 0))
            #expect(try api.call("GET", "/v1/webhooks").status == 200)
        }
        #expect(try probe(port: api.server.port, "GET", "/v1/webhooks").status == 429)
        #expect(try probe(port: api.server.port, "GET", "/v1/openapi.json").status == 200)
    }

    @Test func withoutALimitEveryFailureIsOne() throws {
        let api = try api()
        for _ in 0..<100 { #expect(try probe(port: api.server.port, "GET", "/v1/webhooks").status == 401) }
    }
}
