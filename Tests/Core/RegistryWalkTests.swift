// Two owners of the registry and a client, interleaved at random on one log of each topic: each owner believes for some time
// that it alone is the owner, reads when it is its turn, and what it wrote lands later, in its order. Whatever they do, the
// account never has an eleventh webhook, what the client was told is true, what it gave up waiting for is undone, and in the end
// all read the same.
import Core
import Testing

/// A small generator with a seed, so that a walk that fails can be walked again.
private struct Dice {
    var state: UInt64
    mutating func roll(_ sides: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % sides
    }
}

private let account = AccountID(high: 1, low: 1)
private let start = Timestamp(milliseconds: 1_700_000_000_000)

private func webhook(_ number: Int, generation: Int = 1) -> Webhook {
    Webhook(
        id: WebhookID(high: 9, low: UInt32(number)), account: account, url: "https://example.com/\(number)",
        description: nil, events: ["*"], isActive: true, version: "1.0", generation: generation, createdAt: start,
        updatedAt: start, secrets: [])
}

/// One record of `results` or `subscriptions`.
private enum Record {
    case marker(EpochMarker)
    case answer(CommandID, Answer, epoch: Int)
    case state(WebhookID, Webhook?, command: CommandID?, withdraws: CommandID? = nil, epoch: Int)
}

private struct Logs {
    var records: [RegistryLog: [Record]] = [.results: [], .accounts: [], .subscriptions: []]
    var commands: [Command] = []
    /// The group's committed offset of `commands`.
    var committed = 0
    /// Who owns the partition, by the group's judgement: commits of others are refused.
    var member = 0
}

private struct Owner {
    let number: Int
    var ownership: RegistryOwnership
    var state = RegistryState(webhooksPerAccount: 10)
    var memory = AnswerMemory()
    var changes = AppliedChanges()
    var read: [RegistryLog: Int] = [.results: 0, .accounts: 0, .subscriptions: 0]
    var repairs: Set<WebhookID> = []
    /// Written and not landed, in order.
    var flying: [(RegistryLog, Record)] = []
    var position: Int
    /// Commands whose answers are not read back, by their offsets.
    var unconfirmed: [(offset: Int, id: CommandID)] = []
    /// Answers to be written once what they say has landed.
    var pendingAnswer: (offset: Int, id: CommandID, answer: Answer)?

    init(_ number: Int, random: UInt64, at position: Int) {
        self.number = number
        self.position = position
        ownership = RegistryOwnership(owner: random)
        state.load(Account(id: account, email: "a@example.com", name: nil, keys: [], createdAt: start))
    }

    mutating func perform(_ action: RegistryOwnership.Action?) {
        switch action {
        case .claim(let marker): flying.append((.results, .marker(marker)))
        case .mark(let marker):
            flying.append((.accounts, .marker(marker)))
            flying.append((.subscriptions, .marker(marker)))
        case .begin: changes.endReading()
        case .stop, nil: break
        }
    }

    mutating func readOne(_ log: RegistryLog, _ logs: inout Logs) {
        let records = logs.records[log] ?? []
        let place = read[log] ?? 0
        if place >= records.count {
            if RegistryLog.allCases.allSatisfy({ (read[$0] ?? 0) >= (logs.records[$0] ?? []).count }) {
                perform(ownership.reachedEnds())
            }
            return
        }
        read[log] = place + 1
        switch records[place] {
        case .marker(let marker): perform(ownership.saw(marker, on: log))
        case .answer(let id, let answer, let epoch):
            switch ownership.saw(recordOf: epoch, on: log) {
            case .take: memory.note(id, answer, at: start, now: start)
            case .own:
                unconfirmed.removeAll { $0.id == id }
                let finished = unconfirmed.first?.offset ?? pendingAnswer?.offset ?? position
                if logs.member == number { logs.committed = max(logs.committed, finished) }
            case .superseded, .stop: break
            }
        case .state(let id, let webhook, let command, let undone, let epoch):
            switch ownership.saw(recordOf: epoch, on: log) {
            case .take:
                repairs.remove(id)
                if let command {
                    if let undone {
                        changes.forget(undone); memory.withdraw(undone, requestedAt: nil, now: start)
                    } else {
                        changes.note(command, of: id, from: state.webhooks[id], to: webhook, requestedAt: nil)
                    }
                }
                if let webhook { state.load(webhook) } else { state.unloadWebhook(id) }
                if let command { memory.note(command, .applied, at: start, now: start) }
            case .superseded: repairs.insert(id)
            case .own, .stop: break
            }
        }
    }

