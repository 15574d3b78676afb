// A webhook whose signing secret nobody here can open: its tests are answered, its deliveries wait without being asked
// for again and again, and it is told.
import Core
import Crypto
import JSON
import Pipeline
import Registry
import Runtime
import Testing

@testable import Deliver

@Suite(.timeLimit(.minutes(2))) struct SecretStageTests {
    @Test func testsAreAnsweredAndDeliveriesWaitForTheKey() throws {
        let world = try DeliverWorld("secret")
        let active = world.webhook(1, shard: 0, path: "/active")
        let inactive = world.webhook(2, shard: 0, path: "/inactive", isActive: false)
        let healthy = world.webhook(3, shard: 0, path: "/healthy")
        world.view.put(world.locked(active))
        world.view.put(world.locked(inactive))
        let turns = Guarded(0)
        let member = try world.run("secret") { stage in Watcher(stage) { _ in turns.withLock { $0 += 1 } } }
        for webhook in [active, inactive] { world.produce(webhook, 1, purpose: .test) }
        world.produce(active, 3, first: 10)
        for webhook in [active, inactive] {
            try eventually("the test is answered") { try world.attempts(webhook) { _ in 0 }.count == 1 }
            let answer = try world.attempts(webhook) { ($0["status"]?.string, $0["error"]?.string) }
            #expect(answer[0] == ("failed", "Signing secret is not available"))
        }
        func parked() throws -> [DeliverWorld.Record] {
            try world.dump(world.topics.retries, partitions: 16).filter {
                $0.headers["webhook-id"] == active.id.description
            }
        }
        try eventually("the deliveries get out of the way") { try parked().count == 3 }
        let headers = try parked().map { ($0.key, $0.headers["attempt"], $0.headers["parks"]) }
        #expect(headers.allSatisfy { $0 == ("5s", "0", "1") }, "they wait as behind an open circuit")
        try eventually("it is counted") { metric("lanes_without_secret") == 2 }
        #expect(member.status.complaints.count == 1 && member.status.complaints[0].contains("2 webhooks"))
        let before = turns.withLock { $0 }
        let start = Clock.monotonic()
        for number in 0..<10 {
            world.produce(healthy, 1, first: number)
            try eventually("a neighbour's") { world.receiver.posts("/healthy").count == number + 1 }
            EventFD().wait(milliseconds: 100)
        }
        let seconds = Double(Clock.monotonic() - start) / 1e9
        let perSecond = Double(turns.withLock { $0 } - before) / seconds
        #expect(perSecond < 200, "the stage turned \(perSecond) times a second")
        #expect(try world.attempts(active) { _ in 0 }.count == 1, "what waits is no attempt")
        #expect(try world.dump(world.topics.deferred).isEmpty, "and takes no room from the others")
        #expect(world.receiver.posts("/active").isEmpty && world.receiver.posts("/inactive").isEmpty)

        // The registry has a secret again that can be opened: what comes back from `retries` is sent.
        world.view.put(active)
        world.view.put(inactive)
        world.produce(active, 3, first: 10)
        try eventually("what waited is sent", seconds: 10) { world.receiver.posts("/active").count == 3 }
        try eventually("all is well") { metric("lanes_without_secret") == 0 && member.status.complaints.isEmpty }
        world.receiver.stop()
        member.stop()
    }

    /// A key may go once what it sealed is over; one that goes too early takes its own signature only.
    @Test func aSecretThatIsRotatedOutHoldsNothingUp() throws {
        let world = try DeliverWorld("secret-rotated")
        let now = Timestamp(milliseconds: Clock.wallMilliseconds())
        let webhook = world.webhook(1, shard: 0, path: "/")
        let sealed = world.locked(webhook).secrets[0]
        func made(_ secrets: [SealedSecret], at time: Timestamp) -> TargetState {
            var webhook = webhook
            webhook.secrets = secrets
            return Target.make(
                webhook, secrets: world.secrets, allowHTTP: true,
                policy: AddressPolicy(allow: [Network("127.0.0.0/8")!]),
                at: time)
        }
        func signatures(_ state: TargetState) -> Int? {
            guard case .active(let target) = state else { return nil }
            let delivery = Delivery(
                webhook: webhook.id, account: webhook.account, event: EventID(high: 1, low: 1),
                eventType: "user.created",
                id: DeliveryID(high: 1, low: 1), generation: 1, purpose: .delivery, origin: "", body: [])
            let lines = String(decoding: target.headerLines(for: delivery, attempt: 1, at: now), as: UTF8.self)
            return lines.split(separator: "v1,").count - 1
        }
        var old = sealed
        old.expiresAt = now
        #expect(signatures(made(webhook.secrets + [old], at: now)) == 1, "it is over")
        var openable = webhook.secrets[0]
        (old.expiresAt, openable.expiresAt) = (now.adding(milliseconds: 60_000), now.adding(milliseconds: 60_000))
        #expect(signatures(made(webhook.secrets + [old, openable], at: now)) == 2, "the others sign")
        guard case .unusable(.secret, _) = made([sealed, openable], at: now) else {
            Issue.record("without its current secret a webhook cannot be signed for")
            return
        }
    }

    /// The log says it once a webhook, not once for whatever changes in the registry.
    @Test func aSecretIsTriedOnceAChangeOfItsWebhook() throws {
        let world = try DeliverWorld("secret-once")
        var webhook = world.locked(world.webhook(1, shard: 0, path: "/"))
        world.view.put(webhook)
        let lane = WebhookLane(
            id: webhook.id, shard: 0, lane: Lane(bucket: TokenBucket(perSecond: 100, burst: 5, emptySince: 0)))
        var tries = 0
        func refresh() -> Bool {
            lane.refresh(world.view) { webhook in
                tries += 1
                return .unusable(.secret, generation: webhook.generation)
            }
        }
        #expect(refresh() && lane.lacksSecret)
        for number in UInt32(2)...5 { _ = world.webhook(number, shard: 0, path: "/other") }
        #expect(!refresh() && tries == 1)
        webhook.description = "changed"
        world.view.put(webhook)
        #expect(refresh() && tries == 2)
    }
}
