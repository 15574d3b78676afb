// The registry as the API sees it, without Kafka: commands are judged by the real state and feed the real view, on a
// thread of their own as the real client's answers come.
import API
import Core
import Crypto
import Foundation
import HTTPProbe
import HTTPServer
import Registry
import Runtime
import Synchronization
import Testing

final class FakeRegistry: RegistryClient {
    let view = RegistryView()
    let unconfirmed = Atomic(false)
    /// Those that are applied, and whose sender never hears of it.
    let isLost = Guarded<@Sendable (Command) -> Bool>({ _ in false })
    /// By how much repeated requests are told that the first is older than it is, so that nothing has to wait.
    let addedAge = Atomic(0)
    /// What every command is answered without being judged, where it is set.
    let forced = Guarded<CommandOutcome?>(nil)
    let commands = Guarded<[Command]>([])
    private let state = Guarded((registry: RegistryState(webhooksPerAccount: 10), memory: AnswerMemory()))

    func send(_ command: Command, completion: @escaping @Sendable (CommandOutcome) -> Void) {
        commands.withLock { $0.append(command) }
        _ = OwnedThread(name: "registry") { [self] in
            if unconfirmed.load(ordering: .relaxed) { return completion(.unconfirmed) }
            if let outcome = forced.withLock({ $0 }) { return completion(outcome) }
            let outcome = outcome(of: command)
            completion(isLost.withLock { $0(command) } ? .unconfirmed : outcome)
        }
    }

    /// As the stage and the feed together make it.
    private func outcome(of command: Command) -> CommandOutcome {
        let recalled = state.withLock { $0.memory.recall(command) }
        switch recalled {
        case .otherRequest: return .refused(.keyReused)
        case .repeated(.refused(let why), _): return .refused(why)
        case .repeated(.applied, var receipt):
            let age = Int64(addedAge.load(ordering: .relaxed))
            receipt?.at = command.at.adding(milliseconds: -age - 1)
            return .applied(CommandEffect(receipt))
        case .unknown: break
        }
        if case .refused(let why) = apply(command) { return .refused(why) }
        return .applied(
            state.withLock { state in
                CommandEffect(
                    webhook: command.change.webhook.flatMap { state.registry.webhooks[$0] },
                    requestedAt: command.fingerprint.map { _ in command.at })
            })
    }

    @discardableResult
    func apply(_ command: Command) -> Answer {
        state.withLock { state in
            let now = Timestamp(milliseconds: Clock.wallMilliseconds())
            let (answer, actions) = state.registry.apply(command, now: now)
            let receipt = Receipt(of: command, answer, in: state.registry)
            state.memory.note(command.id, answer, receipt, at: now, now: now)
            for action in actions {
                switch action {
                case .writeAccount(let account): view.put(account)
                case .writeWebhook(let webhook): view.put(webhook)
                case .removeWebhook(let id): view.removeWebhook(id)
                case .removeAccount(let id): view.removeAccount(id)
                case .notice, .email: break
                }
            }
            return answer
        }
    }

    /// An account and its key.
    func account(_ number: Int, expiresAt: Timestamp? = nil) -> (id: AccountID, key: APIKeyText) {
        let id = AccountID(bytes: Random.bytes(12))
        let key = APIKeyText.generate(.live)
        let account = Account(
            id: id, email: "owner\(number)@example.com", name: nil,
            keys: [APIKey(id: key.id, hash: key.hash, createdAt: sampleTime, expiresAt: expiresAt)],
            createdAt: sampleTime)
        apply(
            Command(
                id: CommandID(bytes: Random.bytes(12)), account: id, at: sampleTime, notAfter: nil,
                change: .createAccount(account)))
        return (id, key)
    }
}

/// The broker as the API sees it, without Kafka: what it does with a delivery is programmed, and answers come from a thread
/// of its own as the real sink's do.
final class FakeSink: DeliverySink {
    enum Manner { case acknowledges, givesUp, saysNothing }

    private let state = Guarded((manner: Manner.acknowledges, sent: [Delivery]()))

    var sent: [Delivery] { state.withLock { $0.sent } }
    func will(_ manner: Manner) { state.withLock { $0.manner = manner } }

    func send(_ delivery: Delivery, completion: @escaping @Sendable (Bool) -> Void) {
        let manner = state.withLock { state in
            state.sent.append(delivery)
            return state.manner
        }
        guard manner != .saysNothing else { return }
        _ = OwnedThread(name: "sink") { completion(manner == .acknowledges) }
    }
}

/// Kafka as the replay paths see it, without Kafka: what is found is programmed, and answers come from a thread of their own
/// as the real ones do.
final class FakeSource: ReplaySource {
    private let state = Guarded(State())

    private struct State {
        var plan: Result<ReplayPlan, ReplayFault> = .success(ReplayPlan(parts: [], from: sampleTime))
        var found: Result<Delivery, ReplayFault> = .failure(.unknown)
        var ranges: [(since: Timestamp, until: Timestamp)] = []
        var asked: [(event: EventID, origin: RecordOrigin?)] = []
    }

    var ranges: [(since: Timestamp, until: Timestamp)] { state.withLock { $0.ranges } }
    var asked: [(event: EventID, origin: RecordOrigin?)] { state.withLock { $0.asked } }
    func will(plan: Result<ReplayPlan, ReplayFault>) { state.withLock { $0.plan = plan } }
    func will(find: Result<Delivery, ReplayFault>) { state.withLock { $0.found = find } }

    func plan(
        since: Timestamp, until: Timestamp, completion: @escaping @Sendable (Result<ReplayPlan, ReplayFault>) -> Void
    ) {
        let plan = state.withLock { state in
            state.ranges.append((since, until))
            return state.plan
        }
        _ = OwnedThread(name: "desk") { completion(plan) }
    }

