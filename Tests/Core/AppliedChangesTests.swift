// What is taken back when a sender could not wait for its confirmation, and what stays.
import Core
import Testing

@Suite struct AppliedChangesTests {
    private let start = Timestamp(milliseconds: 1_700_000_000_000)
    private let account = AccountID(high: 1, low: 1)

    private func webhook(_ number: UInt32) -> Webhook {
        Webhook(
            id: WebhookID(high: 9, low: number), account: account, url: "https://example.com/", description: nil,
            events: ["*"], isActive: true, version: "1.0", createdAt: start, updatedAt: start,
            secrets: [SealedSecret(keyID: "k", box: [1], createdAt: start)])
    }

    private func later(_ milliseconds: Int64) -> Timestamp { start.adding(milliseconds: milliseconds) }

    private func command(_ number: UInt32, _ change: Command.Change, notAfter: Timestamp? = nil) -> Command {
        Command(
            id: CommandID(high: 5, low: number), account: account, at: start, notAfter: notAfter, change: change,
            actor: .key("k"))
    }

    /// A registry with the account, its first webhook, and what was applied.
    private struct Registry {
        var state = RegistryState(webhooksPerAccount: 2)
        var changes = AppliedChanges()

        mutating func apply(_ command: Command) -> Answer {
            let id = command.change.webhook!
            let before = state.webhooks[id]
            let (answer, _) = state.apply(command, now: command.at)
            if command.isWish, answer == .applied || answer == .refused(.webhookNotFound) {
                changes.note(
                    command.id, of: id, from: before, to: state.webhooks[id], requestedAt: command.keyedAt)
            }
            return answer
        }

        mutating func withdraw(_ command: Command) -> [RegistryAction] {
            changes.withdraw(command.id, requestedAt: command.at).filter { !$0.changesNothing }.compactMap {
                state.undo($0)
            }
        }
    }

    private func registry() -> Registry {
        var registry = Registry()
        registry.state.load(Account(id: account, email: "a@example.com", name: nil, keys: [], createdAt: start))
        registry.state.load(webhook(1))
        registry.changes.endReading()
        return registry
    }

    /// Everything but the numbers that only grow.
    private func content(_ webhook: Webhook?) -> Webhook? {
        var webhook = webhook
        webhook?.revision = 1
        webhook?.generation = 1
        return webhook
    }

    private func replay(_ generation: Int = 1) -> Replay {
        Replay(
            id: ReplayID(high: 6, low: 1), since: start, until: later(60_000), from: start, isDryRun: false,
            generation: generation, createdAt: start,
            parts: [ReplayPart(topic: "learnault.modules", partition: 0, first: 0, next: 0, end: 9)])
    }

