// A connection's way once it stands: handshake, request out, answer in, back to the pool.
internal import Core
internal import Glibc
internal import Runtime

extension EngineThread {
    // MARK: TLS

    func shakeHands(_ connection: Connection) {
        switch connection.tls?.handshake() {
        case .done(let resumed):
            counters.tlsHandshakes += 1
            if resumed { counters.tlsResumptions += 1 }
            send(connection)
        case .inProgress, nil: return
        case .failed(let failure): fail(connection, failure)
        }
    }

    // MARK: Events

    func happened(_ connection: Connection, _ flags: PollFlags) {
        switch connection.phase {
        case .connecting:
            guard flags.isWritable || flags.hasEnded else { return }
            guard let failure = Socket.connectFailure(connection.descriptor) else {
                established(connection)
                return receiveEarly(connection, flags)
            }
            connectFailed(connection, failure)
        case .handshaking:
            shakeHands(connection)
            receiveEarly(connection, flags)
        case .exchanging:
            if !connection.isSent, !connection.flush() { return writeFailed(connection) }
            // For TLS either direction may be what a read waits for.
            if flags.isReadable || flags.hasEnded || connection.tls != nil {
                receive(connection, hasEnded: flags.hasEnded)
            }
        case .idle:
            if flags.isReadable || flags.hasEnded { disturbed(connection, flags) }
        }
    }

    /// The edge that told of the connect or the handshake may also have told of bytes or an end; it is not told again.
    private func receiveEarly(_ connection: Connection, _ flags: PollFlags) {
        guard connections[connection.slot] === connection, connection.phase == .exchanging,
            flags.isReadable || flags.hasEnded
        else { return }
        receive(connection, hasEnded: flags.hasEnded)
    }

    /// An idle connection must be silent; only TLS has things to say of its own (session tickets).
    private func disturbed(_ connection: Connection, _ flags: PollFlags) {
        if connection.tls != nil, !flags.hasEnded, isSilent(connection) { return }
        drop(connection)
    }

    private func isSilent(_ connection: Connection) -> Bool {
        if case .wouldBlock = connection.read(into: buffer) { return true }
        return false
    }

    // MARK: The exchange

    /// Writes the one request of the connection's attempt.
    func send(_ connection: Connection) {
        guard let attempt = connection.attempt, let request = attempt.request else { return }
        // By the clock and not by the turn's time: the process may have stood still since this turn began.
        if let lease = request.lease, lease.isOver(at: Clock.monotonic()) { return finishTooLate(attempt) }
        if connection.isOpening { counters.connectionsOpening -= 1 }
        connection.phase = .exchanging
        attempt.phase = .exchanging
        connection.reader = ResponseReader(keepsSuccess: request.keepsSuccess)
        setLengthLine(request.body.count)
        var written = 0
        if connection.tls == nil {
            let whole =
                request.endpoint.fixedHead.count + request.headerLines.count + lengthLine.count + request.body.count
            switch Socket.write(
                connection.descriptor, request.endpoint.fixedHead, request.headerLines, lengthLine, request.body)
            {
            case .bytes(let count): written = count
            case .wouldBlock: written = 0
            case .ended, .broken, .tlsBroken: return writeFailed(connection)
            }
            if written == whole { return }
        }
        // TLS gets head and body together, one record where it fits; a plain socket what it did not take at once.
        connection.queue(request.endpoint.fixedHead, skipping: &written)
        connection.queue(request.headerLines, skipping: &written)
        connection.queue(lengthLine, skipping: &written)
        connection.queue(request.body, skipping: &written)
        if connection.tls != nil, !connection.flush() { writeFailed(connection) }
    }

