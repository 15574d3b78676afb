// When a sender's command has its outcome: whose answers count, what the view has to show, and what may be said when it does
// not.
import Core
import Testing

@testable import Registry

@Suite struct PendingCommandTests {
    private let start = Timestamp(milliseconds: 1_700_000_000_000)
    private let account = AccountID(high: 1, low: 1)
    private let id = WebhookID(high: 4, low: 1)
    private let second: UInt64 = 1_000_000_000

    private var webhook: Webhook {
        Webhook(
            id: id, account: account, url: "https://a.example/", description: nil, events: ["*"], isActive: true,
            version: "1.0", revision: 3, createdAt: start, updatedAt: start, secrets: [])
    }

    private func pending(fingerprint: String? = nil) -> PendingCommand {
        let command = Command(
            id: CommandID(high: 3, low: 1), account: account, at: start, notAfter: nil,
            change: .updateWebhook(id, WebhookPatch()), fingerprint: fingerprint)
        return PendingCommand(command, now: 0) { _ in }
    }

    private func result(
        _ answer: Core.Answer = .applied, wroteState: Bool = false, fingerprint: String? = nil, later: Int64 = 0,
        webhook: Webhook? = nil, revision: Int? = nil
    ) -> CommandResult {
        CommandResult(
            command: CommandID(high: 3, low: 1), answer: answer, wroteState: wroteState,
            receipt: fingerprint.map {
                Receipt(account: account, fingerprint: $0, at: start.adding(milliseconds: later), webhook: webhook)
            }, revision: revision)
    }

    private func outcome(of pending: PendingCommand, at now: UInt64, shown: Int = 0) -> CommandOutcome? {
        pending.outcome(now: now) { webhook, revision in
            #expect(webhook == id)
            return shown >= revision
        }
    }

    @Test func withoutAnAnswerItIsUnconfirmedAfterFiveSeconds() {
        #expect(outcome(of: pending(), at: 5 * second - 1) == nil)
        #expect(outcome(of: pending(), at: 5 * second) == .unconfirmed)
    }

    @Test func whatTheRegistryHasDoneIsNeverUnconfirmed() {
        var waiting = pending()
        waiting.take(result(wroteState: true), now: second)
        #expect(outcome(of: waiting, at: 5 * second, shown: 9) == nil, "its own record has to be seen")
        #expect(outcome(of: waiting, at: 15 * second - 1) == nil)
        #expect(outcome(of: waiting, at: 15 * second) == .unseen)
        waiting.see(webhook, fingerprint: nil, requestedAt: nil)
        #expect(outcome(of: waiting, at: 15 * second) == .applied(CommandEffect(webhook: webhook)))
    }

    /// A change that changes nothing is answered from the view, which has to have come as far as the registry's state.
    @Test func aChangeThatChangedNothingWaitsForTheView() {
        var waiting = pending()
        waiting.take(result(revision: 3), now: second)
        #expect(outcome(of: waiting, at: 2 * second + 1, shown: 2) == nil)
        #expect(outcome(of: waiting, at: second, shown: 3) == .applied())
        #expect(outcome(of: waiting, at: 15 * second, shown: 2) == .unseen)
        waiting.take(result(), now: second)
        #expect(outcome(of: waiting, at: second) == .applied(), "of an older registry, which does not tell")
    }

    @Test func aRepeatedRequestWaitsForTheViewASecondAtMost() {
        var waiting = pending(fingerprint: "a")
        waiting.take(result(fingerprint: "a", webhook: webhook), now: second)
        let effect = CommandEffect(webhook: webhook, requestedAt: start)
        #expect(outcome(of: waiting, at: 2 * second - 1, shown: 2) == nil)
        #expect(outcome(of: waiting, at: 2 * second - 1, shown: 3) == .applied(effect))
        #expect(outcome(of: waiting, at: 2 * second, shown: 2) == .applied(effect))
    }

    @Test func answersToOthersOfTheSameKeyDoNotCount() {
        var waiting = pending(fingerprint: "a")
        waiting.take(result(fingerprint: "b"), now: second)
        waiting.take(result(.refused(.tooLate), fingerprint: "a", later: -9000), now: second)
        waiting.take(result(.refused(.preconditionFailed), fingerprint: "a", later: -9000), now: second)
        waiting.see(webhook, fingerprint: "b", requestedAt: nil)
        #expect(outcome(of: waiting, at: second) == nil)
        waiting.take(result(.refused(.preconditionFailed), fingerprint: "a"), now: second)
        #expect(outcome(of: waiting, at: second) == .refused(.preconditionFailed))
    }

    /// Else it could be told of a change that the registry takes back, since its first sender gave up.
    @Test func ofARepeatedRequestOnlyItsOwnAnswerCounts() {
        var waiting = pending(fingerprint: "a")
        waiting.see(webhook, fingerprint: "a", requestedAt: start.adding(milliseconds: -9000))
        #expect(outcome(of: waiting, at: second) == nil, "the first one's record")
        var answer = result(fingerprint: "a", later: -9000)
        answer.requestedAt = start.adding(milliseconds: -9000)
        waiting.take(answer, now: second)
        #expect(outcome(of: waiting, at: second) == nil, "the first one's answer")
        answer.requestedAt = start
        waiting.take(answer, now: second)
        #expect(outcome(of: waiting, at: second)?.isApplied == true)

        // The first one was undone, and this one carried out: its own record is still to come.
        var undone = pending(fingerprint: "a")
        undone.see(webhook, fingerprint: "a", requestedAt: start.adding(milliseconds: -9000))
        answer = result(wroteState: true, fingerprint: "a", webhook: webhook)
        answer.requestedAt = start
        undone.take(answer, now: second)
        #expect(outcome(of: undone, at: second, shown: 9) == nil)
        undone.see(webhook, fingerprint: "a", requestedAt: start)
        #expect(outcome(of: undone, at: second)?.isApplied == true)

        var own = pending(fingerprint: "a")
        own.see(webhook, fingerprint: "a", requestedAt: start)
        #expect(outcome(of: own, at: second) == .applied(CommandEffect(webhook: webhook)))
    }

    /// While processes are updated: it knows commands by their ids, and no receipts.
    @Test func anOlderRegistrysAnswerAndRecordCount() {
        var waiting = pending(fingerprint: "a")
        waiting.take(result(), now: second)
        #expect(outcome(of: waiting, at: second) == .applied())
        waiting = pending(fingerprint: "a")
        waiting.see(webhook, fingerprint: nil, requestedAt: nil)
        #expect(outcome(of: waiting, at: second) == .applied(CommandEffect(webhook: webhook)))
    }
}
