// Partitions move from one member to another: what has not started goes along, what is under way is recorded, and what
// comes straight back goes on as it was.
import Core
import JSON
import Pipeline
import Registry
import Runtime
import Testing

@Suite(.timeLimit(.minutes(3))) struct HandOverStageTests {
    @Test func aMemberThatJoinsTakesOverWhatWaits() throws {
        let world = try DeliverWorld("handover")
        let webhooks = (0..<Int32(2)).map { world.webhook(UInt32($0) + 1, shard: $0, path: "/\($0)") }
        let slow = (0..<Int32(2)).map { world.webhook(UInt32($0) + 11, shard: $0, path: "/slow\($0)") }
        for shard in 0..<2 {
            // Only the very first answers of each are slow, and refuse.
            world.receiver.script("/slow\(shard)") { number in
                number < 2 ? .init(status: 500, delayMilliseconds: 4500) : .init()
            }
        }
        let first = try world.run("handover", eventsPerSecond: 0)
        for webhook in webhooks { world.produce(webhook, 40) }
        try eventually("both lanes are at their full concurrency") {
            try webhooks.allSatisfy { webhook in
                try world.attempts(webhook) { $0["lane"]?["concurrency"]?.int ?? 0 }.contains(16)
            }
        }
        for webhook in slow { world.produce(webhook, 2) }
        try eventually("two of each are under way") {
            (0..<2).allSatisfy { world.receiver.posts("/slow\($0)").count == 2 }
        }
        let second = try world.run("handover", eventsPerSecond: 0, waiting: false)
        // Whenever the group lets the first one go, there are records that came a moment ago.
        var producedAt: [String: Int64] = [:]
        var count = 2
        while !second.status.hasAssignment {
            for webhook in slow {
                let event = EventID(high: webhook.id.hashSeed, low: UInt32(count)).description
                producedAt[event] = Clock.wallMilliseconds()
                world.produce(webhook, 1, first: count)
            }
            count += 1
            EventFD().wait(milliseconds: 30)
        }
        try eventually("all of it arrives") {
            (0..<2).allSatisfy { shard in
                Set(world.receiver.posts("/slow\(shard)").dropFirst(2).map(\.event)).count == count
            }
        }
        let deferred = try world.dump(world.topics.deferred)
        for webhook in slow {
            let isHandedOver = deferred.contains { record in
                guard record.key == webhook.id.description, let produced = producedAt[record.event],
                    let deferred = record.headers["deferred-at"].flatMap({ Timestamp(rfc3339: $0) })
                else { return false }
                return deferred.milliseconds < produced + 900
            }
            #expect(isHandedOver, "what had not started was put aside before its second was over")
        }
        // The POSTs that ended behind the hand-over: recorded, and nothing follows from them but what the new owner does.
        try eventually("late results are recorded") {
            try slow.allSatisfy { try world.attempts($0) { $0["responseCode"]?.int }.count { $0 == 500 } == 2 }
        }
        #expect(try world.dump(world.topics.retries, partitions: 16).isEmpty)
        for webhook in webhooks { world.produce(webhook, 1, first: 100) }
        try eventually("one more of each") { (0..<2).allSatisfy { world.receiver.posts("/\($0)").count >= 41 } }
        var last: [Int] = []
        for webhook in webhooks {
            let event = EventID(high: webhook.id.hashSeed, low: 100).description
            try eventually("recorded") { try world.attempts(webhook) { $0["eventId"]?.string }.contains(event) }
            last += try world.attempts(webhook) { json in
                json["eventId"]?.string == event ? json["lane"]?["concurrency"]?.int : nil
            }.compactMap { $0 }
        }
        // The new one has 3, or more where it was given some of what had been sent again.
        #expect(last.max() == 16 && (last.min() ?? 16) < 16, "one lane was kept, the other began anew elsewhere")
        world.receiver.stop()
        second.stop()
        first.stop()
    }
}