    private func setLengthLine(_ length: Int) {
        guard length != lengthOfLine else { return }
        lengthOfLine = length
        lengthLine.removeAll(keepingCapacity: true)
        lengthLine.append(contentsOf: Self.lengthName)
        var divisor = 1
        while length / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            lengthLine.append(0x30 + UInt8(length / divisor % 10))
            divisor /= 10
        }
        lengthLine.append(contentsOf: Self.lineEnds)
    }

    /// The receiver takes no more, but it may have answered before: 413 and close is a common pair.
    private func writeFailed(_ connection: Connection) {
        connection.mayNotBeReused = true
        connection.unsent = []
        connection.unsentStart = 0
        let attempt = connection.attempt
        receive(connection, hasEnded: true)
        if let attempt, connection.attempt === attempt, attempt.connection === connection {
            lost(connection, .connectionReset)
        }
    }

    private func receive(_ connection: Connection, hasEnded: Bool) {
        while true {
            switch connection.read(into: buffer) {
            case .bytes(let count):
                let verdict = connection.reader.receive(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                noteHead(connection)
                switch verdict {
                case .more:
                    emitSuccess(connection)
                    // A short read has emptied the socket; the next byte is a new edge.
                    if connection.tls == nil, count < buffer.count, !hasEnded { return }
                case .complete: return conclude(connection, inStep: !hasEnded && count < buffer.count)
                case .failed(let failure): return fail(connection, failure)
                }
            case .wouldBlock: return
            case .ended:
                if case .complete = connection.reader.end() { return conclude(connection, inStep: false) }
                return lost(connection, .connectionClosed)
            case .broken: return lost(connection, .connectionReset)
            case .tlsBroken(let failure):
                return lost(connection, connection.reader.hasStarted ? .connectionReset : failure)
            }
        }
    }

    /// Of a success that is told later its head's time counts.
    private func noteHead(_ connection: Connection) {
        guard connection.reader.keepsSuccess, let attempt = connection.attempt, attempt.headAt == nil,
            let status = connection.reader.status, (200..<300).contains(status)
        else { return }
        attempt.headAt = now
    }

    /// A success is told as soon as its head is complete and what is kept of it is there, and never taken back.
    private func emitSuccess(_ connection: Connection) {
        guard let status = connection.reader.status, (200..<300).contains(status), connection.reader.isKeptWhole,
            let attempt = connection.attempt, !attempt.isEmitted
        else { return }
        emit(attempt, .answered(status: status), .none, connection)
    }

    /// The connection broke. What was answered stays answered.
    private func lost(_ connection: Connection, _ failure: AttemptFailure) {
        if connection.reader.status != nil { return conclude(connection, inStep: false) }
        // No byte of an answer on a used connection: it may have been closed before our request came. It is an attempt
        // all the same, for we cannot know.
        fail(connection, connection.exchanges > 0 && !connection.reader.hasStarted ? .reusedConnectionClosed : failure)
    }

    func fail(_ connection: Connection, _ failure: AttemptFailure) {
        guard let attempt = connection.attempt else { return drop(connection) }
        detach(connection)
        drop(connection)
        finish(attempt, .failed(failure))
    }

    private func conclude(_ connection: Connection, inStep: Bool) {
        guard let attempt = connection.attempt, let status = connection.reader.status else { return drop(connection) }
        finish(attempt, .answered(status: status), .none, connection)
        connection.attempt = nil
        connection.exchanges += 1
        var isReusable = inStep && connection.reader.isReusable && connection.isSent && !connection.mayNotBeReused
        // No event tells of bytes which OpenSSL has read already.
        if isReusable, let tls = connection.tls, tls.hasPending { isReusable = isSilent(connection) }
        guard isReusable else { return drop(connection) }
        connection.phase = .idle
        // A second less than promised: our request must not cross its close on the way.
        let promised = connection.reader.keepAliveSeconds.map { UInt64(max(0, min($0, 3600) - 1)) * 1_000_000_000 }
        switch pool.release(connection.slot, now: now, idleLimit: promised) {
        case .idle: return
        case .handOver(let index): begin(attempts[index], on: connection)
        case .close: drop(connection)
        }
    }

    // MARK: Closing

    func detach(_ connection: Connection) {
        connection.attempt?.connection = nil
        connection.attempt?.racers.removeAll { $0 === connection }
        connection.attempt = nil
    }

    func drop(_ connection: Connection) {
        if connection.isOpening { counters.connectionsOpening -= 1 }
        connections[connection.slot] = nil
        connection.close()
        giveBack(connection.slot)
    }

    func giveBack(_ slot: Int) {
        if let next = pool.closed(slot, now: now) { opens.append(next) }
    }

    /// Closes what the pool has forgotten by itself.
    func closeForgotten(_ slot: Int) {
        connections[slot]?.close()
        connections[slot] = nil
    }
}
