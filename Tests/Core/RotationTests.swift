// Secrets and keys that are replaced, changes made for one revision only, and requests repeated with an idempotency key.
import Core
import Testing

private let account = AccountID("acct_000000000000000000000001")!
private let stranger = AccountID("acct_000000000000000000000002")!
private let start = Timestamp(milliseconds: 1_700_000_000_000)
private let id = WebhookID(high: 4, low: 1)

private func secret(_ number: UInt8, at: Timestamp = start) -> SealedSecret {
    SealedSecret(keyID: "k1", box: [number], createdAt: at)
}

private func key(_ name: String) -> APIKey { APIKey(id: name, hash: name, createdAt: start) }

private func command(
    _ change: Command.Change, by owner: AccountID = account, after seconds: Int64 = 0, id: UInt32 = 9,
    fingerprint: String? = nil, revisions: [Int]? = nil
) -> Command {
    Command(
        id: CommandID(high: 3, low: id), account: owner, at: start.adding(milliseconds: seconds * 1000), notAfter: nil,
        change: change, fingerprint: fingerprint, revisions: revisions)
}

private func state() -> RegistryState {
    var state = RegistryState(webhooksPerAccount: 10)
    for owner in [account, stranger] {
        state.load(Account(id: owner, email: "a@example.com", name: nil, keys: [key("first")], createdAt: start))
    }
    state.load(
        Webhook(
            id: id, account: account, url: "https://example.com/", description: nil, events: ["*"], isActive: true,
            version: "1.0", createdAt: start, updatedAt: start, secrets: [secret(1)]))
    return state
}

extension RegistryState {
    fileprivate mutating func answer(_ command: Command) -> Answer { apply(command, now: start).answer }
}

@Suite struct RotationTests {
    @Test func theSecretBeforeSignsForItsOverlap() throws {
        var registry = state()
        let rotation = command(.rotateSecret(id, secret(2), overlapMilliseconds: 60_000), after: 10)
        let (answer, actions) = registry.apply(rotation, now: start)
        let webhook = try #require(registry.webhooks[id])
        #expect(answer == .applied && actions == [.writeWebhook(webhook)])
        #expect(webhook.secrets.map(\.box) == [[2], [1]])
        #expect(webhook.secrets.map(\.expiresAt) == [nil, start.adding(milliseconds: 70_000)])
        #expect(webhook.revision == 2 && webhook.updatedAt == rotation.at && webhook.generation == 1)
        let others = registry.answer(command(.rotateSecret(id, secret(3), overlapMilliseconds: 0), by: stranger))
        #expect(others == .refused(.webhookNotFound))
    }

    @Test func aSecondRotationLeavesTheFirstOnesPromise() {
        var registry = state()
        _ = registry.answer(command(.rotateSecret(id, secret(2), overlapMilliseconds: 60_000)))
        _ = registry.answer(command(.rotateSecret(id, secret(3), overlapMilliseconds: 600_000), after: 30))
        #expect(registry.webhooks[id]?.secrets.map(\.box) == [[3], [2], [1]])
        #expect(registry.webhooks[id]?.secrets[2].expiresAt == start.adding(milliseconds: 60_000))
        #expect(registry.webhooks[id]?.secrets[1].expiresAt == start.adding(milliseconds: 630_000))
        _ = registry.answer(command(.rotateSecret(id, secret(4), overlapMilliseconds: 1000), after: 60))
        #expect(registry.webhooks[id]?.secrets.map(\.box) == [[4], [3], [2]], "what is over goes")
        for number in 5...20 {
            _ = registry.answer(
                command(.rotateSecret(id, secret(UInt8(number)), overlapMilliseconds: 600_000), after: 61))
        }
        #expect(registry.webhooks[id]?.secrets.count == Webhook.mostSecrets)
    }

    @Test func withoutAnOverlapEveryOlderSecretEnds() {
        var registry = state()
        _ = registry.answer(command(.rotateSecret(id, secret(2), overlapMilliseconds: 60_000)))
        _ = registry.answer(command(.rotateSecret(id, secret(3), overlapMilliseconds: 0)))
        #expect(registry.webhooks[id]?.secrets == [secret(3)])
    }

