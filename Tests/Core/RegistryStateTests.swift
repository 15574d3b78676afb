import Core
import Testing

@Suite struct RegistryStateTests {
    private let account = AccountID("acct_000000000000000000000001")!
    private let stranger = AccountID("acct_000000000000000000000002")!
    private let now = Timestamp(milliseconds: 1_700_000_000_000)

    private func webhookID(_ number: Int) -> WebhookID {
        WebhookID(bytes: [UInt8](repeating: UInt8(number), count: 12))
    }

    private func webhook(_ number: Int, of owner: AccountID? = nil) -> Webhook {
        Webhook(
            id: webhookID(number), account: owner ?? account, url: "https://example.com/\(number)", description: nil,
            events: ["user.created"], isActive: true, version: "1.0", createdAt: now, updatedAt: now, secrets: [])
    }

    private func command(_ change: Command.Change, by owner: AccountID? = nil, notAfter: Timestamp? = nil) -> Command {
        Command(
            id: CommandID(bytes: [UInt8](repeating: 9, count: 12)), account: owner ?? account, at: now,
            notAfter: notAfter, change: change)
    }

    private func answering(_ state: inout RegistryState, _ change: Command.Change) -> Answer {
        state.apply(command(change), now: now).answer
    }

    private func stateWithAccounts() -> RegistryState {
        var state = RegistryState(webhooksPerAccount: 10)
        for id in [account, stranger] {
            let (answer, _) = state.apply(
                command(
                    .createAccount(Account(id: id, email: "a@example.com", name: nil, keys: [], createdAt: now)), by: id
                ),
                now: now)
            #expect(answer == .applied)
        }
        return state
    }

    private var order: DisableOrder {
        DisableOrder(
            generation: 1, reason: "too many failures", failedAttempts: 9, lastError: "HTTP 500", failingSince: now)
    }

    @Test func eleventhWebhookIsRefused() {
        var state = stateWithAccounts()
        for number in 1...10 {
            let answer = answering(&state, .createWebhook(webhook(number)))
            #expect(answer == .applied)
        }
        let answer0 = answering(&state, .createWebhook(webhook(11)))
        #expect(answer0 == .refused(.webhookLimitReached))
        let answer1 = answering(&state, .deleteWebhook(webhookID(3)))
        #expect(answer1 == .applied)
        let answer2 = answering(&state, .createWebhook(webhook(11)))
        #expect(answer2 == .applied)
    }

    @Test func whatBelongsToAnotherAccountDoesNotExist() {
        var state = stateWithAccounts()
        _ = state.apply(command(.createWebhook(webhook(1))), now: now)
        for change: Command.Change in [
            .updateWebhook(webhookID(1), WebhookPatch(isActive: false)), .deleteWebhook(webhookID(1)),
            .disableWebhook(webhookID(1), order), .warnWebhook(webhookID(1), warning()),
        ] {
            let (answer, actions) = state.apply(command(change, by: stranger), now: now)
            #expect(answer == .refused(.webhookNotFound))
            #expect(actions.isEmpty)
        }
        #expect(state.webhooks[webhookID(1)]?.isActive == true)
    }

    @Test func disablingAnnouncesBeforeItWritesAndHappensOnce() throws {
        var state = stateWithAccounts()
        _ = state.apply(command(.createWebhook(webhook(1))), now: now)
        let (answer, actions) = state.apply(command(.disableWebhook(webhookID(1), order)), now: now)
        #expect(answer == .applied)
        try #require(actions.count == 3)
        guard case .notice(let notice) = actions[0], case .email(account, let mail) = actions[1],
            case .writeWebhook(let written) = actions[2]
        else {
            Issue.record("notice, email, state: in this order")
            return
        }
        #expect(notice.kind == .disabled && notice.failedAttempts == 9 && notice.generation == 1)
        #expect(mail.address == "a@example.com")
        #expect(!written.isActive && written.disabled?.lastError == "HTTP 500")
        let answer3 = answering(&state, .disableWebhook(webhookID(1), order))
        #expect(answer3 == .refused(.olderGeneration))
    }

    @Test func enablingStartsANewGenerationThatOldOrdersCannotEnd() {
        var state = stateWithAccounts()
        _ = state.apply(command(.createWebhook(webhook(1))), now: now)
        _ = state.apply(command(.disableWebhook(webhookID(1), order)), now: now)
        let (_, actions) = state.apply(command(.updateWebhook(webhookID(1), WebhookPatch(isActive: true))), now: now)
        #expect(state.webhooks[webhookID(1)]?.generation == 2)
        #expect(state.webhooks[webhookID(1)]?.disabled == nil)
        #expect(actions.contains { if case .notice(let notice) = $0 { notice.kind == .enabled } else { false } })
        let answer4 = answering(&state, .disableWebhook(webhookID(1), order))
        #expect(answer4 == .refused(.olderGeneration))
    }

    private func warning(generation: Int = 1) -> WarnOrder {
        WarnOrder(
            generation: generation, failedAttempts: 8, lastError: "HTTP 503", failingSince: now,
            lastAttemptAt: now.adding(milliseconds: 86_400_000))
    }

