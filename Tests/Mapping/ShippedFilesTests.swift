import Core
import Foundation
import Mapping
import Testing

/// The files and the guide that ship.
@Suite struct ShippedFilesTests {
    private static func schemas() throws -> PayloadSchemas {
        var schemas = PayloadSchemas()
        for type in EventTypes.all.map(\.name) {
            let text = try Data(contentsOf: repository.appending(path: "config/schemas/\(type).json"))
            #expect(schemas.add(Array(text), for: type) == nil)
        }
        return schemas
    }

    @Test func shippedMappingsFitTheShippedSchemasAndCoverEveryTypeButTheTest() throws {
        let folder = repository.appending(path: "config/mappings")
        let schemas = try Self.schemas()
        var types: [String] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where name.hasSuffix(".json5") {
            let text = try Data(contentsOf: folder.appending(path: name))
            let compiled = MappingCompiler.compile(
                Array(text), file: name, topicPrefix: "webhooks.", schemas: schemas)
            #expect(compiled.faults == [])
            types += compiled.plan?.webhookTypes ?? []
        }
        #expect(Set(types) == Set(EventTypes.all.map(\.name)).subtracting(["webhook.test"]))
    }

    @Test func theGuideShowsAMappingThatWorks() throws {
        let guide = try String(contentsOf: repository.appending(path: "config/mappings/README.md"), encoding: .utf8)
        func block(_ language: String) throws -> String {
            let begin = try #require(guide.range(of: "```\(language)\n")).upperBound
            let end = try #require(guide.range(of: "```", range: begin..<guide.endIndex)).lowerBound
            return String(guide[begin..<end])
        }
        let compiled = MappingCompiler.compile(
            Array(try block("json5").utf8), file: "acme.quizzes.json5", topicPrefix: "webhooks.",
            schemas: try Self.schemas())
        #expect(compiled.faults == [])
        let mapped = try map(try block("json"), #require(compiled.plan))
        #expect(mapped.map(\.type) == ["module.failed"])
        #expect(
            mapped.first?.data
                == "{\"userId\":\"usr_1\",\"moduleId\":\"quiz_7\",\"moduleTitle\":\"Stablecoins\",\"reason\":\"quiz failed\","
                + "\"score\":41,\"failedAt\":\"2024-05-02T10:00:00Z\"}")
    }
}
