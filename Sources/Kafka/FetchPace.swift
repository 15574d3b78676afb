// How often a consumer asks for records. A broker that has little to give answers each fetch at once with a record or two,
// and one that does not hold fetches open (some do not) is asked without pause: up to 17,000 times a second by each
// consumer, measured. A short rest behind each fetch request lets records gather; the answer is on its way meanwhile.
internal import CRdKafka
internal import Glibc

/// The least time between two fetches of a consumer from one broker.
package struct FetchPace: Sendable {
    package let microseconds: UInt32

    package init(microseconds: UInt32) { self.microseconds = microseconds }

    /// Records that somebody waits for.
    package static let prompt = FetchPace(microseconds: 1000)
    /// Records that may be some hundredths of a second late: parked retries, the log.
    package static let leisurely = FetchPace(microseconds: 10_000)

    /// Sleeps in the broker's own thread, behind each fetch it sent; heartbeats and commits of this client wait as long.
    func install(in conf: OpaquePointer) {
        rd_kafka_conf_interceptor_add_on_new(
            conf, "fetch-pace", addRequestHook, UnsafeMutableRawPointer(bitPattern: UInt(microseconds)))
    }
}

private let fetchKey: Int16 = 1

private func addRequestHook(
    _ client: OpaquePointer?, _: OpaquePointer?, _ pace: UnsafeMutableRawPointer?, _: UnsafeMutablePointer<CChar>?, _: Int
) -> rd_kafka_resp_err_t {
    rd_kafka_interceptor_add_on_request_sent(client, "fetch-pace", restAfterFetch, pace)
}

private func restAfterFetch(
    _: OpaquePointer?, _: Int32, _: UnsafePointer<CChar>?, _: Int32, _ key: Int16, _: Int16, _: Int32, _: Int,
    _ pace: UnsafeMutableRawPointer?
) -> rd_kafka_resp_err_t {
    if key == fetchKey { usleep(UInt32(UInt(bitPattern: pace))) }
    return RD_KAFKA_RESP_ERR_NO_ERROR
}
