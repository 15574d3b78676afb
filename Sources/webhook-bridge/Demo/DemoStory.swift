// What the bridge's topics tell, printed as it happens.
internal import Core
internal import JSON
internal import Kafka
internal import Runtime

final class DemoStory {
    private let topics: Topics
    private let reader: KafkaReader
    private let parser = JSONParser()
    private let startedAt = Clock.monotonic()
    private var deliveries: [String: Int] = [:]
    private var failures: [String: Int] = [:]
    private(set) var notices = 0
    /// The subject of each, in order.
    private(set) var emails: [String] = []

    /// What has to have happened.
    struct Ending {
        let good: String
        let failing: String
        let delivered: Int
        let failed: Int
        let emails: Int
    }

    init(_ kafka: KafkaConfiguration, _ topics: Topics) throws(KafkaError) {
        self.topics = topics
        reader = try KafkaReader(kafka, purpose: "demo")
        reader.assign(
            (0..<Int32(topics.shards)).map { (topics.attempts, $0, .beginning) } + [
                (topics.notices, 0, .beginning), (topics.emails, 0, .beginning),
            ])
    }

    func delivered(to webhook: String) -> Int { deliveries[webhook] ?? 0 }
    func failed(to webhook: String) -> Int { failures[webhook] ?? 0 }

    func hasEnded(_ ending: Ending) -> Bool {
        delivered(to: ending.good) >= ending.delivered && failed(to: ending.failing) >= ending.failed && notices > 0
            && emails.count >= ending.emails
    }

    func read(milliseconds: Int) {
        reader.poll(milliseconds: milliseconds) { message in
            guard let value = message.value else { return }
            let topic = message.topic
            try? parser.parse(value) { record in
                switch topic {
                case topics.notices: notice(record)
                case topics.emails: email(record)
                default: attempt(record)
                }
            }
        }
    }

    private func attempt(_ record: JSONValue) {
        let webhook = record["webhookId"]?.string ?? ""
        let isDelivered = record["status"]?.string == "delivered"
        if isDelivered { deliveries[webhook, default: 0] += 1 } else { failures[webhook, default: 0] += 1 }
        let result = record["responseCode"]?.int.map(String.init) ?? record["error"]?.string ?? "?"
        var line =
            clock + pad(record["eventType"]?.string ?? "", 18) + " \(record["eventId"]?.string ?? "") -> \(webhook)"
        line +=
            "  attempt \(record["attempt"]?.int ?? 0)  \(result)  \(right("\(record["responseTime"]?.int ?? 0)", 3)) ms"
        if let tier = record["backoffTier"]?.string, let wait = wait(record) {
            line += "  next retry in \(wait) (tier \(tier))"
        } else if !isDelivered {
            line += "  retries spent"
        }
        Terminal.print(line)
    }

    /// From the attempt's end to the next one's due time.
    private func wait(_ record: JSONValue) -> String? {
        guard let due = record["nextAttemptAt"]?.string.flatMap({ Timestamp(rfc3339: $0) }),
            let start = record["timestamp"]?.string.flatMap({ Timestamp(rfc3339: $0) })
        else { return nil }
        let wait = due.milliseconds - start.milliseconds - Int64(record["responseTime"]?.int ?? 0)
        return wait < 1000 ? "\(wait) ms" : "\(wait / 1000).\(wait % 1000 / 100) s"
    }

    private func notice(_ record: JSONValue) {
        notices += 1
        Terminal.print(
            clock + "notice  \(record["type"]?.string ?? "")  \(record["webhookId"]?.string ?? "")  "
                + "\(record["data"]?["reason"]?.string ?? ""), last error: \(record["data"]?["lastError"]?.string ?? "")"
        )
    }

    private func email(_ record: JSONValue) {
        emails.append(record["subject"]?.string ?? "")
        Terminal.print(clock + "mail    \(record["template"]?.string ?? "")  to \(record["to"]?.string ?? "")")
    }

    private var clock: String {
        let tenths = (Clock.monotonic() - startedAt) / 100_000_000
        return right("\(tenths / 10).\(tenths % 10)", 5) + " s  "
    }

    private func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