    @Test func whatIsSealedAgainIsStillWhatItWas() {
        var registry = state()
        _ = registry.answer(command(.rotateSecret(id, secret(2), overlapMilliseconds: 60_000)))
        let before = registry.webhooks[id]
        let done = registry.answer(command(.rewrapSecrets(id, [SecretRewrap(old: [1], keyID: "k2", box: [11])])))
        #expect(done == .applied)
        #expect(registry.webhooks[id]?.secrets.map(\.box) == [[2], [11]])
        #expect(registry.webhooks[id]?.secrets.map(\.keyID) == ["k1", "k2"])
        #expect(registry.webhooks[id]?.secrets[1].expiresAt == before?.secrets[1].expiresAt)
        #expect(
            registry.webhooks[id]?.revision == before?.revision && registry.webhooks[id]?.updatedAt == before?.updatedAt
        )
        let late = registry.answer(command(.rewrapSecrets(id, [SecretRewrap(old: [1], keyID: "k2", box: [12])])))
        #expect(late == .refused(.secretChanged), "a rotation meanwhile stays")
    }

    @Test func twoKeysAreValidWhileOneIsRotatedOut() {
        var registry = state()
        #expect(registry.answer(command(.rotateKey(key("second"), overlapMilliseconds: 60_000))) == .applied)
        #expect(registry.accounts[account]?.keys.map(\.id) == ["first", "second"])
        #expect(registry.accounts[account]?.keys.map(\.expiresAt) == [start.adding(milliseconds: 60_000), nil])
        _ = registry.answer(command(.rotateKey(key("third"), overlapMilliseconds: 60_000), after: 30))
        #expect(registry.accounts[account]?.keys.map(\.id) == ["second", "third"])
        _ = registry.answer(command(.rotateKey(key("fourth"), overlapMilliseconds: 0), after: 31))
        #expect(registry.accounts[account]?.keys.map(\.id) == ["fourth"])
        #expect(registry.accounts[stranger]?.keys.map(\.id) == ["first"])
    }

    @Test func aRevokedKeyIsGone() {
        var registry = state()
        #expect(registry.answer(command(.revokeKey("other"))) == .refused(.apiKeyNotFound))
        #expect(registry.answer(command(.revokeKey("first"))) == .applied)
        #expect(registry.accounts[account]?.keys.isEmpty == true)
        #expect(registry.answer(command(.rotateKey(key("new"), overlapMilliseconds: 60_000))) == .applied)
        #expect(registry.accounts[account]?.keys == [key("new")])
    }
}

@Suite struct RevisionTests {
    @Test func aChangeForAnotherRevisionIsRefused() {
        var registry = state()
        let patch = Command.Change.updateWebhook(id, WebhookPatch(description: "one"))
        #expect(registry.answer(command(patch, revisions: [2])) == .refused(.preconditionFailed))
        #expect(registry.answer(command(patch, revisions: [])) == .refused(.preconditionFailed))
        #expect(registry.webhooks[id]?.description == nil)
        #expect(registry.answer(command(patch, revisions: [7, 1])) == .applied)
        #expect(registry.answer(command(.deleteWebhook(id), revisions: [1])) == .refused(.preconditionFailed))
        #expect(
            registry.answer(command(.deleteWebhook(id), by: stranger, revisions: [2])) == .refused(.webhookNotFound))
        #expect(registry.answer(command(.deleteWebhook(id), revisions: [2])) == .applied)
        #expect(registry.answer(command(.deleteWebhook(id), revisions: [2])) == .refused(.webhookNotFound))
    }

    @Test func onlyWhatItsOwnerSeesIsARevision() {
        var registry = state()
        _ = registry.answer(command(.updateWebhook(id, WebhookPatch(isActive: true))))
        #expect(registry.webhooks[id]?.revision == 1, "nothing changed")
        let replay = Replay(
            id: ReplayID(high: 1, low: 1), since: start, until: start, from: start, isDryRun: false, generation: 1,
            createdAt: start, parts: [])
        _ = registry.answer(command(.startReplay(id, replay)))
        #expect(registry.webhooks[id]?.revision == 1, "a replay is not a part of it")
        let order = DisableOrder(
            generation: 1, reason: "too many failures", failedAttempts: 9, lastError: "HTTP 500", failingSince: start)
        _ = registry.answer(command(.disableWebhook(id, order)))
        #expect(registry.webhooks[id]?.revision == 2)
    }
}

@Suite struct RepeatedRequestTests {
    private func judged(
        _ command: Command, _ registry: inout RegistryState, _ memory: inout AnswerMemory
    ) -> AnswerMemory.Recollection {
        let known = memory.recall(command)
        if known == .unknown {
            let answer = registry.answer(command)
            memory.note(command.id, answer, Receipt(of: command, answer, in: registry), at: start, now: start)
        }
        return known
    }

