// When a consumer asks for records again. Left alone, librdkafka asks as soon as it has an answer, so that each answer
// holds a record or two; and a broker that does not hold fetches open is asked 17,000 times a second by each idle
// consumer (measured). And once a partition's queue is over its limit, librdkafka 2.0.2 looks again only when something
// else wakes its thread, or after a second: with a backlog a stage stood still most of the time. So each fetch is
// followed by a short rest, in which records gather, and by a longer one while the stage has enough to do; the queues'
// own limits are for partitions that are not read at all.
internal import CRdKafka
internal import Glibc
internal import Synchronization

/// The least time between two fetches of a consumer from one broker.
package struct FetchPace: Sendable {
    package let microseconds: UInt32

    /// Records that somebody waits for.
    package static let prompt = FetchPace(microseconds: 500)
    /// Records that are few and may take some milliseconds: the registry's. A broker that does not hold fetches open would
    /// otherwise be asked a thousand times a second for nothing.
    package static let unhurried = FetchPace(microseconds: 5000)
    /// Records that may be some hundredths of a second late: parked retries, the log.
    package static let leisurely = FetchPace(microseconds: 10_000)
}

/// Holds a client's fetches back. Lives as long as its client; the broker threads and the owner share it.
final class FetchGate: Sendable {
    private let pace: FetchPace
    private let queued = Atomic<Int>(0)
    private let isBusy = Atomic<Bool>(false)

    /// Records that wait to be read, above which the next fetch waits.
    private static let enough = 1000
    /// A client's heartbeats and commits wait behind its fetches, so no longer than this.
    /// At thousands of records a second a fetch that waits a little longer holds a hundred of them instead of a dozen.
    private static let busyRestMicroseconds: UInt32 = 3000
    private static let longestRestMicroseconds: UInt32 = 50_000
    private static let step: UInt32 = 2000

    init(_ pace: FetchPace) { self.pace = pace }

    /// The owner says how much waits in the queues it reads, and whether it has much to do.
    func note(queued count: Int, isBusy busy: Bool) {
        queued.store(count, ordering: .relaxed)
        isBusy.store(busy, ordering: .relaxed)
    }

    /// The hook is called in the broker's own thread behind each request it sent; the answer is on its way meanwhile.
    func install(in conf: OpaquePointer) {
        rd_kafka_conf_interceptor_add_on_new(
            conf, "fetch-pace", addRequestHook, Unmanaged.passUnretained(self).toOpaque())
    }

    fileprivate func rest() {
        var rested =
            isBusy.load(ordering: .relaxed) ? max(pace.microseconds, Self.busyRestMicroseconds) : pace.microseconds
        usleep(rested)
        while queued.load(ordering: .relaxed) > Self.enough, rested < Self.longestRestMicroseconds {
            usleep(Self.step)
            rested += Self.step
        }
    }
}

private let fetchKey: Int16 = 1

private func addRequestHook(
    _ client: OpaquePointer?, _: OpaquePointer?, _ gate: UnsafeMutableRawPointer?, _: UnsafeMutablePointer<CChar>?,
    _: Int
) -> rd_kafka_resp_err_t {
    rd_kafka_interceptor_add_on_request_sent(client, "fetch-pace", restAfterFetch, gate)
}

private func restAfterFetch(
    _: OpaquePointer?, _: Int32, _: UnsafePointer<CChar>?, _: Int32, _ key: Int16, _: Int16, _: Int32, _: Int,
    _ gate: UnsafeMutableRawPointer?
) -> rd_kafka_resp_err_t {
    if key == fetchKey, let gate { Unmanaged<FetchGate>.fromOpaque(gate).takeUnretainedValue().rest() }
    return RD_KAFKA_RESP_ERR_NO_ERROR
}
