// Finds where a time range lies in the domain topics, before a replay is asked for: so its ends are fixed, whatever is
// written meanwhile, and it comes to its end.
package import Core
package import Kafka
internal import Runtime
package import Translate

/// Blocks its caller; one thread.
package struct ReplayPlanner {
    private let kafka: KafkaConfiguration
    private let plans: MappingPlans

    package init(kafka: KafkaConfiguration, plans: MappingPlans) {
        self.kafka = kafka
        self.plans = plans
    }

    /// - Parameters:
    ///   - since: the first time that is wanted, by the records' timestamps.
    ///   - until: the first one that is not.
    ///   - deadline: monotonic nanoseconds.
    package func plan(
        since: Timestamp, until: Timestamp, deadline: UInt64
    ) throws(ReplayFault) -> ReplayPlan {
        let plan: ReplayPlan?
        do throws(KafkaError) { plan = try find(since, until, deadline) } catch {
            Log.warning("a replay could not be planned", .error(error.description))
            throw .late
        }
        guard let plan else { throw .late }
        guard plan.fitsCommand else { throw .tooWide }
        return plan
    }

    private func find(
        _ since: Timestamp, _ until: Timestamp, _ deadline: UInt64
    ) throws(KafkaError) -> ReplayPlan? {
        let counts = try KafkaAdmin(kafka).describe(timeoutMilliseconds: Self.left(until: deadline)).partitions
        let reader = try KafkaReader(kafka, purpose: "replay-plan")
        var places: [(topic: String, partition: Int32)] = []
        for topic in plans.topics.sorted() {
            for partition in 0..<Int32(counts[topic] ?? 0) { places.append((topic, partition)) }
        }
        let logs = try logs(of: places, reader, since, until, deadline)
        let uncertain = logs.filter(\.mayMissRecords)
        guard let starts = firstTimes(of: uncertain, reader, deadline) else { return nil }
        let from = max(since, starts.max() ?? since)
        if from > since {
            Log.info(
                "the log of a topic begins later than what a replay asks for",
                .topic(Set(uncertain.map(\.topic)).sorted().joined(separator: ",")))
        }
        return ReplayPlan(parts: logs.compactMap(\.part), from: from)
    }

    private func logs(
        of places: [(topic: String, partition: Int32)], _ reader: KafkaReader, _ since: Timestamp, _ until: Timestamp,
        _ deadline: UInt64
    ) throws(KafkaError) -> [ReplayLog] {
        func ask(_ moment: LogMoment) throws(KafkaError) -> [Int64?] {
            try reader.offsets(at: moment, of: places, milliseconds: Self.left(until: deadline))
        }
        // The ends come first: a record that arrives in between is not part of the range.
        let highs = try ask(.end)
        let lows = try ask(.beginning)
        let begins = try ask(.time(since.milliseconds))
        let ends = try ask(.time(until.milliseconds + ReplayLog.slackMilliseconds))
        // A broker that knows no times finds nothing since 1970 either.
        let ever = begins.contains(nil) ? try ask(.time(0)) : begins
        return places.indices.map { index in
            ReplayLog(
                topic: places[index].topic, partition: places[index].partition, low: lows[index] ?? 0,
                high: highs[index] ?? 0, begin: begins[index], end: ends[index],
                knowsTimes: begins[index] != nil || ever[index] != nil)
        }
    }

    /// The times of the first records of these logs.
    /// - Returns: nil when they could not be read in time.
    private func firstTimes(of logs: [ReplayLog], _ reader: KafkaReader, _ deadline: UInt64) -> [Timestamp]? {
        var unread = Set(logs.map { "\($0.topic)/\($0.partition)" })
        guard !unread.isEmpty else { return [] }
        reader.assign(logs.map { ($0.topic, $0.partition, .offset($0.low)) })
        var times: [Timestamp] = []
        while !unread.isEmpty {
            guard Clock.monotonic() < deadline else { return nil }
            reader.poll(milliseconds: 50) { message in
                guard unread.remove("\(message.topic)/\(message.partition)") != nil else { return }
                reader.leave(message.topic, message.partition)
                if message.timestamp >= 0 { times.append(Timestamp(milliseconds: message.timestamp)) }
            }
        }
        return times
    }

    static func left(until deadline: UInt64) -> Int {
        let now = Clock.monotonic()
        return now < deadline ? max(1, Int((deadline - now) / 1_000_000)) : 1
    }
}
