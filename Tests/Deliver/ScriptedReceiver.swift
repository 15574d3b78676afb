// A subscriber on a loopback port: writes down each POST before it answers, and answers as its path is told to.
import Glibc
import Runtime

final class ScriptedReceiver: Sendable {
    struct Post: Sendable {
        let path: String
        /// `webhook-id`, the event.
        let event: String
        let attempt: Int
        /// Monotonic nanoseconds.
        let at: UInt64
        var answeredAt: UInt64?
    }

    struct Answer: Sendable {
        var status = 200
        var delayMilliseconds = 0
        /// Header lines without their ends.
        var headers: [String] = []
    }

    private struct State {
        var posts: [Post] = []
        var scripts: [String: @Sendable (_ number: Int) -> Answer] = [:]
        var connections = 0
        var open: [Int32] = []
    }

    private let state = Guarded(State())
    private let listener: Int32
    let port: Int

    init() {
        let accepting = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                precondition(bind(accepting, $0, length) == 0 && listen(accepting, 256) == 0)
                getsockname(accepting, $0, &length)
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        listener = accepting
        let ours = Unowned(receiver: self)
        _ = OwnedThread(name: "receiver") {
            while true {
                let connection = accept(accepting, nil, nil)
                guard connection >= 0, let receiver = ours.receiver else { return }
                receiver.state.withLock {
                    $0.connections += 1
                    $0.open.append(connection)
                }
                _ = OwnedThread(name: "connection") { receiver.serve(connection) }
            }
        }
    }

    private struct Unowned: Sendable { weak let receiver: ScriptedReceiver? }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        for connection in state.withLock({ $0.open }) { shutdown(connection, Int32(SHUT_RDWR)) }
    }

    func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

    /// - Parameter answer: gets the number of the POST at this path, from 0.
    func script(_ path: String, _ answer: @escaping @Sendable (_ number: Int) -> Answer) {
        state.withLock { $0.scripts[path] = answer }
    }

    func posts(_ path: String) -> [Post] { state.withLock { $0.posts.filter { $0.path == path } } }

    private func serve(_ connection: Int32) {
        var buffer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let got = recv(connection, &chunk, chunk.count, 0)
            guard got > 0 else { break }
            buffer += chunk[..<got]
            while let (head, size) = request(in: buffer) {
                buffer.removeFirst(size)
                answer(head, connection)
            }
        }
        close(connection)
    }

    private func request(in buffer: [UInt8]) -> (head: String, size: Int)? {
        let end: [UInt8] = [13, 10, 13, 10]
        guard buffer.count >= 4,
            let at = (0...buffer.count - 4).first(where: { buffer[$0..<$0 + 4].elementsEqual(end) })
        else { return nil }
        let head = String(decoding: buffer[..<at], as: UTF8.self)
        let size = at + 4 + (Int(field("content-length", of: head)) ?? 0)
        return buffer.count >= size ? (head, size) : nil
    }

    private func field(_ name: String, of head: String) -> String {
        for line in head.split(separator: "\r\n") where line.lowercased().hasPrefix(name + ":") {
            return String(line.dropFirst(name.count + 1).drop { $0 == " " })
        }
        return ""
    }

    private func answer(_ head: String, _ connection: Int32) {
        let path = head.split(separator: " ").dropFirst().first.map(String.init) ?? ""
        let attempt = field("x-learnault-delivery", of: head).split(separator: ".").last.flatMap { Int($0) } ?? 0
        let post = Post(path: path, event: field("webhook-id", of: head), attempt: attempt, at: Clock.monotonic())
        let (index, answer) = state.withLock { state in
            let number = state.posts.count { $0.path == path }
            state.posts.append(post)
            return (state.posts.count - 1, state.scripts[path]?(number) ?? Answer())
        }
        if answer.delayMilliseconds > 0 { usleep(UInt32(answer.delayMilliseconds) * 1000) }
        let more = answer.headers.map { $0 + "\r\n" }.joined()
        let text = "HTTP/1.1 \(answer.status) Decided\r\n\(more)Content-Length: 0\r\n\r\n"
        _ = text.withCString { send(connection, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
        state.withLock { $0.posts[index].answeredAt = Clock.monotonic() }
    }
}
