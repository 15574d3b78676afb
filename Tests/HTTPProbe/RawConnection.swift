// A client that sends exactly the bytes it is told to, so that tests can be as rude as an attacker, and reads responses
// with a time limit, so that no test can hang.
internal import Glibc

package struct ProbeError: Error, CustomStringConvertible {
    package init(_ description: String) { self.description = description }
    package let description: String
}

package struct ProbeResponse: Sendable {
    package let status: Int
    package let headers: [(name: String, value: String)]
    package let body: [UInt8]

    package var text: String { String(decoding: body, as: UTF8.self) }
    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// One TCP connection to 127.0.0.1.
package final class RawConnection {
    private let descriptor: Int32
    private var received: [UInt8] = []

    package init(port: Int, timeoutSeconds: Int = 5) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else {
            close(descriptor)
            throw ProbeError("connect: \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    /// - Returns: whether the peer took it all.
    @discardableResult
    package func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    @discardableResult
    package func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    /// - Throws: ``ProbeError`` when the peer closes first, is silent for too long or does not speak HTTP.
    package func receive(headOnly: Bool = false) throws -> ProbeResponse {
        while true {
            let end = try readHead()
            let lines = String(decoding: received[..<end], as: UTF8.self).components(by: "\r\n")
            received.removeFirst(end + 4)
            let first = lines[0].split(separator: " ")
            guard first.count >= 2, let status = Int(first[1]) else { throw ProbeError("no status line") }
            if status == 100 { continue }
            let headers = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
                guard let colon = line.firstIndex(of: ":") else { return nil }
                return (String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " }))
            }
            let length = headers.first { $0.name.lowercased() == "content-length" }.flatMap { Int($0.value) } ?? 0
            let wanted = headOnly || status == 204 ? 0 : length
            while received.count < wanted { try readMore() }
            let body = Array(received[..<wanted])
            received.removeFirst(wanted)
            return ProbeResponse(status: status, headers: headers, body: body)
        }
    }

    /// Whether the peer ends the connection within the time limit without sending more.
    package func isClosedByPeer() -> Bool {
        guard received.isEmpty else { return false }
        var byte: UInt8 = 0
        let count = recv(descriptor, &byte, 1, 0)
        return count == 0 || (count < 0 && errno == ECONNRESET)
    }

    private func readHead() throws -> Int {
        var searched = 0
        while true {
            while searched + 4 <= received.count {
                if received[searched..<searched + 4].elementsEqual([13, 10, 13, 10]) { return searched }
                searched += 1
            }
            try readMore()
        }
    }

    private func readMore() throws {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else {
            throw ProbeError(count == 0 ? "closed by peer" : String(cString: strerror(errno)))
        }
        received.append(contentsOf: buffer[..<count])
    }
}

/// One request on a connection of its own, well formed.
package func probe(
    port: Int, _ method: String, _ target: String, headers: [(String, String)] = [], body: String? = nil
) throws -> ProbeResponse {
    let connection = try RawConnection(port: port, timeoutSeconds: 10)
    var text = "\(method) \(target) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n"
    for (name, value) in headers { text += "\(name): \(value)\r\n" }
    if let body { text += "Content-Length: \(body.utf8.count)\r\n" }
    connection.send(text + "\r\n" + (body ?? ""))
    return try connection.receive(headOnly: method == "HEAD")
}

extension String {
    fileprivate func components(by separator: String) -> [String] {
        var parts: [String] = []
        var rest = utf8[...]
        let marks = Array(separator.utf8)
        var part: [UInt8] = []
        while let byte = rest.first {
            if rest.starts(with: marks) {
                parts.append(String(decoding: part, as: UTF8.self))
                part = []
                rest = rest.dropFirst(marks.count)
            } else {
                part.append(byte)
                rest = rest.dropFirst()
            }
        }
        return parts + [String(decoding: part, as: UTF8.self)]
    }
}
