// How a webhook's lane stood at one attempt: the object `lane` of a record on `attempts`, as far as the API shows it.
package import Core
package import JSON

package struct LaneReport: Equatable, Sendable {
    package var state: LaneState
    /// Deliveries that wait in the lane.
    package var queued: Int
    /// Deliveries on the topic `deferred`, as far as the lane's owner knew.
    package var deferred: Int
    /// Only while the circuit is open.
    package var nextProbeAt: Timestamp?
    package var lastSuccessAt: Timestamp?
    package var lastError: String?
    package var lastErrorAt: Timestamp?
    /// Milliseconds.
    package var p50: Int?
    package var p99: Int?
    /// When it stood so: at the end of the attempt.
    package var at: Timestamp

    package init(
        state: LaneState, queued: Int = 0, deferred: Int = 0, nextProbeAt: Timestamp? = nil,
        lastSuccessAt: Timestamp? = nil, lastError: String? = nil, lastErrorAt: Timestamp? = nil, p50: Int? = nil,
        p99: Int? = nil, at: Timestamp
    ) {
        self.state = state
        self.queued = queued
        self.deferred = deferred
        self.nextProbeAt = nextProbeAt
        self.lastSuccessAt = lastSuccessAt
        self.lastError = lastError
        self.lastErrorAt = lastErrorAt
        self.p50 = p50
        self.p99 = p99
        self.at = at
    }

    /// nil without a state that this version knows: a log entry does without its lane.
    package init?(json: JSONValue, at: Timestamp) {
        guard json.isObject else { return nil }
        var state: LaneState?
        var report = LaneReport(state: .healthy, at: at)
        json.forEachMember { key, value in
            if sameBytes(key, "state") {
                state = value.string.flatMap { LaneState(rawValue: $0) }
            } else if sameBytes(key, "queued") {
                report.queued = value.int ?? 0
            } else if sameBytes(key, "deferred") {
                report.deferred = value.int ?? 0
            } else if sameBytes(key, "nextProbeAt") {
                report.nextProbeAt = value.stringBytes.flatMap { Timestamp(rfc3339: $0) }
            } else if sameBytes(key, "lastSuccessAt") {
                report.lastSuccessAt = value.stringBytes.flatMap { Timestamp(rfc3339: $0) }
            } else if sameBytes(key, "lastError") {
                report.lastError = value.string
            } else if sameBytes(key, "lastErrorAt") {
                report.lastErrorAt = value.stringBytes.flatMap { Timestamp(rfc3339: $0) }
            } else if sameBytes(key, "p50") {
                report.p50 = value.int
            } else if sameBytes(key, "p99") {
                report.p99 = value.int
            }
        }
        guard let state else { return nil }
        report.state = state
        self = report
    }
}
