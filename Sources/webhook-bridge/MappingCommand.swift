// `mapping check` and `mapping try`.
internal import Configuration
internal import Core
internal import Mapping
internal import Runtime

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
        let record = OwnedRecord(
            topic: plan.topic, timestamp: Clock.wallMilliseconds(), value: Terminal.standardInput,
            headers: options.headers.map { (Array($0.name.utf8), Array($0.value.utf8)) })
        let mapper = Mapper()
        do throws(MappingFailure) { try mapper.map(record, by: plan) } catch { throw .failure(error.description) }
        if mapper.events.isEmpty { Terminal.error("the mapping passes this record over") }
        for event in mapper.events { Terminal.print(String(decoding: mapper.bytes[event.body], as: UTF8.self)) }
    }
}
