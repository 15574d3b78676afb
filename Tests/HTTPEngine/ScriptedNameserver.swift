// A nameserver that answers by script.
import CLinux
import Core
import Glibc
import Runtime
import Synchronization

/// Answers questions for addresses over UDP, and over TCP what is too long for that.
final class ScriptedNameserver: Sendable {
    indirect enum Answer: Sendable {
        /// Each family gets its own.
        case addresses([String])
        case code(UInt8)
        case silence
        /// Something else for each family.
        case split(v4: Answer, v6: Answer)
        /// Another one each time a family is asked, with no time to live; the last one stays.
        case changing([Answer])
    }
    let port: UInt16
    private let descriptor: Int32
    private let isStopped = Atomic(false)
    private let asking = Asking()
    private let thread = Guarded<OwnedThread?>(nil)
    private let stream: ScriptedServer

    /// Names of the A questions so far.
    var questions: [String] { asking.asked.withLock { $0 } }

    init(_ answers: [String: Answer]) {
        // The same port for both: where UDP's is taken, another pair is tried.
        while true {
            let server = ScriptedServer { [asking] peer in
                while let length = peer.bytes(2), let query = peer.bytes(Int(length[0]) << 8 | Int(length[1])) {
                    guard let reply = asking.reply(query, answers) else { continue }
                    peer.write([UInt8(reply.count >> 8), UInt8(reply.count & 0xff)] + reply)
                }
            }
            guard let bound = Self.bind(server.port) else {
                server.stop()
                continue
            }
            port = server.port
            descriptor = bound
            stream = server
            break
        }
        thread.withLock { $0 = OwnedThread(name: "nameserver") { [self] in serve(answers) } }
    }

    private static func bind(_ port: UInt16) -> Int32? {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let status = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if status == 0 { return descriptor }
        close(descriptor)
        return nil
    }

    private func serve(_ answers: [String: Answer]) {
        var packet = [UInt8](repeating: 0, count: 1500)
        while !isStopped.load(ordering: .acquiring) {
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, 20) > 0 else { continue }
            var peer = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            withUnsafeMutablePointer(to: &peer) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    let count = recvfrom(descriptor, &packet, packet.count, 0, $0, &length)
                    guard count > 16, var reply = asking.reply(Array(packet[..<count]), answers) else { return }
                    if reply.count > 512 {
                        // Truncated: to be asked again over TCP.
                        reply[2] |= 2
                        reply.removeLast(reply.count - 512)
                    }
                    sendto(descriptor, reply, reply.count, 0, $0, length)
                }
            }
        }
    }

    func stop() {
        isStopped.store(true, ordering: .releasing)
        thread.withLock { thread in
            thread?.join()
            thread = nil
        }
        stream.stop()
        close(descriptor)
    }
}

/// What was asked, and what is answered to it.
private final class Asking: Sendable {
    let asked = Guarded<[String]>([])
    let askedV6 = Guarded<[String]>([])

    func reply(_ query: [UInt8], _ answers: [String: ScriptedNameserver.Answer]) -> [UInt8]? {
        var labels: [String] = []
        var position = 12
        while query[position] != 0 {
            let length = Int(query[position])
            labels.append(String(decoding: query[position + 1...position + length], as: UTF8.self))
            position += length + 1
        }
        let isA = query[position + 2] == 1
        let question = query[12..<position + 5]
        let name = labels.joined(separator: ".").lowercased()
        let number = isA ? Self.note(name, asked) : Self.note(name, askedV6)
        var addresses: [IPAddress] = []
        var code: UInt8 = 0
        var seconds: UInt8 = 30
        var answer = answers[name] ?? .code(3)
        while true {
            switch answer {
            case .silence: return nil
            case .code(let told): code = told
            case .addresses(let texts):
                addresses = texts.map { Self.address($0) }.filter { $0.isA == isA }.map(\.address)
            case .split(let v4, let v6):
                answer = isA ? v4 : v6
                continue
            case .changing(let turns):
                answer = turns[min(number, turns.count - 1)]
                seconds = 0
                continue
            }
            break
        }
        let count = UInt16(addresses.count)
        var reply =
            [query[0], query[1], 0x81, 0x80 | code, 0, 1, UInt8(count >> 8), UInt8(count & 0xff), 0, 0, 0, 0] + question
        for address in addresses {
            reply += [0xc0, 12, 0, isA ? 1 : 28, 0, 1, 0, 0, 0, seconds, 0, isA ? 4 : 16]
            reply += isA ? Array(address.bytes[12...]) : address.bytes
        }
        return reply
    }

    /// How often it was asked before.
    private static func note(_ name: String, _ asked: Guarded<[String]>) -> Int {
        asked.withLock { asked in
            asked.append(name)
            return asked.count { $0 == name } - 1
        }
    }

    /// Which record an address is told in; a mapped one is written with colons, and told in an AAAA record.
    private static func address(_ text: String) -> (address: IPAddress, isA: Bool) {
        (IPAddress(text)!, !text.contains(":"))
    }
}
