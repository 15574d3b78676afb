// The mapping files of `mappings`, compiled and checked against the payload schemas of `schemas`.
package import Core
internal import Foundation
package import Mapping

package enum MappingFolder {
    package struct Loaded: Sendable {
        package var plans: [MappingPlan] = []
        package var faults: [MappingFault] = []
        /// Whether there was a folder of schemas to check against.
        package var isChecked = false
    }

    /// Compiles every `.json5` and `.json` file of the folder, by name.
    package static func load(_ settings: Settings) -> Loaded {
        var loaded = Loaded()
        let schemas = schemas(settings.schemasFolder, &loaded)
        let folder = settings.mappingsFolder
        let names = files(in: folder, endings: [".json5", ".json"])
        if names.isEmpty {
            loaded.faults.append(MappingFault(file: folder, key: "", cause: "has no mapping files (*.json5)"))
        }
        var files: [String: String] = [:]
        for name in names {
            let path = "\(folder)/\(name)"
            guard let text = FileManager.default.contents(atPath: path) else {
                loaded.faults.append(MappingFault(file: path, key: "", cause: "cannot be read"))
                continue
            }
            let compiled = MappingCompiler.compile(
                Array(text), file: path, topicPrefix: settings.topics.prefix, schemas: schemas)
            loaded.faults += compiled.faults
            guard let plan = compiled.plan else { continue }
            if let other = files[plan.topic] {
                loaded.faults.append(
                    MappingFault(file: path, key: "topic", cause: "\(plan.topic) is mapped by \(other) already"))
            }
            files[plan.topic] = path
            loaded.plans.append(plan)
        }
        return loaded
    }

    /// The schemas named after documented event types; nil without a folder.
    private static func schemas(_ folder: String, _ loaded: inout Loaded) -> PayloadSchemas? {
        let names = files(in: folder, endings: [".json"])
        var schemas = PayloadSchemas()
        for type in EventTypes.all.map(\.name) where names.contains("\(type).json") {
            let path = "\(folder)/\(type).json"
            guard let text = FileManager.default.contents(atPath: path) else {
                loaded.faults.append(MappingFault(file: path, key: "", cause: "cannot be read"))
                continue
            }
            if let cause = schemas.add(Array(text), for: type) {
                loaded.faults.append(MappingFault(file: path, key: "", cause: cause))
            }
            loaded.isChecked = true
        }
        return loaded.isChecked ? schemas : nil
    }

    private static func files(in folder: String, endings: [String]) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
            .filter { name in !name.hasPrefix(".") && endings.contains(where: name.hasSuffix) }.sorted()
    }
}
