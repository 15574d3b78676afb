// POSTs a second and processor time per POST over keep-alive loopback connections, against a responder that does next
// to nothing. Off unless asked for, because it says nothing in a debug build:
//     ENGINE_MEASURE=200000 swift test -c release --filter Measurement
import CLinux
import Core
import Glibc
import HTTPEngine
import Runtime
import Synchronization
import Testing

/// One thread, one epoll; answers each read with one fixed response. Requests are small, so a read is a request.
private final class Responder: Sendable {
    let port: UInt16
    private let listener: Int32
    private let thread = Mutex<OwnedThread?>(nil)
    private let processorTime = Mutex<UInt64>(0)
    private let stopping = EventFD()

    init() {
        (listener, port) = ScriptedServer.listen(512)
        thread.withLock { $0 = OwnedThread(name: "responder") { [self] in serve() } }
    }

    private func serve() {
        let poller = epoll_create1(0)
        func add(_ descriptor: Int32) {
            var event = epoll_event()
            event.events = EPOLLIN.rawValue
            event.data.fd = descriptor
            epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event)
        }
        add(listener)
        add(stopping.descriptor)
        let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok".utf8)
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var events = [epoll_event](repeating: epoll_event(), count: 256)
        while true {
            let count = epoll_wait(poller, &events, 256, -1)
            for position in 0..<max(0, Int(count)) {
                let descriptor = events[position].data.fd
                if descriptor == stopping.descriptor {
                    var time = timespec()
                    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
                    processorTime.withLock { $0 = UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec) }
                    close(poller)
                    return
                }
                if descriptor == listener {
                    let peer = accept(listener, nil, nil)
                    var on: Int32 = 1
                    setsockopt(peer, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
                    add(peer)
                } else if recv(descriptor, &buffer, buffer.count, 0) > 0 {
                    send(descriptor, answer, answer.count, Int32(MSG_NOSIGNAL))
                } else {
                    close(descriptor)
                }
            }
        }
    }

    /// Ends the responder; nanoseconds of processor time it took.
    func stop() -> UInt64 {
        stopping.signal()
        thread.withLock { thread in
            thread?.join()
            thread = nil
        }
        close(listener)
        return processorTime.withLock { $0 }
    }
}

@Suite(.serialized, .enabled(if: getenv("ENGINE_MEASURE") != nil)) struct Measurement {
    @Test(arguments: [4, 16, 64]) func postsPerSecond(_ connections: Int) throws {
        let total = getenv("ENGINE_MEASURE").flatMap { Int(String(cString: $0)) } ?? 200_000
        let responder = Responder()
        let finished = Mutex((done: 0, failed: 0))
        let freed = EventFD()
        var configuration = HTTPEngineConfiguration()
        configuration.policy = Harness.loopback
        configuration.maximumConnectionsPerHost = connections
        let engine = try HTTPEngine(configuration: configuration) { batch in
            let failed = batch.count { !$0.outcome.isSuccess }
            finished.withLock { $0 = ($0.done + batch.count, $0.failed + failed) }
            freed.signal()
        }
        let endpoint = try Harness.endpoint(
            "http://127.0.0.1:\(responder.port)/hook",
            lines: "User-Agent: Learnault-Webhooks/1.0\r\nContent-Type: application/json\r\n")
        let lines = Array(
            """
            X-Learnault-Event: module.completed\r\nX-Learnault-Delivery: dlv_0123456789abcdef01234567.1\r\n\
            X-Learnault-Signature: \(String(repeating: "a", count: 64))\r\nwebhook-id: evt_0123456789abcdef01234567\r\n\
            webhook-timestamp: 1700000000\r\nwebhook-signature: v1,\(String(repeating: "b", count: 44))\r\n
            """.utf8)
        let body = [UInt8](repeating: UInt8(ascii: "x"), count: 500)

        let start = Clock.monotonic()
        let processorStart = Self.processorTime()
        var submitted = 0
        while true {
            freed.clear()
            let done = finished.withLock { $0.done }
            if done == total { break }
            // Twice the connections under way: the next request is there when an answer comes.
            let room = min(connections * 2 - (submitted - done), total - submitted)
            if room > 0 {
                engine.submit(
                    (0..<room).map {
                        HTTPRequest(
                            token: UInt64(submitted + $0), affinity: 0, endpoint: endpoint, headerLines: lines,
                            body: body)
                    })
                submitted += room
            }
            freed.wait(milliseconds: 1000)
        }
        let seconds = Double(Clock.monotonic() - start) / 1e9
        engine.stop()
        let whole = Self.processorTime() - processorStart
        let own = Double(whole - responder.stop()) / 1000 / Double(total)
        print(
            "measured: \(connections) connections, \(Int(Double(total) / seconds)) POSTs/s, \((own * 10).rounded() / 10) µs of processor time a POST (engine and caller)"
        )
        #expect(finished.withLock { $0.failed } == 0)
    }

    private static func processorTime() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
