// The mapping files of `mappings`, compiled at start.
internal import Foundation
package import Mapping

package enum MappingFolder {
    /// Compiles every `.json5` and `.json` file of a folder, by name.
    /// - Returns: the plans and every fault there is.
    package static func load(_ folder: String, topicPrefix: String) -> (plans: [MappingPlan], faults: [MappingFault]) {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
            .filter { $0.hasSuffix(".json5") || $0.hasSuffix(".json") }.sorted()
        guard !names.isEmpty else {
            return ([], [MappingFault(file: folder, key: "", cause: "has no mapping files (*.json5)")])
        }
        var plans: [MappingPlan] = []
        var faults: [MappingFault] = []
        var files: [String: String] = [:]
        for name in names {
            let path = "\(folder)/\(name)"
            guard let text = FileManager.default.contents(atPath: path) else {
                faults.append(MappingFault(file: path, key: "", cause: "cannot be read"))
                continue
            }
            let compiled = MappingCompiler.compile(Array(text), file: path, topicPrefix: topicPrefix)
            faults += compiled.faults
            guard let plan = compiled.plan else { continue }
            if let other = files[plan.topic] {
                faults.append(
                    MappingFault(file: path, key: "topic", cause: "\(plan.topic) is mapped by \(other) already"))
            }
            files[plan.topic] = path
            plans.append(plan)
        }
        return (plans, faults)
    }
}
