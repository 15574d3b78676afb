// The caller's side: keeps twice as many requests submitted as there are connections, so that the next one is there when
// an answer comes, and counts results as the delivery loop would.
import Core
import Glibc
import HTTPEngine
import Runtime
import Synchronization

enum EngineBench {
    static func run(_ arguments: [String]) -> Int32 {
        guard arguments.count >= 3, let total = Int(arguments[2]) else {
            print("usage: engine-bench URL POSTS [CONNECTIONS]")
            return 2
        }
        let connections = arguments.count > 3 ? Int(arguments[3]) ?? 16 : 16
        do {
            try measure(arguments[1], total, connections)
            return 0
        } catch {
            print("engine-bench: \(error)")
            return 1
        }
    }

    private static func measure(_ url: String, _ total: Int, _ connections: Int) throws {
        let policy = AddressPolicy(allow: [Network("127.0.0.0/8")!])
        var configuration = HTTPEngineConfiguration()
        configuration.policy = policy
        configuration.maximumConnectionsPerHost = connections
        let wake = EventFD()
        let inbox = Inbox<HTTPResult>(wake: wake)
        let engine = try HTTPEngine(configuration: configuration) { inbox.put(contentsOf: $0) }
        let endpoint = HTTPEndpoint(
            try EndpointURL(url, allowHTTP: true, policy: policy),
            fixedLines: Array("Content-Type: application/json\r\nUser-Agent: Learnault-Webhooks/1.0\r\n".utf8))
        let lines = Array(
            """
            X-Learnault-Event: module.completed\r\nX-Learnault-Delivery: dlv_0123456789abcdef01234567.1\r\n\
            X-Learnault-Signature: \(String(repeating: "a", count: 64))\r\nwebhook-id: evt_0123456789abcdef01234567\r\n\
            webhook-timestamp: 1700000000\r\nwebhook-signature: v1,\(String(repeating: "b", count: 44))\r\n
            """.utf8)
        let body = [UInt8](repeating: UInt8(ascii: "x"), count: 500)

        let start = Clock.monotonic()
        var results: [HTTPResult] = []
        var batch: [HTTPRequest] = []
        var submitted = 0
        var done = 0
        var failed = 0
        while done < total {
            wake.wait(milliseconds: 1000)
            wake.clear()
            inbox.take(into: &results)
            done += results.count
            for result in results where !result.outcome.isSuccess { failed += 1 }
            while submitted < total, submitted - done < connections * 2 {
                batch.append(
                    HTTPRequest(
                        token: UInt64(submitted), affinity: 0, endpoint: endpoint, headerLines: lines, body: body))
                submitted += 1
            }
            if !batch.isEmpty {
                engine.submit(batch)
                batch.removeAll(keepingCapacity: true)
            }
            if submitted == batch.count { wake.signal() }
        }
        let seconds = Double(Clock.monotonic() - start) / 1e9
        let own = threadMicroseconds(named: "http-engine")
        engine.stop()
        print(
            "{\"connections\":\(connections),\"postsPerSecond\":\(Int(Double(total) / seconds)),"
                + "\"engineMicrosecondsPerPost\":\(Double(Int(own / Double(total) * 100)) / 100),\"failed\":\(failed)}")
    }

    /// User and system time of the threads whose name begins so, from /proc.
    private static func threadMicroseconds(named name: String) -> Double {
        var sum = 0.0
        guard let folder = opendir("/proc/self/task") else { return 0 }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let task = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let stat = text("/proc/self/task/\(task)/stat"), stat.contains("(" + name),
                let schedule = text("/proc/self/task/\(task)/schedstat") ?? Optional("")
            else { continue }
            if let ran = schedule.split(separator: " ").first.flatMap({ Double($0) }), ran > 0 {
                sum += ran / 1000
            } else {
                let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
                if fields.count > 12 { sum += ((Double(fields[11]) ?? 0) + (Double(fields[12]) ?? 0)) * 10_000 }
            }
        }
        return sum
    }

    private static func text(_ path: String) -> String? {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(file, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }
}
