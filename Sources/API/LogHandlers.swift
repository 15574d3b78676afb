// `GET /v1/webhooks/:webhookId/logs`: the query read strictly, the page from the log store.
internal import Core
internal import HTTPServer

/// The query of the log path (contract §1, Logs).
struct LogQuery: Equatable {
    var page = 1
    var limit = 50
    var filter = LogFilter()

    static let parameters = ["limit", "page", "status", "eventType", "since", "until"]
    private static let maxPage = 1_000_000

    init(_ query: [(name: String, value: String)]) throws(APIError) {
        var faults: [Fault] = []
        var seen: Set<String> = []
        func fault(_ name: String, _ message: String) { faults.append(Fault(place: name, message: message)) }
        func number(_ name: String, _ value: String, _ range: ClosedRange<Int>) -> Int? {
            if let number = Int(value), range.contains(number), value.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) {
                return number
            }
            fault(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        func time(_ name: String, _ value: String) -> Timestamp? {
            let time = Timestamp(rfc3339: value)
            if time == nil {
                fault(name, "must be an RFC 3339 time such as 2024-01-15T10:30:00Z; write a + in it as %2B")
            }
            return time
        }
        for (name, value) in query {
            if Self.parameters.contains(name), !seen.insert(name).inserted {
                fault(name, "comes more than once")
                continue
            }
            switch name {
            case "limit": limit = number(name, value, 1...100) ?? limit
            case "page": page = number(name, value, 1...Self.maxPage) ?? page
            case "status":
                guard value == "delivered" || value == "failed" else {
                    fault(name, "must be delivered or failed")
                    continue
                }
                filter.isDelivered = value == "delivered"
            case "eventType":
                guard EventTypes.all.contains(where: { $0.name == value }) else {
                    fault(name, "is not a documented event type")
                    continue
                }
                filter.eventType = value
            case "since": filter.since = time(name, value)
            case "until": filter.until = time(name, value)
            default:
                fault(
                    String(name.prefix(64)),
                    "is not a parameter of this path; the parameters are \(Self.parameters.joined(separator: ", "))")
            }
        }
        if let since = filter.since, let until = filter.until, since > until {
            fault("until", "must not be before since")
        }
        guard faults.isEmpty else { throw .invalidQuery(faults) }
    }
}

struct LogHandlers: Sendable {
    let webhooks: WebhookHandlers
    let logs: LogStore

    func list(_ call: APICall) {
        let webhook: Webhook
        let query: LogQuery
        do throws(APIError) {
            webhook = try webhooks.webhook(of: call)
            query = try LogQuery(call.request.query)
        } catch {
            return call.respond(error)
        }
        let (page, limit) = (query.page, query.limit)
        logs.query(webhook: webhook.id, account: call.account, filter: query.filter, page: page, limit: limit) {
            found in
            switch found {
            case .success(let rows): call.respond(.logs(rows, number: page, limit: limit))
            case .failure(.busy): call.respond(.unavailable("Too many log queries wait; try again."))
            case .failure(.unavailable):
                call.respond(.unavailable("The log cannot be read now; deliveries are not affected. Try again."))
            }
        }
    }
}