    @Test func everyChangeIsUndone() {
        let id = webhook(1).id
        let changes: [Command.Change] = [
            .createWebhook(webhook(2)), .updateWebhook(id, WebhookPatch(url: "https://b.example/", events: ["a.b"])),
            .updateWebhook(id, WebhookPatch(isActive: false)), .deleteWebhook(id),
            .rotateSecret(id, SealedSecret(keyID: "k", box: [2], createdAt: start), overlapMilliseconds: 0),
            .startReplay(id, replay()),
        ]
        for change in changes {
            var registry = registry()
            let was = registry.state.webhooks[change.webhook!]
            #expect(registry.apply(command(1, change)) == .applied)
            let changed = registry.state.webhooks[change.webhook!]
            #expect(changed != was)
            let actions = registry.withdraw(command(1, change))
            let restored = registry.state.webhooks[change.webhook!]
            #expect(content(restored) == content(was), "\(change)")
            #expect(actions == [restored.map { .writeWebhook($0) } ?? .removeWebhook(change.webhook!)])
            if let restored, let changed { #expect(restored.revision > changed.revision, "an ETag names one state") }
            #expect(registry.state.webhooks(of: account) == [id], "and it counts as it did")
            #expect(registry.withdraw(command(1, change)).isEmpty, "once")
        }
    }

    @Test func anActivationKeepsItsGeneration() {
        var registry = registry()
        _ = registry.apply(command(1, .updateWebhook(webhook(1).id, WebhookPatch(isActive: false))))
        let on = command(2, .updateWebhook(webhook(1).id, WebhookPatch(isActive: true)))
        _ = registry.apply(on)
        #expect(registry.withdraw(on).count == 1)
        let webhook = registry.state.webhooks[webhook(1).id]
        #expect(webhook?.isActive == false && webhook?.generation == 2, "what was made under it is void")
    }

    @Test func whatOthersBuiltOnStays() {
        var registry = registry()
        let create = command(1, .createWebhook(webhook(2)))
        _ = registry.apply(create)
        _ = registry.apply(command(2, .updateWebhook(webhook(2).id, WebhookPatch(description: "mine"))))
        #expect(registry.withdraw(create) == [])
        #expect(registry.state.webhooks[webhook(2).id]?.description == "mine")

        let delete = command(3, .deleteWebhook(webhook(1).id))
        _ = registry.apply(delete)
        #expect(registry.apply(command(4, .createWebhook(webhook(3)))) == .applied, "its place is taken")
        #expect(registry.withdraw(delete) == [])
        #expect(registry.state.webhooks(of: account) == [webhook(2).id, webhook(3).id], "never one more than may be")

        let again = command(5, .deleteWebhook(webhook(2).id))
        _ = registry.apply(again)
        _ = registry.state.apply(command(6, .deleteAccount), now: start)
        #expect(registry.withdraw(again) == [] && registry.state.webhooks.isEmpty, "an erased account stays erased")
    }

    @Test func whatWasBuiltOnItMayBeWithdrawnToo() {
        var registry = registry()
        let was = registry.state.webhooks[webhook(1).id]
        let changes: [Command] = [
            command(1, .updateWebhook(webhook(1).id, WebhookPatch(description: "first"))),
            command(2, .updateWebhook(webhook(1).id, WebhookPatch(isActive: false))),
            command(3, .deleteWebhook(webhook(1).id)),
        ]
        for change in changes { #expect(registry.apply(change) == .applied) }
        #expect(registry.withdraw(changes[0]) == [] && registry.withdraw(changes[1]) == [])
        #expect(registry.withdraw(changes[2]).count == 3, "the last one first, and those beneath it")
        #expect(content(registry.state.webhooks[webhook(1).id]) == content(was))
        #expect(registry.changes.count == 0)
    }

    /// What goes on by itself is no wish: nothing was built, and it goes on.
    @Test func reportsWarningsAndSealsStandBeside() {
        var registry = registry()
        let id = webhook(1).id
        let begin = command(1, .startReplay(id, replay()))
        let patch = command(2, .updateWebhook(id, WebhookPatch(description: "late")))
        #expect(registry.apply(begin) == .applied && registry.apply(patch) == .applied)
        let report = ReplayReport(
            replay: replay().id, generation: 1,
            parts: [ReplayPart(topic: "learnault.modules", partition: 0, first: 0, next: 5, end: 9)])
        let warning = WarnOrder(
            generation: 1, failedAttempts: 8, lastError: "", failingSince: start, lastAttemptAt: start)
        #expect(registry.apply(command(3, .progressReplay(id, report))) == .applied)
        #expect(registry.apply(command(4, .warnWebhook(id, warning))) == .applied)
        #expect(
            registry.apply(command(5, .rewrapSecrets(id, [SecretRewrap(old: [1], keyID: "new", box: [7])]))) == .applied
        )
        #expect(registry.withdraw(patch).count == 1)
        var left = registry.state.webhooks[id]
        #expect(left?.description == nil && left?.runningReplay?.parts.first?.next == 5)
        #expect(left?.warnedGeneration == 1 && left?.secrets.map(\.keyID) == ["new"])
        #expect(registry.apply(command(6, .finishReplay(id, report, failure: nil))) == .applied)
        #expect(registry.withdraw(begin).count == 1)
        left = registry.state.webhooks[id]
        #expect(left?.replays == [] && left?.secrets.map(\.keyID) == ["new"])
    }

    @Test func whoSharesAKeyAndWasToldKeepsIt() {
        var changes = AppliedChanges()
        let id = CommandID(high: 5, low: 1)
        func note() { changes.note(id, of: webhook(2).id, from: nil, to: webhook(2), requestedAt: start) }
        note()
        changes.noteAsker(of: id, requestedAt: later(10))
        #expect(changes.withdraw(id, requestedAt: start) == [], "the second one may have been told that it is done")
        #expect(changes.withdraw(id, requestedAt: later(99)) == [], "nobody asked then")
        #expect(changes.withdraw(id, requestedAt: later(10)).map(\.webhook) == [webhook(2).id], "nobody is left")
        #expect(changes.withdraw(id, requestedAt: later(10)) == [])
        note()
        #expect(changes.withdraw(id, requestedAt: later(10)) == [], "another owner's asker is nobody's business here")
        #expect(changes.withdraw(id, requestedAt: start) != [])
    }

    @Test func theOldestAreForgotten() {
        var changes = AppliedChanges(most: 3)
        func note(_ number: UInt32) {
            changes.note(
                CommandID(high: 5, low: number), of: webhook(number).id, from: nil, to: webhook(number),
                requestedAt: nil)
        }
        for number in 0..<10 as Range<UInt32> {
            note(number)
            note(number)
            #expect(changes.count == min(Int(number) + 1, 3))
            if number == 5 { #expect(changes.withdraw(CommandID(high: 5, low: 4), requestedAt: start) != []) }
        }
        #expect(changes.withdraw(CommandID(high: 5, low: 6), requestedAt: start) == [])
        #expect(changes.withdraw(CommandID(high: 5, low: 7), requestedAt: start) != [])
        // An id that comes again is as young as its last change.
        note(7)
        note(10)
        note(11)
        #expect(changes.withdraw(CommandID(high: 5, low: 7), requestedAt: start) != [])
    }

    /// Told again meanwhile, it is not undone with what was built on it.
    @Test func whoAsksAgainHoldsWhatWasWithdrawnBefore() {
        let id = CommandID(high: 5, low: 1)
        var changes = AppliedChanges()
        var (second, third) = (webhook(2), webhook(2))
        (second.revision, third.revision) = (2, 3)
        changes.note(id, of: second.id, from: webhook(2), to: second, requestedAt: start)
        changes.note(CommandID(high: 5, low: 2), of: second.id, from: second, to: third, requestedAt: nil)
        changes.endReading()
        #expect(changes.withdraw(id, requestedAt: start) == [])
        changes.noteAsker(of: id, requestedAt: later(10))
        #expect(
            changes.withdraw(CommandID(high: 5, low: 2), requestedAt: start).map(\.command)
                == [CommandID(high: 5, low: 2)])
        #expect(changes.withdraw(id, requestedAt: later(10)).count == 1)
    }

    @Test func whatManyWereToldIsNotUndone() {
        let id = CommandID(high: 5, low: 1)
        var changes = AppliedChanges()
        changes.note(id, of: webhook(2).id, from: nil, to: webhook(2), requestedAt: start)
        for number in 1...100 { changes.noteAsker(of: id, requestedAt: later(Int64(number))) }
        for number in 0...100 { #expect(changes.withdraw(id, requestedAt: later(Int64(number))) == []) }
    }

    /// The operator takes the old key away once everything is sealed again.
    @Test func secretsThatWereSealedAgainStay() {
        var registry = registry()
        let id = webhook(1).id
        let rotate = command(
            1, .rotateSecret(id, SealedSecret(keyID: "k", box: [2], createdAt: start), overlapMilliseconds: 60_000))
        #expect(registry.apply(rotate) == .applied)
        let rewraps = [SecretRewrap(old: [1], keyID: "new", box: [7]), SecretRewrap(old: [2], keyID: "new", box: [8])]
        #expect(registry.apply(command(2, .rewrapSecrets(id, rewraps))) == .applied)
        #expect(registry.withdraw(rotate) == [])
        #expect(registry.state.webhooks[id]?.secrets.map(\.keyID) == ["new", "new"])
    }

    /// Who asks for what is so already hears that it is: it must not be undone under his hands.
    @Test func whatOthersFoundDoneStays() {
        var registry = registry()
        let patch = command(1, .updateWebhook(webhook(1).id, WebhookPatch(url: "https://b.example/")))
        var again = patch
        again.id = CommandID(high: 5, low: 2)
        #expect(registry.apply(patch) == .applied && registry.apply(again) == .applied)
        #expect(registry.withdraw(patch) == [] && registry.state.webhooks[webhook(1).id]?.url == "https://b.example/")
        #expect(registry.changes.webhook(of: again.id) == webhook(1).id)
        #expect(registry.withdraw(again).count == 1, "until he is told that nothing happened as well")
        #expect(registry.state.webhooks[webhook(1).id]?.url == "https://example.com/")

        let delete = command(3, .deleteWebhook(webhook(1).id))
        again = delete
        again.id = CommandID(high: 5, low: 4)
        #expect(registry.apply(delete) == .applied && registry.apply(again) == .refused(.webhookNotFound))
        #expect(
            registry.withdraw(delete) == [] && registry.state.webhooks.isEmpty, "the second one heard that it is gone")
        let unknown = command(9, .deleteWebhook(webhook(5).id))
        #expect(registry.apply(unknown) == .refused(.webhookNotFound) && registry.withdraw(unknown) == [])
    }

    /// A take-over reads the state's records and the answers in whatever order.
    @Test func theNextOwnerKnowsWhatToUndoAndWhoWasTold() {
        let id = CommandID(high: 5, low: 1)
        for isAnswerFirst in [true, false] {
            var changes = AppliedChanges()
            if isAnswerFirst { changes.noteAsker(of: id, requestedAt: later(10)) }
            changes.note(id, of: webhook(2).id, from: nil, to: webhook(2), requestedAt: start)
            if !isAnswerFirst { changes.noteAsker(of: id, requestedAt: later(10)) }
            var reported = webhook(2)
            reported.warnedGeneration = 1
            changes.note(
                CommandID(high: 5, low: 2), of: webhook(2).id, from: webhook(2), to: reported, requestedAt: nil)
            #expect(changes.count == 1, "a warning is no wish")
            changes.endReading()
            #expect(changes.withdraw(id, requestedAt: start) == [])
            #expect(changes.withdraw(id, requestedAt: later(10)).map(\.command) == [id])
        }
        var changes = AppliedChanges()
        changes.note(id, of: webhook(2).id, from: nil, to: webhook(2), requestedAt: nil)
        changes.forget(id)
        #expect(changes.withdraw(id, requestedAt: start) == [], "the owner before has undone it")
    }

    @Test func onlyWhatWasPromisedIsWithdrawn() {
        let id = CommandID(high: 5, low: 77)
        let patch = Command.Change.updateWebhook(webhook(1).id, WebhookPatch(url: "https://b.example/"))
        let withdrawal = command(1, patch, notAfter: later(2500)).withdrawal(id: id, now: later(5000))
        #expect(withdrawal?.change == .withdraw(CommandID(high: 5, low: 1), webhook(1).id, requestedAt: start))
        #expect(withdrawal?.id == id && withdrawal?.account == account && withdrawal?.actor == .key("k"))
        #expect(withdrawal?.notAfter == nil && withdrawal?.fingerprint == nil, "it is never too late for it")
        #expect(command(1, patch).withdrawal(id: id, now: start) == nil, "wanted whenever it is")
        #expect(command(1, .noteRequest(webhook(1).id), notAfter: start).withdrawal(id: id, now: start) == nil)
        #expect(command(1, .deleteAccount, notAfter: start).withdrawal(id: id, now: start) == nil)
    }

    @Test func aWithdrawnAnswerFreesItsKey() {
        let fingerprint = String(repeating: "a", count: 64)
        func command(_ at: Timestamp) -> Command {
            Command(
                id: CommandID(high: 5, low: 1), account: account, at: at, notAfter: nil,
                change: .createWebhook(webhook(2)), fingerprint: fingerprint)
        }
        func receipt(_ at: Timestamp) -> Receipt {
            Receipt(account: account, fingerprint: fingerprint, at: at, webhook: webhook(2))
        }
        let id = CommandID(high: 5, low: 1)
        var memory = AnswerMemory()
        memory.note(id, .applied, receipt(start), at: start, now: start)
        memory.withdraw(id, requestedAt: start, now: later(5000))
        let left = memory.receipt(of: id)
        #expect(left?.at == start && left?.webhook == nil)
        #expect(memory.recall(command(later(6000))) == .unknown, "the same key is tried again")
        #expect(memory.recall(command(start)) == .repeated(.refused(.withdrawn), left), "the same command is not")

        // A take-over reads the state's records and the answers in whatever order.
        let applied = { (memory: inout AnswerMemory, at: Int64) in
            memory.note(id, .applied, receipt(later(at)), at: later(at), now: later(9000))
        }
        let withdrawn = { (memory: inout AnswerMemory) in
            memory.note(id, .refused(.withdrawn), left, at: later(5000), now: later(9000))
        }
        for isStateFirst in [true, false] {
            var next = AnswerMemory()
            if isStateFirst { applied(&next, 0); applied(&next, 6000) }
            applied(&next, 0)
            withdrawn(&next)
            #expect(isStateFirst || next[id] == .refused(.withdrawn))
            applied(&next, 6000)
            if !isStateFirst { applied(&next, 0) }
            #expect(next[id] == .applied)
            #expect(next.recall(command(later(7000))) == .repeated(.applied, receipt(later(6000))))
        }
        // The record that undoes the first one is read behind what is known of the second.
        var next = AnswerMemory()
        applied(&next, 0)
        next.withdraw(id, requestedAt: start, now: later(5000))
        applied(&next, 6000)
        next.withdraw(id, requestedAt: start, now: later(5000))
        #expect(next[id] == .applied && next.receipt(of: id)?.at == later(6000))
        var plain = AnswerMemory()
        plain.note(id, .applied, at: start, now: start)
        plain.withdraw(id, requestedAt: nil, now: start)
        #expect(plain.receipt(of: id) == nil && plain[id] == .refused(.withdrawn))
    }
}