    /// Applies the next command, or goes a step further with the last one.
    mutating func work(_ logs: Logs) {
        guard ownership.phase == .owning, flying.isEmpty else { return }
        if let (offset, id, answer) = pendingAnswer {
            pendingAnswer = nil
            unconfirmed.append((offset, id))
            return flying.append((.results, .answer(id, answer, epoch: ownership.epoch)))
        }
        if let id = repairs.popFirst() {
            return flying.append((.subscriptions, .state(id, state.webhooks[id], command: nil, epoch: ownership.epoch)))
        }
        guard position < logs.commands.count else { return }
        let command = logs.commands[position]
        position += 1
        if let earlier = memory[command.id] {
            var id = command.id
            if case .withdraw(let withdrawn, _, _) = command.change, memory[withdrawn] == .refused(.withdrawn) {
                id = withdrawn
            }
            return pendingAnswer = (position - 1, id, memory[id] ?? earlier)
        }
        if case .withdraw(let withdrawn, let id, _) = command.change {
            let undone = changes.withdraw(withdrawn, requestedAt: start).filter { !$0.changesNothing }.prefix {
                state.undo($0) != nil
            }
            memory.note(command.id, .applied, at: start, now: start)
            guard !undone.isEmpty else { return pendingAnswer = (position - 1, command.id, .applied) }
            memory.withdraw(withdrawn, requestedAt: nil, now: start)
            pendingAnswer = (position - 1, withdrawn, .refused(.withdrawn))
            return flying.append(
                (
                    .subscriptions,
                    .state(id, state.webhooks[id], command: command.id, withdraws: withdrawn, epoch: ownership.epoch)
                ))
        }
        let before = command.change.webhook.flatMap { state.webhooks[$0] }
        let (answer, actions) = state.apply(command, now: start)
        if let id = command.change.webhook, answer == .applied || answer == .refused(.webhookNotFound) {
            changes.note(command.id, of: id, from: before, to: state.webhooks[id], requestedAt: nil)
        }
        memory.note(command.id, answer, at: start, now: start)
        pendingAnswer = (position - 1, command.id, answer)
        for case .writeWebhook(let webhook) in actions {
            flying.append((.subscriptions, .state(webhook.id, webhook, command: command.id, epoch: ownership.epoch)))
        }
        for case .removeWebhook(let id) in actions {
            flying.append((.subscriptions, .state(id, nil, command: command.id, epoch: ownership.epoch)))
        }
    }

    mutating func land(_ logs: inout Logs) {
        guard !flying.isEmpty else { return }
        let (log, record) = flying.removeFirst()
        logs.records[log]?.append(record)
    }
}

/// A process with a view: what its client has been told, by an answer or by the state itself, whichever comes first.
private struct Client {
    var fences: [RegistryLog: EpochFence] = [.results: EpochFence(), .subscriptions: EpochFence()]
    var read: [RegistryLog: Int] = [.results: 0, .subscriptions: 0]
    var told: [CommandID: Answer] = [:]
    /// What it gave up waiting for, and told its user that it will not happen; one of each webhook, since an owner who dies
    /// takes along what he knew of the one beneath another.
    var givenUp: [WebhookID: CommandID] = [:]

    mutating func giveUp(_ command: Command) -> Command.Change? {
        guard told[command.id] == nil, let id = command.change.webhook, givenUp[id] == nil else { return nil }
        if case .withdraw = command.change { return nil }
        givenUp[id] = command.id
        return .withdraw(command.id, id, requestedAt: start)
    }

    mutating func readOne(_ log: RegistryLog, _ logs: Logs) {
        guard let records = logs.records[log], let place = read[log], place < records.count else { return }
        read[log] = place + 1
        switch records[place] {
        case .marker(let marker): fences[log]?.pass(marker.epoch)
        case .answer(let id, let answer, let epoch): tell(id, answer, epoch, log)
        case .state(_, _, let id?, _, let epoch): tell(id, .applied, epoch, log)
        case .state: break
        }
    }

    private mutating func tell(_ id: CommandID, _ answer: Answer, _ epoch: Int, _ log: RegistryLog) {
        guard fences[log]?.isSuperseded(epoch) == false, !givenUp.values.contains(id) else { return }
        if told[id] == nil { told[id] = answer }
    }
}

@Suite struct RegistryWalkTests {
    /// What the log says once it is read with its epochs, as the next owner would.
    private func truth(_ logs: Logs) -> [WebhookID: Webhook] {
        var reader = Owner(-1, random: 0, at: 0)
        var copy = logs
        for log in RegistryLog.allCases {
            while reader.read[log] != logs.records[log]?.count { reader.readOne(log, &copy) }
        }
        return Dictionary(uniqueKeysWithValues: reader.state.webhooks.keys.map { ($0, reader.state.webhooks[$0]!) })
    }

    /// What a view says: the last record of each key, whoever wrote it.
    private func seen(_ logs: Logs) -> [WebhookID: Webhook] {
        var view: [WebhookID: Webhook] = [:]
        for case .state(let id, let webhook, _, _, _) in logs.records[.subscriptions] ?? [] { view[id] = webhook }
        return view
    }