    @Test func warningIsMailedOnceAGeneration() throws {
        var state = stateWithAccounts()
        _ = state.apply(command(.createWebhook(webhook(1))), now: now)
        let (answer, actions) = state.apply(command(.warnWebhook(webhookID(1), warning())), now: now)
        #expect(answer == .applied)
        try #require(actions.count == 2)
        guard case .email(account, let mail) = actions[0], case .writeWebhook(let written) = actions[1] else {
            Issue.record("email, state: in this order")
            return
        }
        #expect(mail.template == .failing && mail.failedAttempts == 8 && mail.lastError == "HTTP 503")
        #expect(mail.address == "a@example.com" && mail.lastAttemptAt == warning().lastAttemptAt)
        #expect(written.isActive && written.warnedGeneration == 1 && written.generation == 1)
        let (repeated, nothing) = state.apply(command(.warnWebhook(webhookID(1), warning())), now: now)
        #expect(repeated == .applied && nothing.isEmpty, "another of its deliveries came as far")

        _ = state.apply(command(.disableWebhook(webhookID(1), order)), now: now)
        let whenOff = answering(&state, .warnWebhook(webhookID(1), warning()))
        #expect(whenOff == .refused(.olderGeneration))
        _ = state.apply(command(.updateWebhook(webhookID(1), WebhookPatch(isActive: true))), now: now)
        let old = answering(&state, .warnWebhook(webhookID(1), warning()))
        #expect(old == .refused(.olderGeneration), "of the generation before")
        let (_, again) = state.apply(command(.warnWebhook(webhookID(1), warning(generation: 2))), now: now)
        #expect(again.count == 2 && state.webhooks[webhookID(1)]?.warnedGeneration == 2)
    }

    @Test func switchingOffByItsOwnerIsSilent() {
        var state = stateWithAccounts()
        _ = state.apply(command(.createWebhook(webhook(1))), now: now)
        let (answer, actions) = state.apply(
            command(.updateWebhook(webhookID(1), WebhookPatch(isActive: false))), now: now)
        #expect(answer == .applied)
        guard actions.count == 1, case .writeWebhook(let written) = actions[0] else {
            Issue.record("neither notice nor mail: \(actions)")
            return
        }
        #expect(!written.isActive && written.disabled == nil && written.generation == 1)
        let afterwards = answering(&state, .disableWebhook(webhookID(1), order))
        #expect(afterwards == .refused(.olderGeneration))
    }

    @Test func anAccountGoesWithAllItHas() {
        var state = stateWithAccounts()
        for number in [2, 1] { _ = state.apply(command(.createWebhook(webhook(number))), now: now) }
        _ = state.apply(command(.createWebhook(webhook(3, of: stranger)), by: stranger), now: now)
        let (answer, actions) = state.apply(command(.deleteAccount), now: now)
        #expect(answer == .applied)
        #expect(
            actions == [.removeWebhook(webhookID(1)), .removeWebhook(webhookID(2)), .removeAccount(account)],
            "the account last")
        #expect(state.accounts[account] == nil && Array(state.webhooks.keys) == [webhookID(3)])
        for (change, refusal): (Command.Change, Refusal) in [
            (.deleteAccount, .accountNotFound), (.createWebhook(webhook(4)), .accountNotFound),
            (.disableWebhook(webhookID(1), order), .webhookNotFound),
            (.warnWebhook(webhookID(1), warning()), .webhookNotFound),
        ] {
            let answer = answering(&state, change)
            #expect(answer == .refused(refusal))
        }
    }

    @Test func lateCommandsNeverHappen() {
        var state = stateWithAccounts()
        let late = command(.createWebhook(webhook(1)), notAfter: now)
        let tooLate = state.apply(late, now: now.adding(milliseconds: 1)).answer
        #expect(tooLate == .refused(.tooLate))
        #expect(state.webhooks.isEmpty)
        let inTime = state.apply(late, now: now).answer
        #expect(inTime == .applied)
    }

    @Test func routingFollowsEventsPatternsAndActivity() {
        var routes = RoutingTable()
        var family = webhook(1)
        family.events = ["module.*"]
        var everything = webhook(2)
        everything.events = ["*"]
        var inactive = webhook(3)
        inactive.isActive = false
        for hook in [family, everything, inactive, webhook(4, of: stranger)] { routes.add(hook) }
        #expect(
            Set(routes.routes(account: account, type: "module.failed").map(\.webhook)) == [webhookID(1), webhookID(2)])
        #expect(routes.routes(account: account, type: "user.created").map(\.webhook) == [webhookID(2)])
        #expect(routes.routes(account: stranger, type: "user.created").map(\.webhook) == [webhookID(4)])
        #expect(Set(routes.routes(everyoneTo: "user.created").map(\.webhook)) == [webhookID(2), webhookID(4)])
        routes.remove(everything)
        #expect(routes.routes(account: account, type: "user.created").isEmpty)
    }
}
