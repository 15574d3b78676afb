// Whether a mail is still to be sent: not to an account that was deleted since it was written.

package enum MailAudience: Equatable, Sendable {
    case wanted
    /// Its account is gone.
    case gone
    /// What this process knows of accounts is not enough to say.
    case unknown

    /// A deletion can be seen for so long: that is how long compaction keeps tombstones at least, less an hour for clocks that
    /// differ. (`delete.retention.ms` is a day unless somebody changed it.)
    package static let deletionIsSeenMilliseconds: Int64 = 23 * 3_600_000

    /// - Parameters:
    ///   - isKnown: whether the account is in the view.
    ///   - wasRemoved: whether the view has seen it go.
    ///   - hasLoaded: whether the view has ever been complete.
    ///   - isConfirmed: whether it was seen to be complete after the mail was read.
    ///   - ageMilliseconds: since the mail was written to its topic; nil where nobody knows.
    package static func judge(
        isKnown: Bool, wasRemoved: Bool, hasLoaded: Bool, isConfirmed: Bool, ageMilliseconds: Int64?
    ) -> MailAudience {
        if wasRemoved { return .gone }
        if isKnown { return .wanted }
        guard hasLoaded else { return .unknown }
        // Gone since, it would have been seen to go.
        if let ageMilliseconds, ageMilliseconds < deletionIsSeenMilliseconds { return .wanted }
        return isConfirmed ? .gone : .unknown
    }
}
