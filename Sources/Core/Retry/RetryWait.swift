// How long a parked record is held before it is due. Due times are wall clock, because several machines and restarts share
// them; the wait itself is counted by the monotonic clock, so that a clock that is set while it lasts moves nothing.

package enum RetryWait {
    /// When a record read now may go, by the monotonic clock.
    ///
    /// A wall clock that was set back since the record was written would add the step to its wait. So the wait that begins
    /// at the reading is never longer than the one the writer meant (`due` − `written`, both of one clock), or than the
    /// tier's, where the broker stamps records by a clock of its own.
    /// - Parameters:
    ///   - due: header `due-at`; nil is due at once.
    ///   - written: the record's Kafka timestamp, milliseconds; negative where there is none.
    ///   - tierWait: what the record's tier waits today, milliseconds.
    ///   - wall: now, milliseconds since 1970.
    ///   - monotonic: now, nanoseconds.
    /// - Returns: monotonic nanoseconds, not before `monotonic`.
    package static func end(
        due: Timestamp?, written: Int64, tierWait: Int64, wall: Int64, monotonic: UInt64
    ) -> UInt64 {
        guard let due else { return monotonic }
        let left = due.milliseconds.subtractingReportingOverflow(wall)
        guard !left.overflow, left.partialValue > 0 else { return monotonic }
        let meant =
            written < 0
            ? (partialValue: Int64.max, overflow: false)
            : due.milliseconds.subtractingReportingOverflow(written)
        let longest = max(tierWait, meant.overflow ? .max : meant.partialValue)
        // A year is more than any tier may wait; a due time beyond it was made by hand and must not overflow.
        let wait = min(left.partialValue, longest, 366 * 86_400_000)
        return monotonic + UInt64(wait) * 1_000_000
    }
}
