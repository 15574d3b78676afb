// Who waits behind whom on one partition of `deferred`. A webhook with a long backlog may fill the window there; its
// excess goes to the tail again only while another webhook waits behind it, so that alone it moves no record twice.

package struct DeferredShare: Sendable {
    /// No second sees more records go to the tail again.
    package static let rotationsPerSecond = 500
    private static let burst = 20
    /// The holder keeps as many in hand; the rest is its excess.
    package static let kept = Lane.maxWaiting

    /// Records this owner wrote and has not read back, all webhooks together; each webhook's part is its ``Backlog``.
    package private(set) var outside = 0
    /// Offsets below were written before this owner knew them: anybody's.
    private var unknownBelow: Int64?
    private var bucket: TokenBucket

    /// One webhook's records on this partition that this owner wrote and has not read back.
    package struct Backlog: Sendable, Equatable {
        package fileprivate(set) var count = 0
        package init() {}
    }

    /// - Parameter now: monotonic nanoseconds of the assignment.
    package init(now: UInt64) {
        bucket = TokenBucket(perSecond: Self.rotationsPerSecond - Self.burst, burst: Self.burst, emptySince: now)
    }

    package mutating func wrote(_ backlog: inout Backlog) {
        backlog.count += 1
        outside += 1
    }

    /// Whether the next record read is the first since the assignment: the owner then says where the log ends.
    package var hasBegun: Bool { unknownBelow != nil }

    /// The first record is about to be read. What the owner has counted so far stands below the log's end too, so counting
    /// begins anew; the caller gives every webhook an empty backlog.
    package mutating func began(logEnd: Int64) {
        unknownBelow = logEnd
        outside = 0
    }

    package mutating func read(_ offset: Int64, _ backlog: inout Backlog) {
        guard let unknownBelow, offset >= unknownBelow, backlog.count > 0 else { return }
        backlog.count -= 1
        outside -= 1
    }

    /// Whether another webhook's records wait behind the window; after a move it is assumed until everything that the
    /// owner found has been read.
    /// - Parameter next: the next offset to read.
    package func othersWait(behind holder: Backlog, next: Int64) -> Bool {
        outside > holder.count || next < (unknownBelow ?? .max)
    }

    /// Takes leave to move one record to the tail.
    /// - Returns: when not now, the moment to ask again, monotonic nanoseconds.
    package mutating func rotate(now: UInt64) -> UInt64? {
        let token = bucket.nextToken(now: now)
        guard token <= now else { return token }
        bucket.take(now: now)
        return nil
    }

    /// Whether a record deferred at that time has waited too long. Rotation carries the first time along.
    package static func isTooOld(deferredAt: Timestamp, now: Timestamp, limitMilliseconds: Int64) -> Bool {
        now.milliseconds - deferredAt.milliseconds > limitMilliseconds
    }
}
