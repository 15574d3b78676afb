// The value types of Settings: durations, addresses, what is derived from them.
import Core
import Testing

@Suite struct SettingsValueTests {
    @Test(
        arguments: [
            ("500ms", 500), ("0s", 0), ("5s", 5000), ("30m", 1_800_000), ("24h", 86_400_000), ("2d", 172_800_000),
            ("007s", 7000), ("106751991167d", 9_223_372_036_828_800_000),
        ] as [(String, Int64)])
    func `a duration is a whole number and a unit`(text: String, count: Int64) {
        #expect(Milliseconds(text)?.count == count)
    }

    @Test(arguments: [
        "", "5", "s", "5 s", "5S", "-5s", "+5s", "1.5h", "1h30m", "5sec", "٥s", "99999999999999999999s",
        "106751991168d",
    ])
    func `anything else is no duration`(text: String) {
        #expect(Milliseconds(text) == nil)
    }

    @Test func `a duration is written in its largest unit, hours at most`() {
        let texts: [String] = ["5s", "30s", "5m", "30m", "2h", "6h", "12h", "24h"]
        #expect(Settings.Retry().labels == texts)
        #expect(Milliseconds.days(2).description == "48h")
        #expect(Milliseconds(1500).description == "1500ms")
        #expect(Milliseconds(0).description == "0s")
    }

    @Test func `the scale changes the waits and not the labels`() {
        var retry = Settings.Retry()
        retry.timeScale = 0.001
        #expect(retry.waits.map(\.count) == [5, 30, 300, 1800, 7200, 21_600, 43_200, 86_400])
        #expect(retry.labels[7] == "24h")
        #expect(Milliseconds(Int64.max).scaled(by: 1000).count == .max)
    }

    @Test func `the documented schedule lasts 44 h 35 m 35 s`() {
        var total: Int64 = 0
        for wait in Settings.Retry().waits { total += wait.count }
        let documented: Int64 = 44 * 3_600_000 + 35 * 60_000 + 35_000
        #expect(total == documented)
    }

    @Test(
        arguments: [
            ("127.0.0.1:8080", "127.0.0.1", 8080), ("0.0.0.0:0", "0.0.0.0", 0), ("[::1]:65535", "::1", 65535),
            ("localhost:80", "127.0.0.1", 80),
        ] as [(String, String, UInt16)])
    func `a listen address has host and port`(text: String, host: String, port: UInt16) {
        #expect(ListenAddress(text) == ListenAddress(host: host, port: port))
    }

    @Test(arguments: [
        "", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:80", "[127.0.0.1]:80", "a:+1", "[]:1",
    ])
    func `anything else is no listen address`(text: String) {
        #expect(ListenAddress(text) == nil)
    }

    @Test func `copies follow the cluster where nobody says`() {
        var topics = Settings.Topics()
        #expect([0, 1, 2, 3, 9].map(topics.copies) == [1, 1, 2, 3, 3])
        topics.replicationFactor = 2
        #expect(topics.copies(brokers: 9) == 2)
    }

    @Test func `mail is a default role only where it is configured`() {
        #expect(Role.defaults(mailIsConfigured: false) == [.translate, .deliver, .retry, .registry, .api])
        #expect(Role.defaults(mailIsConfigured: true) == Role.allCases)
    }
}