    private func change(_ dice: inout Dice) -> Command.Change {
        let number = dice.roll(14)
        switch dice.roll(5) {
        case 0, 1, 2: return .createWebhook(webhook(number))
        case 3: return .deleteWebhook(webhook(number).id)
        default: return .updateWebhook(webhook(number).id, WebhookPatch(url: "https://example.com/\(dice.roll(1000))"))
        }
    }

    @Test(arguments: 0..<40) func twoOwnersNeverContradictEachOther(_ seed: Int) throws {
        var dice = Dice(state: UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1)
        var logs = Logs()
        var owners = [Owner(0, random: 100, at: 0), Owner(1, random: 200, at: 0)]
        var client = Client()
        var made = 2
        var takeOvers = 0
        for step in 0..<3000 {
            let index = dice.roll(2)
            switch dice.roll(40) {
            case 0:
                // The group gives the partition to one of them; the other one does not hear of it.
                guard owners[index].flying.isEmpty || dice.roll(2) == 0 else { break }
                logs.member = index
                let flying = owners[index].flying
                made += 1
                takeOvers += 1
                owners[index] = Owner(index, random: UInt64(made), at: logs.committed)
                // What the producer holds cannot be called back.
                owners[index].flying = flying
            case 1...4 where step < 2000:
                let id = CommandID(high: 5, low: UInt32(logs.commands.count))
                var wish: Command.Change?
                if dice.roll(4) == 0, !logs.commands.isEmpty {
                    wish = client.giveUp(
                        logs.commands[logs.commands.count - 1 - dice.roll(min(3, logs.commands.count))])
                }
                logs.commands.append(
                    Command(id: id, account: account, at: start, notAfter: nil, change: wish ?? change(&dice)))
            case 5...12: owners[index].work(logs)
            case 13...20: owners[index].land(&logs)
            case 21...24: client.readOne(dice.roll(2) == 0 ? .results : .subscriptions, logs)
            default: owners[index].readOne(RegistryLog.allCases[dice.roll(3)], &logs)
            }
            if step % 100 == 0 { #expect(truth(logs).count <= 10, "an eleventh webhook in walk \(seed)") }
        }

        // Quiet: what flies lands, the one whom the group has chosen takes over, the other one hears of it.
        for index in owners.indices { while !owners[index].flying.isEmpty { owners[index].land(&logs) } }
        let chosen = logs.member
        owners[chosen] = Owner(chosen, random: 9999, at: logs.committed)
        for _ in 0..<(20 * (logs.commands.count + 200)) {
            for log in RegistryLog.allCases { owners[chosen].readOne(log, &logs) }
            owners[chosen].work(logs)
            owners[chosen].land(&logs)
            for log in [RegistryLog.results, .subscriptions] { client.readOne(log, logs) }
        }
        let owner = owners[chosen]
        #expect(owner.ownership.phase == .owning && owner.position == logs.commands.count && owner.repairs.isEmpty)
        let state = Dictionary(
            uniqueKeysWithValues: owner.state.webhooks.keys.map { ($0, owner.state.webhooks[$0]!) })
        #expect(seen(logs) == state, "the views and the owner agree in walk \(seed)")
        #expect(truth(logs) == state, "and so will the next owner")
        #expect(state.count <= 10)

        // Each command has one answer, and the answers in the order of the commands explain the state.
        #expect(
            client.told.count + client.givenUp.count == logs.commands.count, "each command is answered in walk \(seed)")
        var replayed = RegistryState(webhooksPerAccount: 10)
        var changes = AppliedChanges()
        changes.endReading()
        var undone = 0
        replayed.load(Account(id: account, email: "a@example.com", name: nil, keys: [], createdAt: start))
        for command in logs.commands {
            let id = try #require(command.change.webhook)
            let before = replayed.webhooks[id]
            let expected = replayed.apply(command, now: start).answer
            if case .withdraw(let withdrawn, _, _) = command.change {
                undone += changes.withdraw(withdrawn, requestedAt: start).count {
                    !$0.changesNothing && replayed.undo($0) != nil
                }
            } else if expected == .applied || expected == .refused(.webhookNotFound) {
                changes.note(command.id, of: id, from: before, to: replayed.webhooks[id], requestedAt: nil)
            }
            guard client.givenUp[id] != command.id else { continue }
            #expect(client.told[command.id] == expected, "walk \(seed): \(command.id)")
        }
        let explained = Dictionary(
            uniqueKeysWithValues: replayed.webhooks.keys.map { ($0, replayed.webhooks[$0]!) })
        #expect(explained == state, "nothing that was acknowledged is lost in walk \(seed)")
        if seed == 0 { #expect(takeOvers > 20 && logs.commands.count > 100 && undone > 3, "not vacuous: \(undone)") }
    }
}
