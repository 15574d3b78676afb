// The table of routes, and what is made from it.
import API
import Core
import Foundation
import HTTPProbe
import Testing

private let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

@Suite struct RouteTests {
    @Test func eachOperationIsThereOnce() {
        #expect(Operations.all.map(\.name.rawValue).sorted() == API.Operation.Name.allCases.map(\.rawValue).sorted())
        #expect(Set(Operations.all.map { "\($0.method) \($0.path)" }).count == Operations.all.count)
    }

    /// Contract §1 has a list; clients are written for it.
    @Test func errorsHaveTheStatusesOfTheContract() throws {
        let statuses: Set = [400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 429, 431, 503]
        for code in ErrorCode.allCases { #expect(statuses.contains(code.status), "\(code.rawValue): \(code.status)") }
        let api = try TestAPI()
        let response = try probe(
            port: api.server.port, "POST", "/v1/webhooks",
            headers: [("Authorization", "Bearer \(api.mine.key.text)"), ("Transfer-Encoding", "gzip, chunked")])
        #expect(response.status == 400 && response.code == "UNSUPPORTED_TRANSFER_ENCODING")
    }

    @Test func theCommittedDocumentIsTheTables() throws {
        // If this fails: ./dev generate
        let committed = try String(contentsOf: repository.appending(path: "config/openapi.json"), encoding: .utf8)
        #expect(committed == OpenAPIDocument.text)
    }

    @Test func theDocumentForPeopleIsTheServedOne() throws {
        let served = try JSONSerialization.jsonObject(with: Data(OpenAPIDocument.bytes)) as? NSDictionary
        let committed = try JSONSerialization.jsonObject(with: Data(OpenAPIDocument.text.utf8)) as? NSDictionary
        #expect(served != nil && served == committed)
    }

    @Test func isServedToWhoeverAsks() throws {
        let api = try TestAPI()
        let response = try probe(port: api.server.port, "GET", "/v1/openapi.json")
        #expect(response.status == 200 && response.body == OpenAPIDocument.bytes)
        #expect(response.header("Content-Type") == "application/json")
        #expect(response.header("X-RateLimit-Limit") == nil)
        #expect(try probe(port: api.server.port, "POST", "/v1/openapi.json").header("Allow") == "GET")
    }

    @Test func methodsThatAPathHasNotAreNamedByThoseItHas() throws {
        let api = try TestAPI()
        for path in Set(Operations.all.map(\.path)) {
            let own = Operations.all.filter { $0.path == path }.map(\.method.rawValue)
            for method in ["GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"] where !own.contains(method) {
                let response = try probe(port: api.server.port, method, path)
                #expect(response.status == 405 && response.code == "METHOD_NOT_ALLOWED", "\(method) \(path)")
                #expect(response.header("Allow") == own.joined(separator: ", "))
            }
        }
    }

    @Test func errorsAreWhatTheTableSays() {
        for operation in Operations.all {
            #expect(operation.allErrors.count == Set(operation.allErrors).count)
            for code in operation.errors { #expect(operation.allErrors.contains(code)) }
        }
    }
}

@Suite struct EventTypeAPITests {
    @Test func tellsEachTypeAsDocumented() throws {
        let api = try TestAPI()
        let response = try api.call("GET", "/v1/event-types")
        #expect(response.status == 200 && response.json["success"].bool == true)
        let types = response.json["data"].elements
        #expect(types.map { $0["type"].string } == EventTypes.all.map(\.name))
        for (told, type) in zip(types, EventTypes.all) {
            #expect(told.keys == ["type", "description", "schema", "example"])
            #expect(told["description"].string == type.description)
            // If this fails: ./dev generate
            let file = repository.appending(path: "config/schemas/\(type.name).json")
            let schema = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? NSObject
            #expect(told["schema"].value == schema, "\(type.name)")
            #expect(told["example"] == told["schema"]["examples"][0])
            #expect(told["example"]["type"].string == type.name)
        }
    }
}
