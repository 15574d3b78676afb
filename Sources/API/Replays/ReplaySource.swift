// What the replay paths need of Kafka, without Kafka.
package import Core

/// Finds what is to be sent again. Any thread; `completion` is called exactly once, within some 5 s, and must not block.
package protocol ReplaySource: Sendable {
    /// Where a time range of the domain topics lies, by the records' timestamps.
    func plan(
        since: Timestamp, until: Timestamp, completion: @escaping @Sendable (Result<ReplayPlan, ReplayFault>) -> Void)

    /// One event as a new delivery to the webhook.
    /// - Parameters:
    ///   - origin: where the log says it came from; nil where the log does not know the event.
    ///   - run: makes the delivery another one than those before.
    func find(
        _ event: EventID, from origin: RecordOrigin?, for webhook: Webhook, run: RetryID,
        completion: @escaping @Sendable (Result<Delivery, ReplayFault>) -> Void)
}