    @Test func theSameRequestHasTheSameOutcomeAndAnotherIsRefused() throws {
        var (registry, memory) = (state(), AnswerMemory())
        let patch = Command.Change.updateWebhook(id, WebhookPatch(description: "one"))
        #expect(judged(command(patch, fingerprint: "a"), &registry, &memory) == .unknown)
        let left = registry.webhooks[id]
        _ = registry.answer(command(.updateWebhook(id, WebhookPatch(description: "two"))))
        let again = judged(command(patch, after: 1, fingerprint: "a"), &registry, &memory)
        let receipt = Receipt(account: account, fingerprint: "a", at: start, webhook: left)
        #expect(again == .repeated(.applied, receipt), "as the first one left it")
        #expect(registry.webhooks[id]?.description == "two", "and changes nothing")
        #expect(judged(command(patch, fingerprint: "b"), &registry, &memory) == .otherRequest)
        #expect(judged(command(.deleteWebhook(id), fingerprint: "b"), &registry, &memory) == .otherRequest)
        memory.note(CommandID(high: 3, low: 9), .refused(.keyReused), nil, at: start, now: start)
        #expect(memory[CommandID(high: 3, low: 9)] == .applied)
    }

    /// An older registry's answer stands on `results` without a receipt: it is the key's for its day.
    @Test func anAnswerWithoutAReceiptIsTheKeysToo() {
        var memory = AnswerMemory()
        let change = command(.deleteWebhook(id), fingerprint: "a")
        memory.note(change.id, .applied, at: start, now: start)
        #expect(memory.recall(change) == .repeated(.applied, nil))
    }

    @Test func aRefusalIsRepeatedToo() {
        var (registry, memory) = (state(), AnswerMemory())
        let unknown = Command.Change.deleteWebhook(WebhookID(high: 9, low: 9))
        _ = judged(command(unknown, fingerprint: "a"), &registry, &memory)
        let again = judged(command(unknown, after: 1, fingerprint: "a"), &registry, &memory)
        guard case .repeated(.refused(.webhookNotFound), let receipt) = again else {
            Issue.record("not repeated")
            return
        }
        #expect(receipt?.webhook == nil)
    }

    /// It has carried out nothing, and only its asker knows the state that he means now.
    @Test func whatWasMadeForAnotherStateMayComeAgain() {
        var (registry, memory) = (state(), AnswerMemory())
        let patch = Command.Change.updateWebhook(id, WebhookPatch(description: "one"))
        let early = command(patch, fingerprint: "a", revisions: [7])
        #expect(judged(early, &registry, &memory) == .unknown)
        guard case .repeated(.refused(.preconditionFailed), _) = judged(early, &registry, &memory) else {
            Issue.record("the same command stays refused")
            return
        }
        let next = command(patch, after: 1, fingerprint: "a", revisions: [1])
        #expect(judged(next, &registry, &memory) == .unknown, "made for the state there is")
        guard case .repeated(.applied, _) = judged(next, &registry, &memory) else {
            Issue.record("not applied")
            return
        }
        #expect(registry.webhooks[id]?.description == "one" && memory.count == 1)
    }

    /// Its sender was told that nothing has happened; the same request sent again later is to happen.
    @Test func whatCameTooLateMayComeAgain() {
        var memory = AnswerMemory()
        let change = Command.Change.deleteWebhook(id)
        let late = command(change, fingerprint: "a")
        let receipt = Receipt(account: account, fingerprint: "a", at: late.at, webhook: nil)
        memory.note(late.id, .refused(.tooLate), receipt, at: start, now: start)
        #expect(memory.recall(late) == .repeated(.refused(.tooLate), receipt), "the same command stays refused")
        let next = command(change, after: 6, fingerprint: "a")
        #expect(memory.recall(next) == .unknown)
        let done = Receipt(account: account, fingerprint: "a", at: next.at, webhook: nil)
        memory.note(next.id, .applied, done, at: start, now: start)
        #expect(memory.recall(next) == .repeated(.applied, done))
        memory.note(next.id, .refused(.tooLate), receipt, at: start, now: start)
        #expect(memory.recall(next) == .repeated(.applied, done), "read in another order")
        #expect(memory.count == 1)
    }

    @Test func oneAccountsReceiptsDoNotPushOutTheOthers() {
        var memory = AnswerMemory(receiptsPerAccount: 3)
        func note(_ number: UInt32, of owner: AccountID) {
            let receipt = Receipt(account: owner, fingerprint: "a", at: start, webhook: nil)
            memory.note(CommandID(high: 3, low: number), .applied, receipt, at: start, now: start)
        }
        note(1, of: stranger)
        for number: UInt32 in 10...20 { note(number, of: account) }
        #expect(memory.count == 4 && memory[CommandID(high: 3, low: 1)] == .applied)
        #expect(memory[CommandID(high: 3, low: 17)] == nil && memory[CommandID(high: 3, low: 18)] == .applied)
        let later = start.adding(milliseconds: 25 * 3_600_000)
        memory.note(CommandID(high: 3, low: 99), .applied, nil, at: later, now: later)
        #expect(memory.count == 1)
    }

