// What it costs to turn a domain record into a webhook body: parse, map and write, on the five documented examples, beside
// the same job with Foundation. One line of JSON an example on stdout; mapping.py makes the table.
//
// usage: mapping-bench REPOSITORY [ROUNDS [EVENTS]]    EVENTS a round, without Foundation: for profilers
import Core
import Foundation
import Mapping

@main
enum MappingBench {
    private static let examples = [
        ("user.created", "learnault.users"), ("module.completed", "learnault.modules"),
        ("reward.issued", "learnault.rewards"), ("credential.issued", "learnault.credentials"),
        ("reward.withdrawn", "learnault.rewards"),
    ]

    private static let eventsPerRound = CommandLine.arguments.dropFirst(3).first.flatMap { Int($0) } ?? 100_000

    static func main() throws {
        let arguments = CommandLine.arguments
        let root = URL(filePath: arguments.count > 1 ? arguments[1] : ".")
        let rounds = arguments.count > 2 ? Int(arguments[2]) ?? 5 : 5
        let allocations = AllocationCount()
        for (example, topic) in examples {
            let record = try Data(
                contentsOf: root.appending(path: "Tests/System/contract/examples/\(example).domain.json"))
            // As a producer would write it: without the example's white space.
            let compact = try JSONSerialization.data(
                withJSONObject: JSONSerialization.jsonObject(with: record),
                options: [.sortedKeys, .withoutEscapingSlashes])
            let file = root.appending(path: "config/mappings/\(topic).json5")
            guard
                let plan = MappingCompiler.compile(
                    Array(try Data(contentsOf: file)), file: file.lastPathComponent, topicPrefix: "webhooks."
                ).plan
            else { fatalError("\(topic) does not compile") }
            let ours = ourJob(Array(compact), plan, rounds, allocations)
            // A profile of our own job is wanted where its events are given.
            let foundation = arguments.count > 3 ? 0 : try foundationJob(compact, rounds)
            print(
                "{\"example\":\"\(example)\",\"bytes\":\(compact.count),\"nanoseconds\":\(ours.nanoseconds),"
                    + "\"allocations\":\(ours.allocations),\"foundationNanoseconds\":\(foundation)}")
        }
    }

    private static func ourJob(
        _ record: [UInt8], _ plan: MappingPlan, _ rounds: Int, _ allocations: AllocationCount
    ) -> (nanoseconds: Int, allocations: Double) {
        let mapper = Mapper()
        let count = eventsPerRound
        var sum = 0
        var times: [Double] = []
        var allocated = 0
        record.withUnsafeBytes { value in
            let record = DomainRecord(topic: plan.topic, partition: 0, offset: 0, timestamp: 0, value: value)
            for round in 0...rounds {
                let before = allocations.current
                let begin = processorNanoseconds()
                for _ in 0..<count {
                    guard (try? mapper.map(record, by: plan)) != nil else { fatalError("not mapped") }
                    sum += mapper.events[0].body.count
                }
                let time = Double(processorNanoseconds() - begin) / Double(count)
                // The first round warms up.
                if round > 0 {
                    times.append(time)
                    allocated += allocations.current - before
                }
            }
        }
        precondition(sum > 0)
        let perEvent = allocations.isCounting ? Double(allocated) / Double(count * rounds) : -1
        return (Int(times.sorted()[rounds / 2]), perEvent)
    }

    private static func foundationJob(_ record: Data, _ rounds: Int) throws -> Int {
        let job = FoundationJob()
        let count = 4_000
        var sum = 0
        var times: [Double] = []
        for round in 0...rounds {
            let begin = processorNanoseconds()
            for _ in 0..<count { sum += try job.run(record, id: "evt_000000000000000000000000").count }
            if round > 0 { times.append(Double(processorNanoseconds() - begin) / Double(count)) }
        }
        precondition(sum > 0)
        return Int(times.sorted()[rounds / 2])
    }
}

/// Asks the preloaded counter, if there is one.
struct AllocationCount {
    private let read: (@convention(c) () -> Int)?

    init() {
        read = dlsym(nil, "bench_allocations").map {
            unsafeBitCast($0, to: (@convention(c) () -> Int).self)
        }
    }

    var isCounting: Bool { read != nil }
    var current: Int { read?() ?? 0 }
}

/// Processor time of this thread, which a busy machine does not stretch.
private func processorNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
