// What asking for events again can be refused with.
internal import Core
internal import JSON

extension APIError {
    static func webhookInactive() -> APIError {
        APIError(
            status: 409, code: Refusal.webhookInactive.rawValue,
            message: "The webhook is not active, so nothing is sent to it. Set its isActive to true first.")
    }

    /// - Parameter replay: the one that runs; nil when it began just now.
    static func replayRunning(_ replay: ReplayID?) -> APIError {
        APIError(
            status: 409, code: Refusal.replayRunning.rawValue,
            message: "A replay of this webhook is running. Wait for its end, or cancel it with DELETE.",
            details: { if let replay { $0.field("replayId", replay.description) } })
    }

    static func replayNotFound() -> APIError {
        APIError(
            status: 404, code: Refusal.replayNotFound.rawValue,
            message: "There is no replay with this id for this webhook; the newest "
                + "\(Webhook.rememberedReplays) are remembered.")
    }

    static func eventNotFound() -> APIError {
        APIError(
            status: 404, code: "EVENT_NOT_FOUND",
            message: "Nothing is known of an event with this id for this webhook. Its log lists those that were sent; "
                + "what was never tried comes back by replay.")
    }

    static func eventExpired() -> APIError {
        APIError(
            status: 410, code: "EVENT_EXPIRED",
            message: "The event cannot be sent again: what it was made from is not kept any more.")
    }

    /// It may be on its way all the same: a second one would be another delivery of the same event.
    static func unconfirmedRetry() -> APIError {
        APIError(
            status: 503, code: "UNCONFIRMED",
            message: "It could not be confirmed in time that the event is on its way. Try again.",
            headers: [("Retry-After", "1")])
    }

    /// What the brokers did not tell.
    static func sourceFault(_ fault: ReplayFault) -> APIError {
        switch fault {
        case .busy: unavailable("Too many events and replays are being looked up; try again.")
        case .late: unavailable("The events could not be looked up in time; try again.")
        case .tooWide:
            APIError(
                status: 422, code: "REPLAY_TOO_WIDE",
                message: "The range lies in more than \(ReplayPlan.mostParts) partitions. Ask for a shorter one.",
                details: { $0.field("limit", ReplayPlan.mostParts) })
        case .expired: eventExpired()
        case .unknown: eventNotFound()
        }
    }
}
