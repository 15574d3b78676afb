// What the registry decides about replays: one at a time for each webhook, only while it is active, and every end is final.

extension RegistryState {
    mutating func start(_ replay: Replay, of old: Webhook) -> (Answer, [RegistryAction]) {
        guard old.isActive else { return (.refused(.webhookInactive), []) }
        guard old.runningReplay == nil else { return (.refused(.replayRunning), []) }
        guard old.replay(replay.id) == nil, replay.isRunning, replay.generation == old.generation else {
            return (.refused(.olderGeneration), [])
        }
        var webhook = old
        webhook.replays.append(replay)
        webhook.replays.removeFirst(max(0, webhook.replays.count - Webhook.rememberedReplays))
        return write(webhook)
    }

    /// A report that comes after the end, or says nothing new, changes nothing.
    mutating func progress(_ order: ReplayReport, of old: Webhook) -> (Answer, [RegistryAction]) {
        guard let index = running(order, of: old) else { return (.refused(.replayEnded), []) }
        var webhook = old
        webhook.replays[index].take(order)
        return webhook == old ? (.applied, []) : write(webhook)
    }

    mutating func finish(
        _ order: ReplayReport, failure: String?, of old: Webhook, at: Timestamp
    ) -> (Answer, [RegistryAction]) {
        guard let index = running(order, of: old) else { return (.refused(.replayEnded), []) }
        var webhook = old
        webhook.replays[index].take(order)
        webhook.replays[index].end(failure == nil ? .finished : .failed, reason: failure, at: at)
        return write(webhook)
    }

    /// Cancelling what has ended already is fine: it does not run, which is what was asked for.
    mutating func cancel(_ id: ReplayID, of old: Webhook, at: Timestamp) -> (Answer, [RegistryAction]) {
        guard let replay = old.replay(id) else { return (.refused(.replayNotFound), []) }
        guard replay.isRunning else { return (.applied, []) }
        var webhook = old
        webhook.endRunningReplay(.cancelled, reason: "cancelled on request", at: at)
        return write(webhook)
    }

    private func running(_ order: ReplayReport, of webhook: Webhook) -> Int? {
        guard webhook.generation == order.generation else { return nil }
        return webhook.replays.lastIndex { $0.id == order.replay && $0.isRunning }
    }

    private mutating func write(_ webhook: Webhook) -> (Answer, [RegistryAction]) {
        load(webhook)
        return (.applied, [.writeWebhook(webhook)])
    }
}