    /// The delivery has the id that its run makes.
    func find(
        _ event: EventID, from origin: RecordOrigin?, for webhook: Webhook, run: RetryID,
        completion: @escaping @Sendable (Result<Delivery, ReplayFault>) -> Void
    ) {
        let found = state.withLock { state in
            state.asked.append((event, origin))
            return state.found.map { delivery in
                var delivery = delivery
                delivery.id = DeliveryID(bytes: Digest.sha256(Array("\(event)\0\(webhook.id)\0\(run)".utf8)))
                return delivery
            }
        }
        _ = OwnedThread(name: "desk") { completion(found) }
    }
}

/// A whole API on a free port, with two accounts.
final class TestAPI {
    let registry: FakeRegistry
    let directory = TemporaryDirectory()
    let logs: LogStore
    let sink = FakeSink()
    let tests: TestEvents
    let source = FakeSource()
    let waits = ReplayWaits {}
    let server: APIServer
    let box = SecretBox(keys: [SecretBox.Key(id: "k1", bytes: [UInt8](repeating: 7, count: 32))])
    let mine: (id: AccountID, key: APIKeyText)
    let others: (id: AccountID, key: APIKeyText)

    /// - Parameter other: a process of the same cluster, with its accounts; nil: a cluster of its own.
    init(
        limits: Settings.Limits = Settings.Limits(), serverLimits: HTTPServerLimits = HTTPServerLimits(),
        beside other: TestAPI? = nil
    ) throws {
        registry = other?.registry ?? FakeRegistry()
        logs = directory.store()
        mine = other?.mine ?? registry.account(1)
        others = other?.others ?? registry.account(2)
        tests = TestEvents(sink: sink, attemptMilliseconds: 5000)
        server = try APIServer(
            listen: "127.0.0.1:0", view: registry.view, client: registry, logs: logs, tests: tests,
            sources: source, deliveries: sink, waits: waits, secretBox: box, limits: limits, serverLimits: serverLimits,
            judgeURL: { $0.hasPrefix("https://") ? nil : "must begin with https://" })
    }

    deinit {
        server.stop(seconds: 1)
        logs.stop()
    }

    /// A request with the first account's key, unless told otherwise.
    func call(
        _ method: String, _ path: String, _ body: String? = nil, key: APIKeyText? = nil,
        headers: [(String, String)] = [("Content-Type", "application/json")]
    ) throws -> ProbeResponse {
        let response = try probe(
            port: server.port, method, path,
            headers: [("Authorization", "Bearer \((key ?? mine.key).text)")] + (body == nil ? [] : headers), body: body)
        expectDocumented(response, method, path)
        return response
    }

    /// Whatever is answered stands in the table of routes.
    private func expectDocumented(_ response: ProbeResponse, _ method: String, _ path: String) {
        let parts = path.prefix { $0 != "?" }.split(separator: "/", omittingEmptySubsequences: false)
        let operation = Operations.all.first { operation in
            let pattern = operation.path.split(separator: "/", omittingEmptySubsequences: false)
            return operation.method.rawValue == (method == "HEAD" ? "GET" : method) && pattern.count == parts.count
                && zip(pattern, parts).allSatisfy { $0 == $1 || $0.hasPrefix(":") }
        }
        guard let operation else { return }
        if response.status < 400 {
            #expect(
                operation.answers.contains { $0.status == response.status }, "\(operation.name): \(response.status)")
        } else if method != "HEAD" {
            let code = response.code.flatMap { ErrorCode(rawValue: $0) }
            #expect(
                code.map { operation.allErrors.contains($0) && $0.status == response.status } == true,
                "\(operation.name): \(response.status) \(response.code ?? "no code")")
        }
    }

    static let registration = """
        {
          "url": "https://yourapp.com/webhooks/learnault",
          "description": "Production webhook",
          "events": ["module.completed", "reward.issued", "credential.issued"],
          "isActive": true,
          "version": "1.0"
        }
        """

    /// Registers a webhook and answers its id.
    func register(key: APIKeyText? = nil) throws -> String {
        let response = try call("POST", "/v1/webhooks", Self.registration, key: key)
        guard let id = response.json["data"]["id"].string else { throw ProbeError("not registered: \(response.text)") }
        return id
    }
}

/// Just enough of a JSON reader for expectations.
struct AnyJSON: Equatable {
    let value: NSObject?
    subscript(_ key: String) -> AnyJSON { AnyJSON(value: (value as? [String: Any])?[key] as? NSObject) }
    subscript(_ index: Int) -> AnyJSON {
        let array = value as? [Any]
        return AnyJSON(value: array.flatMap { index < $0.count ? $0[index] as? NSObject : nil })
    }
    var string: String? { value as? String }
    var int: Int? { value as? Int }
    var bool: Bool? { value as? Bool }
    var isNull: Bool { value is NSNull }
    var strings: [String]? { value as? [String] }
    var keys: Set<String> { Set((value as? [String: Any])?.keys ?? [:].keys) }
    var count: Int? { (value as? [Any])?.count }
    var elements: [AnyJSON] { (value as? [Any])?.map { AnyJSON(value: $0 as? NSObject) } ?? [] }
}

extension ProbeResponse {
    var json: AnyJSON { AnyJSON(value: try? JSONSerialization.jsonObject(with: Data(body)) as? NSObject) }
    var code: String? { json["error"]["code"].string }
    /// Places of the faults, sorted.
    var pointers: [String] { json["error"]["details"]["errors"].elements.compactMap { $0["pointer"].string }.sorted() }
    var parameters: [String] {
        json["error"]["details"]["errors"].elements.compactMap { $0["parameter"].string }.sorted()
    }
}
