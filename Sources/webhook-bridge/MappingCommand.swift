// `mapping check` and `mapping try`.
internal import Configuration
internal import Core
internal import Crypto
internal import JSON
internal import Mapping

enum MappingCommand {
    static func check(_ options: ConfigurationOptions) throws(Exit) {
        let plans = try LoadedConfiguration.load(options, needs: .mappings).mappingPlans()
        for plan in plans { Terminal.print("\(plan.topic): \(plan.webhookTypes.joined(separator: ", "))") }
        Terminal.print("\(plans.count) mappings are fine")
    }

    static func attempt(_ options: MappingTryOptions) throws(Exit) {
        let plans = try LoadedConfiguration.load(options.configuration, needs: .mappings).mappingPlans()
        guard let plan = plans.first(where: { $0.topic == options.topic }) else {
            throw .configuration(
                "no mapping reads \(options.topic); the topics are \(plans.map(\.topic).joined(separator: ", "))")
        }
        var writer = JSONWriter()
        let origin = RecordOrigin(topic: plan.topic, partition: 0, offset: 0)
        do {
            let mapped = try JSONParser().parse(Terminal.standardInput) { root in
                try plan.map(root, origin: origin, into: &writer) { EventID(bytes: Digest.sha256($0)) }
            }
            guard mapped != nil else {
                Terminal.error("the mapping ignores this event type")
                return
            }
            Terminal.print(String(decoding: writer.bytes, as: UTF8.self))
        } catch let failure as MappingFailure {
            throw .failure(failure.description)
        } catch {
            throw .failure("not JSON: \(error)")
        }
    }
}