    /// A replay's reports, rewraps and warnings are answers without a key; users were promised a day for theirs.
    @Test func answersWithoutAKeyPushOutNoReceipt() {
        var memory = AnswerMemory(most: 10, receiptsPerAccount: 10)
        let receipt = Receipt(account: stranger, fingerprint: "a", at: start, webhook: nil)
        memory.note(CommandID(high: 3, low: 1), .applied, receipt, at: start, now: start)
        for number: UInt32 in 10..<5000 {
            memory.note(CommandID(high: 3, low: number), .applied, at: start.adding(milliseconds: 1), now: start)
        }
        #expect(memory[CommandID(high: 3, low: 1)] == .applied)
        #expect(memory.count == 11 && memory[CommandID(high: 3, low: 4999)] == .applied)
    }

    /// A take-over reads three topics side by side.
    @Test func theOldestGoesInWhateverOrderTheyWereRead() {
        var memory = AnswerMemory(most: 3, receiptsPerAccount: 3)
        for (number, age): (UInt32, Int64) in [(1, 10), (2, 50), (3, 20), (4, 40), (5, 30), (6, 60)] {
            let at = start.adding(milliseconds: -age)
            let receipt = Receipt(account: account, fingerprint: "a", at: at, webhook: nil)
            memory.note(CommandID(high: 3, low: number), .applied, at: at, now: start)
            memory.note(CommandID(high: 5, low: number), .applied, receipt, at: at, now: start)
        }
        for high: UInt64 in [3, 5] {
            let left = (1...6).filter { memory[CommandID(high: high, low: UInt32($0))] != nil }
            #expect(left == [1, 3, 5])
        }
    }

    /// Each time a key's refusal gives way to another, what is remembered of it before is over.
    @Test func aKeyThatIsTriedAgainAndAgainTakesOnePlace() {
        var memory = AnswerMemory(most: 10, receiptsPerAccount: 10)
        let kept = Receipt(account: stranger, fingerprint: "a", at: start, webhook: nil)
        memory.note(CommandID(high: 3, low: 1), .applied, kept, at: start, now: start)
        for number: Int64 in 1...5000 {
            let at = start.adding(milliseconds: number)
            let receipt = Receipt(account: account, fingerprint: "a", at: at, webhook: nil)
            memory.note(CommandID(high: 3, low: 2), .refused(.preconditionFailed), receipt, at: at, now: at)
        }
        #expect(memory.count == 2 && memory[CommandID(high: 3, low: 1)] == .applied)
        #expect(memory.receiptBytes == 2 * kept.byteCount)
    }

    @Test func receiptsAreBoundedByTheirBytesAndTheLargestAccountPays() {
        var registry = state()
        let text = String(repeating: "x", count: 10_000)
        let change = command(.updateWebhook(id, WebhookPatch(description: text)), fingerprint: "a")
        let large = Receipt(of: change, registry.answer(change), in: registry)!
        #expect(large.byteCount > 10_000)
        let small = Receipt(account: stranger, fingerprint: "a", at: start, webhook: nil)
        var memory = AnswerMemory(mostBytes: 10 * large.byteCount)
        memory.note(CommandID(high: 5, low: 1), .applied, small, at: start.adding(milliseconds: -1), now: start)
        for number: UInt32 in 1...100 {
            memory.note(CommandID(high: 3, low: number), .applied, large, at: start, now: start)
        }
        #expect(memory[CommandID(high: 5, low: 1)] == .applied, "the oldest, of an account with little")
        #expect(memory[CommandID(high: 3, low: 100)] == .applied && memory[CommandID(high: 3, low: 91)] == nil)
        #expect(memory.receiptBytes <= 10 * large.byteCount && memory.count == 10)
    }

    /// Its parts take up to a megabyte, which would stand on `results` and in the memory for each key.
    @Test func aReceiptKeepsOfAReplayTheCountsOnly() throws {
        var registry = state()
        let part = ReplayPart(
            topic: "t", partition: 0, first: 0, next: 4, end: 10, events: 3, unmappable: 1)
        let replay = Replay(
            id: ReplayID(high: 6, low: 1), since: start, until: start, from: start, isDryRun: false, generation: 1,
            createdAt: start, parts: Array(repeating: part, count: 1000))
        let begin = command(.startReplay(id, replay), fingerprint: "a")
        let receipt = try #require(Receipt(of: begin, registry.answer(begin), in: registry))
        let kept = try #require(receipt.webhook?.replays.first)
        #expect(kept.parts.isEmpty && kept.isRunning)
        #expect(kept.counts == ReplayCounts(records: 10_000, read: 4000, events: 3000, unmappable: 1000))
        #expect(receipt.byteCount < 3000)
        #expect(registry.webhooks[id]?.runningReplay?.parts.count == 1000)
    }
}
