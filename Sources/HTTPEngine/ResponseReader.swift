// Reads one HTTP/1.1 answer: bytes in, verdict out. A pure value, so that every misbehaviour of a receiver is a row in a
// table. It is strict where leniency lets two readers disagree, and it bounds everything a receiver can send.
//
// The outcome is fixed by the complete final head (`status`). What comes after it only decides whether the connection
// can be used again and what prefix is kept for the log; it never undoes the status.
package import Core
internal import Glibc

package struct ResponseReader: Sendable {
    package static let maximumHeadBytes = 16 * 1024
    package static let maximumHeaders = 100
    package static let maximumInterimResponses = 8
    package static let maximumBodyBytes = 16 * 1024
    package static let keptBodyBytes = 1024
    package static let keptHeadBytes = 4096

    package enum Verdict: Equatable, Sendable {
        case more
        /// Nothing more will be read: the answer is whole, or as much of it as we take.
        case complete
        case failed(AttemptFailure)
    }

    private enum Phase {
        case statusLine, headers
        case fixedBody(left: Int)
        case chunkSize, chunkData(left: Int), chunkEnd, trailers
        case untilClose
        case done
        case failed(AttemptFailure)
    }

    /// Whether head and body of a 2xx are kept as well.
    let keepsSuccess: Bool
    private var phase = Phase.statusLine
    /// The part of a line whose end has not come; whole lines are parsed where they lie.
    private var partialLine: [UInt8] = []
    private var headBytes = 0
    private var bodyBytes = 0
    private var headers = 0
    private var interimResponses = 0
    private var head = ResponseHead()
    private var bodyIsWhole = false
    private var hasExtraBytes = false

    /// Any byte of an answer was seen, be it of an interim one.
    package private(set) var hasStarted = false
    /// Status of the final head, once that head is complete.
    package private(set) var status: Int?
    /// Status line and headers as they came, bounded; of a 2xx only where that is asked for.
    package private(set) var keptHead: [UInt8] = []
    /// The first KiB of the de-chunked body; of a 2xx only where that is asked for.
    package private(set) var keptBody: [UInt8] = []

    /// - Parameter keepsSuccess: whether to keep of a 2xx what is kept of other answers.
    package init(keepsSuccess: Bool = false) { self.keepsSuccess = keepsSuccess }

    package var retryAfter: RetryAfter? { head.retryAfter }

    /// What `Keep-Alive: timeout=` promised, in seconds.
    package var keepAliveSeconds: Int? { head.keepAliveSeconds }

    /// The head is there and of the body as much as is kept.
    package var isKeptWhole: Bool { status != nil && (!isKept || keptBody.count == Self.keptBodyBytes) }

    /// The connection is in step with us, and the receiver wants to keep it.
    package var isReusable: Bool { bodyIsWhole && !hasExtraBytes && head.keepsAlive }

    /// Takes the next bytes of the connection.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer) -> Verdict {
        if !bytes.isEmpty { hasStarted = true }
        var position = 0
        while position < bytes.count {
            switch phase {
            case .statusLine, .headers, .chunkSize, .chunkEnd, .trailers: takeLine(bytes, &position)
            case .fixedBody(let left):
                let taken = takeBody(bytes, &position, atMost: left)
                if taken == left { finishBody() } else { phase = .fixedBody(left: left - taken) }
            case .chunkData(let left):
                let taken = takeBody(bytes, &position, atMost: left)
                phase = taken == left ? .chunkEnd : .chunkData(left: left - taken)
            case .untilClose: _ = takeBody(bytes, &position, atMost: bytes.count - position)
            case .done:
                hasExtraBytes = true
                return .complete
            case .failed(let failure): return .failed(failure)
            }
            if bodyBytes > Self.maximumBodyBytes, !bodyIsWhole { phase = .done }
        }
        return verdict
    }

    /// The peer will send no more.
    package mutating func end() -> Verdict {
        switch phase {
        case .statusLine, .headers: phase = .failed(.connectionClosed)
        case .failed: break
        default:
            head.keepsAlive = false
            phase = .done
        }
        return verdict
    }

    private var verdict: Verdict {
        switch phase {
        case .done: .complete
        case .failed(let failure): .failed(failure)
        default: .more
        }
    }

    // MARK: Lines

    private var isInHead: Bool {
        switch phase {
        case .statusLine, .headers: true
        default: false
        }
    }

    private mutating func takeLine(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) {
        let start = bytes.baseAddress! + position
        let available = bytes.count - position
        let found = memchr(start, 0x0a, available)
        let length = found.map { UnsafeRawPointer($0) - start } ?? available
        position += found == nil ? length : length + 1
        let part = UnsafeRawBufferPointer(start: start, count: length)

        // What cannot become a status line fails now, not when its line ends or has grown too long.
        if case .statusLine = phase, !mayStart(with: part) {
            phase = .failed(.responseNotHTTP)
            return
        }
        if isInHead {
            headBytes += length + 1
            if headBytes > Self.maximumHeadBytes {
                phase = .failed(.responseHeadTooLarge)
                return
            }
        } else {
            bodyBytes += length + 1
            if bodyBytes > Self.maximumBodyBytes { return }
        }
        if found == nil {
            // The line's end was counted with this part; the rest of the line counts itself.
            if isInHead { headBytes -= 1 } else { bodyBytes -= 1 }
            partialLine.append(contentsOf: part)
        } else if partialLine.isEmpty {
            take(line: part)
        } else {
            partialLine.append(contentsOf: part)
            let line = partialLine
            partialLine = []
            line.withUnsafeBytes { take(line: $0) }
        }
    }

    private func mayStart(with part: UnsafeRawBufferPointer) -> Bool {
        if partialLine.isEmpty { return ResponseHead.mayStart(part) }
        return (partialLine.prefix(8) + part.prefix(8)).withUnsafeBytes(ResponseHead.mayStart)
    }

    private mutating func take(line ended: UnsafeRawBufferPointer) {
        let line = ended.last == 0x0d ? UnsafeRawBufferPointer(rebasing: ended.dropLast()) : ended
        switch phase {
        case .statusLine:
            if let failure = head.readStatusLine(line) {
                phase = .failed(failure)
                return
            }
            keep(headLine: line)
            phase = .headers
        case .headers: line.isEmpty ? finishHead() : takeHeader(line)
        case .chunkSize:
            guard let size = ResponseHead.chunkSize(line) else {
                phase = .done
                return
            }
            phase = size == 0 ? .trailers : .chunkData(left: size)
        case .chunkEnd: phase = line.isEmpty ? .chunkSize : .done
        case .trailers: if line.isEmpty { finishBody() }
        default: break
        }
    }

    private mutating func takeHeader(_ line: UnsafeRawBufferPointer) {
        headers += 1
        if headers > Self.maximumHeaders {
            phase = .failed(.responseHeadTooLarge)
        } else if let failure = head.readHeader(line) {
            phase = .failed(failure)
        } else {
            keep(headLine: line)
        }
    }

    private mutating func finishHead() {
        guard head.isConsistent else {
            phase = .failed(.responseLengthInvalid)
            return
        }
        if head.status < 200 {
            interimResponses += 1
            head = ResponseHead()
            headers = 0
            headBytes = 0
            phase = interimResponses > Self.maximumInterimResponses ? .failed(.tooManyInterimResponses) : .statusLine
            return
        }
        status = head.status
        if head.status == 204 || head.status == 304 {
            finishBody()
        } else if head.isChunked {
            phase = .chunkSize
        } else if let length = head.contentLength {
            if length == 0 { finishBody() } else { phase = .fixedBody(left: length) }
        } else {
            head.keepsAlive = false
            phase = .untilClose
        }
        // Where nothing is kept a body too large to be read for reuse is not read at all.
        if !isKept, !bodyIsWhole, !head.keepsAlive || head.contentLength ?? 0 > Self.maximumBodyBytes {
            phase = .done
        }
    }

    // MARK: Body

    private var isKept: Bool { keepsSuccess || !(200..<300).contains(head.status) }

    private mutating func finishBody() {
        bodyIsWhole = true
        phase = .done
    }

    private mutating func takeBody(_ bytes: UnsafeRawBufferPointer, _ position: inout Int, atMost limit: Int) -> Int {
        let taken = min(limit, bytes.count - position)
        if isKept, keptBody.count < Self.keptBodyBytes {
            let kept = min(taken, Self.keptBodyBytes - keptBody.count)
            keptBody.append(contentsOf: bytes[position..<position + kept])
        }
        position += taken
        bodyBytes += taken
        return taken
    }

    private mutating func keep(headLine line: UnsafeRawBufferPointer) {
        guard isKept, head.status >= 200, keptHead.count + line.count + 2 <= Self.keptHeadBytes else { return }
        keptHead.append(contentsOf: line)
        keptHead.append(0x0d)
        keptHead.append(0x0a)
    }
}
