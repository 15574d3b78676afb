// What the API says of bodies and queries that are wrong: all faults at once, each with its place.
import API
import Core
import HTTPProbe
import Testing

struct BadBody: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let body: String
    let pointers: [String]

    init(_ name: String, _ body: String, _ pointers: [String]) {
        testDescription = name
        self.body = body
        self.pointers = pointers
    }
}

@Suite struct ValidationTests {
    let api: TestAPI
    init() throws { api = try TestAPI() }

    static let registrations: [BadBody] = [
        BadBody("nothing", "{}", ["/events", "/url"]),
        BadBody("an array", "[]", [""]),
        BadBody("a string", "\"x\"", [""]),
        BadBody(
            "wrong kinds", #"{"url":1,"events":"module.completed","isActive":"yes","version":1,"description":[]}"#,
            ["/description", "/events", "/isActive", "/url", "/version"]),
        BadBody(
            "nulls", #"{"url":null,"events":null,"isActive":null,"version":null}"#,
            ["/events", "/isActive", "/url", "/version"]),
        BadBody("URL", #"{"url":"http://a.example/","events":["*"]}"#, ["/url"]),
        BadBody("no events", #"{"url":"https://a.example/","events":[]}"#, ["/events"]),
        BadBody(
            "events", #"{"url":"https://a.example/","events":["*","nope",1,"user.*","user.*","modul.*",""]}"#,
            ["/events/1", "/events/2", "/events/4", "/events/5", "/events/6"]),
        BadBody(
            "too many events",
            #"{"url":"https://a.example/","events":["#
                + (0..<65).map { _ in #""user.created""# }.joined(separator: ",") + "]}", ["/events"]),
        BadBody("version", #"{"url":"https://a.example/","events":["*"],"version":"2.0"}"#, ["/version"]),
        BadBody(
            "a long description",
            #"{"url":"https://a.example/","events":["*"],"description":"\#(String(repeating: "é", count: 513))"}"#,
            ["/description"]),
        BadBody(
            "unknown fields", #"{"url":"https://a.example/","events":["*"],"active":true,"a/b~c":1,"secret":"x"}"#,
            ["/active", "/a~1b~0c", "/secret"]),
        BadBody("fields twice", #"{"url":"https://a.example/","events":["*"],"events":["user.*"]}"#, ["/events"]),
    ]

    @Test(arguments: registrations) func ofRegistrations(_ bad: BadBody) throws {
        let response = try api.call("POST", "/v1/webhooks", bad.body)
        #expect(response.status == 422 && response.code == "VALIDATION_FAILED", "\(response.text)")
        #expect(response.pointers == bad.pointers)
        #expect(try api.call("GET", "/v1/webhooks").json["data"].count == 0)
    }

    static let patches: [BadBody] = [
        BadBody("version is for ever", #"{"version":"1.0"}"#, ["/version"]),
        BadBody(
            "all at once", #"{"url":"ftp://x","events":[],"isActive":1,"description":7,"id":"wh_1"}"#,
            ["/description", "/events", "/id", "/isActive", "/url"]),
        BadBody("an array", "[]", [""]),
    ]

    @Test(arguments: patches) func ofPatches(_ bad: BadBody) throws {
        let id = try api.register()
        let before = try api.call("GET", "/v1/webhooks/\(id)").text
        let response = try api.call("PATCH", "/v1/webhooks/\(id)", bad.body)
        #expect(response.status == 422)
        #expect(response.pointers == bad.pointers)
        #expect(try api.call("GET", "/v1/webhooks/\(id)").text == before)
    }

    @Test(arguments: [
        "", " ", "{", #"{"url":}"#, #"{"url":"https://a.example/",}"#, "{'url':1}", #"{"a":1} x"#, #"{"url":"\#u{1}"}"#,
        String(repeating: "[", count: 100), "NaN", #"{"url":"\ud800"}"#,
    ])
    func ofWhatIsNotJSON(_ body: String) throws {
        let response = try api.call("POST", "/v1/webhooks", body)
        #expect(response.status == 400 && response.code == "INVALID_JSON", "\(response.text)")
    }

    @Test func aDescriptionMayBeAsLongAsItMay() throws {
        let text = String(repeating: "é", count: 512)
        let body = #"{"url":"https://a.example/","events":["*"],"description":"\#(text)"}"#
        #expect(try api.call("POST", "/v1/webhooks", body).status == 201)
    }
}

@Suite struct LogAPITests {
    let api: TestAPI
    init() throws { api = try TestAPI() }

    /// Log rows of a webhook that was registered through the API.
    private func fill(_ id: String, _ count: Int) throws {
        let rows = (0..<count).map { number in
            var row = sampleRow(
                number, delivered: number % 2 == 0, type: number % 2 == 0 ? "module.completed" : "reward.issued")
            row.webhook = .init(id)!
            row.account = api.mine.id
            return row
        }
        #expect(api.logs.write(rows, next: Int64(count)))
    }

    @Test func answersAsDocumented() throws {
        let id = try api.register()
        try fill(id, 2)
        let response = try api.call("GET", "/v1/webhooks/\(id)/logs?limit=50")
        #expect(response.status == 200)
        #expect(
            response.text == """
                {"status":"success","data":[\
                {"eventId":"evt_000000000000000000000001","eventType":"reward.issued","attempt":1,"status":"failed",\
                "responseCode":null,"responseTime":350,"error":"Connection timeout","timestamp":"2024-01-15T10:30:16Z"},\
                {"eventId":"evt_000000000000000000000000","eventType":"module.completed","attempt":1,\
                "status":"delivered","responseCode":200,"responseTime":350,"timestamp":"2024-01-15T10:30:15Z"}],\
                "pagination":{"page":1,"limit":50,"total":2}}
                """)
    }

    @Test func showsWhatTheEndpointAnswered() throws {
        let id = try api.register()
        var row = sampleRow(0, delivered: false)
        row.webhook = .init(id)!
        row.account = api.mine.id
        row.responseCode = 500
        row.error = "HTTP 500"
        row.response = ResponseExcerpt(headers: [.init(name: "x-a", value: "\"b\"")], body: "no\nroom")
        #expect(api.logs.write([row], next: 1))
        #expect(
            try api.call("GET", "/v1/webhooks/\(id)/logs").text.contains(
                """
                "error":"HTTP 500","timestamp":"2024-01-15T10:30:15Z",\
                "responseHeaders":{"x-a":"\\"b\\""},"responseBody":"no\\nroom"}],
                """))
    }

    @Test func pagesAndFilters() throws {
        let id = try api.register()
        try fill(id, 120)
        func page(_ query: String) throws -> (count: Int?, total: Int?, limit: Int?) {
            let json = try api.call("GET", "/v1/webhooks/\(id)/logs\(query)").json
            return (json["data"].count, json["pagination"]["total"].int, json["pagination"]["limit"].int)
        }
        #expect(try page("") == (50, 120, 50))
        #expect(try page("?limit=100&page=2") == (20, 120, 100))
        #expect(try page("?limit=1&page=121") == (0, 120, 1))
        #expect(try page("?status=failed") == (50, 60, 50))
        #expect(try page("?eventType=reward.issued&status=delivered") == (0, 0, 50))
        #expect(try page("?since=2024-01-15T10:30:15Z&until=2024-01-15T10:30:25Z") == (10, 10, 50))
        #expect(try page("?since=2024-01-15T12:30:15%2B02:00&limit=10") == (10, 120, 10))
    }

    @Test func anEmptyLogIsAnAnswer() throws {
        let response = try api.call("GET", "/v1/webhooks/\(api.register())/logs")
        #expect(response.text == #"{"status":"success","data":[],"pagination":{"page":1,"limit":50,"total":0}}"#)
    }

    @Test(arguments: [
        ("limit=0", "limit"), ("limit=101", "limit"), ("limit=ten", "limit"), ("limit=", "limit"),
        ("limit=%2B5", "limit"),
        ("page=0", "page"), ("page=-1", "page"), ("page=99999999999999999999", "page"), ("status=ok", "status"),
        ("eventType=module.*", "eventType"), ("since=yesterday", "since"), ("until=2024-02-30T00:00:00Z", "until"),
        ("since=2024-01-02T00:00:00Z&until=2024-01-01T00:00:00Z", "until"), ("limit=1&limit=2", "limit"),
        ("sort=asc", "sort"),
    ])
    func namesWhatIsWrongInTheQuery(_ query: String, _ parameter: String) throws {
        let response = try api.call("GET", "/v1/webhooks/\(api.register())/logs?\(query)")
        #expect(response.status == 400 && response.code == "INVALID_PARAMETER")
        #expect(response.parameters == [parameter])
    }

    @Test func namesAllOfIt() throws {
        let response = try api.call("GET", "/v1/webhooks/\(api.register())/logs?limit=0&page=0&status=x&a=b")
        #expect(response.parameters == ["a", "limit", "page", "status"])
    }
}
