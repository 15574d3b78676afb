// Everything that can be wrong, each with its key, cause and place, and all of it at once.
import Configuration
import Testing

@Suite struct FaultTests {
    let folder = TemporaryFolder()

    private func faults(
        _ file: String? = nil, environment: [String: String] = [:], sets: [String] = [],
        needs: ConfigurationRequest.Needs = []
    ) -> [String] {
        let path = file.map { folder.write("bridge.json5", $0) }
        let check = checkConfiguration(path: path, sets: sets, environment: environment, needs: needs)
        return check.faults.map { $0.description.replacing(folder.path + "/", with: "") }
    }

    @Test func `every fault is listed at once, with its place`() {
        folder.write("short.key", "abc", mode: 0o644)
        let file = """
            {
              limits: { eventsPerSecond: -3, eventPerSecond: 1, payloadBytes: "1M" },
              api: { listen: "8080" }, retry: { tiers: ["5s"], timeScale: -1 },
              egress: 7,
              mappings: "nowhere",
              egress: { allowNetworks: ["10.0.0.0/33"], allow_http: true },
              secrets: { keyFile: "short.key" },
              state: { directory: "bridge.json5/x" },
              kafka: { "sasl.password": { file: "nothing" }, x: [] },
            }
            """
        let found = faults(
            file, environment: ["BRIDGE_TOPICS_PARTITIONS": "0", "BRIDGE_NOTHING": "1"],
            sets: ["ops.listen=x", "nonsense"], needs: .all)
        #expect(
            found == [
                "bridge.json5:2: limits.eventsPerSecond: must be a whole number from 0 to 1000000 (was -3)",
                "bridge.json5:2: limits.eventPerSecond: unknown key; did you mean limits.eventsPerSecond?",
                "bridge.json5:2: limits.payloadBytes: must be a whole number from 1024 to 16777216 (was \"1M\")",
                "bridge.json5:3: api.listen: must be host:port with a literal address, such as \"127.0.0.1:8080\", \"0.0.0.0:8080\" or \"[::1]:8080\" (was \"8080\")",
                "bridge.json5:3: retry.tiers: must be a list of eight durations, none shorter than the one before it (there were 1)",
                "bridge.json5:3: retry.timeScale: must be a number from 0 to 1000 (was -1)",
                "bridge.json5:4: egress: must be an object of keys (was a number)",
                "bridge.json5:6: egress.allowNetworks: must be a network as address/prefix, such as \"10.0.0.0/8\" or \"fd00::/8\" (was \"10.0.0.0/33\")",
                "bridge.json5:6: egress.allow_http: unknown key; did you mean egress.allowHTTP?",
                "bridge.json5:9: kafka.x: must be a text, a number, true, false or {\"file\": \"path\"} (was a list)",
                "BRIDGE_TOPICS_PARTITIONS: topics.partitions: must be a whole number from 1 to 1024 (was 0)",
                "--set nonsense: has no '='; write --set key=value, such as --set api.listen=127.0.0.1:8080",
                "--set ops.listen: ops.listen: must be host:port with a literal address, such as \"127.0.0.1:8080\", \"0.0.0.0:8080\" or \"[::1]:8080\" (was \"x\")",
                "bridge.json5:9: kafka.sasl.password: nothing cannot be read: no such file or directory",
                "bridge.json5: kafka.bootstrap.servers: is required: the brokers to start from; such as kafka: {\"bootstrap.servers\": \"localhost:9092\"} or BRIDGE_KAFKA_BOOTSTRAP_SERVERS=localhost:9092",
                "bridge.json5:5: mappings: nowhere: no such file or directory; name a folder of mapping files",
                "bridge.json5:8: state.directory: bridge.json5/x: not a directory; name a folder this process may write to",
                "bridge.json5:7: secrets.keyFile: short.key has mode 0644, must be 0600; chmod 600 short.key",
                "bridge.json5:7: secrets.keyFile: short.key: the file has 3 bytes, neither exactly 32 bytes nor lines of id:base64 (see its line 1); make one with: openssl rand 32 > FILE; chmod 600 FILE",
            ])
    }

    @Test(arguments: [
        ("{application: {id: 'a b'}}", "application.id"), ("{application: {id: 5}}", "application.id"),
        ("{application: {id: null}}", "application.id"), ("{topics: {prefix: 'ü'}}", "topics.prefix"),
        ("{topics: {partitions: 1.5}}", "topics.partitions"),
        ("{topics: {replicationFactor: 0}}", "topics.replicationFactor"),
        ("{topics: {retentionHours: 'x'}}", "topics.retentionHours"),
        ("{translate: {startAge: '1w'}}", "translate.startAge"),
        ("{translate: {startAge: 24}}", "translate.startAge"), ("{egress: {nameservers: ['a']}}", "egress.nameservers"),
        ("{egress: {nameservers: ['1.2.3.4:0']}}", "egress.nameservers"),
        ("{egress: {sourceAddress: 'eth0'}}", "egress.sourceAddress"),
        ("{egress: {sourceAddress: '10.0.0.1,10.0.0.2'}}", "egress.sourceAddress"),
        ("{egress: {sourceAddress: '10.0.0.1,'}}", "egress.sourceAddress"),
        ("{egress: {ipRanges: {production: ['here']}}}", "egress.ipRanges.production"),
        ("{egress: {allowHTTP: 'yes'}}", "egress.allowHTTP"),
        ("{egress: {timeoutMilliseconds: 0}}", "egress.timeoutMilliseconds"),
        ("{egress: {allowNetworks: '10.0.0.0/8'}}", "egress.allowNetworks"),
        ("{egress: {caFile: 'none.pem'}}", "egress.caFile"),
        ("{retry: {tiers: ['9s','5s','5s','5s','5s','5s','5s','5s']}}", "retry.tiers"),
        ("{retry: {timeScale: 8}}", "topics.retentionHours.retries"),
        ("{limits: {deferredAge: '169h'}}", "limits.deferredAge"),
        ("{ops: {listen: '127.0.0.1:8080'}}", "ops.listen"), ("{api: {listen: 'example.com:80'}}", "api.listen"),
        ("{mail: {smtp: 'smtp://h'}}", "mail.from"), ("{mail: {smtp: 'h', from: 'a@b'}}", "mail.smtp"),
        ("{mail: {caFile: 'nowhere.pem'}}", "mail.caFile"), ("{api: {publicURL: 'api.example.com'}}", "api.publicURL"),
        ("{api: {publicURL: 'https://a/'}}", "api.publicURL"), ("{api: {publicURL: 'https://a$(x)'}}", "api.publicURL"),
        ("{api: {tls: {certificateFile: 'a.pem'}}}", "api.tls.keyFile"),
        ("{api: {tls: {keyFile: 'a.key'}}}", "api.tls.certificateFile"),
        ("{mail: {from: 'a'}}", "mail.from"), ("{mail: {from: 'a,b@c'}}", "mail.from"),
        ("{mail: {username: 'x'}}", "mail.passwordFile"),
        ("{api: {}, api: {listen: 1}}", "api.listen"),
        ("{logs: {entriesPerWebhook: 0}}", "logs.entriesPerWebhook"), ("{deliver: {threads: 0}}", "deliver.threads"),
        ("{api: {listen: '127.0.0.1:1'}, 'api.listen': '127.0.0.1:2'}", "api.listen"), ("{kafka: 'x'}", "kafka"),
        ("{kafka: {a: {file: 5}}}", "kafka.a.file"), ("{mappings: 5}", "mappings"), ("{unknown: {a: 1}}", "unknown"),
    ])
    func `one thing wrong is one fault of that key`(file: String, key: String) {
        let path = folder.write("bridge.json5", file)
        let check = checkConfiguration(path: path, sets: [], environment: [:], needs: [])
        // A number is a fine value of a Kafka property named a.file.
        #expect(check.faults.map(\.key) == (key == "kafka.a.file" ? [] : [key]))
        #expect(check.exitCode == (check.faults.isEmpty ? 0 : 2))
    }

    @Test(arguments: [
        ("eventsPerSecond", "limits.eventsPerSecond"), ("limits.webhookPerAccount", "limits.webhooksPerAccount"),
        ("api.listn", "api.listen"), ("topic.partitions", "topics.partitions"), ("retry.time_scale", "retry.timeScale"),
        ("mapping", "mappings"), ("zzz", nil),
    ])
    func `an unknown key names the nearest one`(key: String, nearest: String?) {
        #expect(
            faults(sets: ["\(key)=1"]) == [
                "--set \(key): \(key): unknown key" + (nearest.map { "; did you mean \($0)?" } ?? "")
            ])
    }

    @Test func `a file that is no JSON has line and reason, and hides no other layer's faults`() {
        let found = faults(
            "{\n  api: {\n    listen: localhost,\n  }\n}", sets: ["topics.partitions=x"], needs: [.cluster, .secrets])
        #expect(
            found == [
                "bridge.json5:3: not JSON with comments: expected a value, found localhost; a text needs quotes (column 13)",
                "--set topics.partitions: topics.partitions: must be a whole number from 1 to 1024 (was \"x\")",
            ])
        #expect(faults("[]") == ["bridge.json5:1: not JSON with comments: expected an object, found a list (column 1)"])
    }

    @Test func `a missing file is one fault`() {
        let check = checkConfiguration(
            path: "/nowhere/b.json5", sets: [], environment: [:], needs: [.cluster, .secrets])
        #expect(check.output == "/nowhere/b.json5: cannot be read: no such file or directory\n1 fault\n")
    }

    @Test(
        arguments: [
            ([UInt8](repeating: 65, count: 31), "31 bytes"), ([UInt8](repeating: 255, count: 33), "33 bytes"),
            ([], "no key"),
            (Array("a:AAAA\n".utf8), "line 1"),
            (Array("a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n".utf8), "line 1"),
            (
                Array(
                    "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\na:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
                        .utf8), "repeats the id a"
            ),
        ] as [([UInt8], String)])
    func `a key file of the wrong size or form is refused`(content: [UInt8], cause: String) {
        folder.write("a.key", content)
        let found = faults("{secrets: {keyFile: 'a.key'}}", needs: .secrets)
        #expect(found.count == 1 && found[0].contains(cause), "\(found)")
    }

    @Test(arguments: [0o644, 0o640, 0o604, 0o700, 0o660] as [UInt32])
    func `a key file that others may read is refused`(mode: UInt32) {
        folder.write("a.key", [UInt8](1...32), mode: mode)
        let found = faults("{secrets: {keyFile: 'a.key'}}", needs: .secrets)
        #expect(found.count == 1 && found[0].contains("must be 0600"), "\(found)")
    }

    @Test func `the API's certificate and key are read, and the key is nobody else's`() {
        let file = "{api: {tls: {certificateFile: 'a.pem', keyFile: 'a.key'}}}"
        #expect(
            faults(file, needs: .apiTLS) == [
                "bridge.json5:1: api.tls.certificateFile: a.pem cannot be read: no such file or directory",
                "bridge.json5:1: api.tls.keyFile: a.key cannot be read: no such file or directory",
            ])
        folder.write("a.pem", "certificate", mode: 0o644)
        folder.write("a.key", "key", mode: 0o640)
        #expect(
            faults(file, needs: .apiTLS) == [
                "bridge.json5:1: api.tls.keyFile: a.key has mode 0640, must be 0600; chmod 600 a.key"
            ])
        #expect(faults(file, needs: []).isEmpty)
        folder.write("b.key", "key", mode: 0o600)
        #expect(faults(file.replacing("a.key", with: "b.key"), needs: .apiTLS).isEmpty)
    }

    @Test func `a password in the wrong place is not repeated`() {
        let found = faults("{mail: {smtp: 'smtp://me:hunter2@h', from: 'a@b'}}").joined()
        #expect(found.contains("mail.smtp") && !found.contains("hunter2"))
    }
}
