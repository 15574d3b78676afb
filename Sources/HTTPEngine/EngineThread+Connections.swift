// A connection's way: connect, handshake, request out, answer in, back to the pool.
internal import Core
internal import Glibc

extension EngineThread {
    // MARK: Opening

    func performOpens() {
        var position = 0
        while position < opens.count {
            let next = opens[position]
            position += 1
            let attempt = attempts[next.attempt]
            endWaiting(attempt)
            open(attempt, next.slot)
        }
        opens.removeAll(keepingCapacity: true)
    }

    func open(_ attempt: Attempt, _ slot: Int) {
        guard let key = attempt.key else { preconditionFailure("an attempt without an address") }
        attempt.phase = .connecting
        // It may have waited, and the policy changed meanwhile.
        guard isAllowed(key.address, key.port) else {
            giveBack(slot)
            return finish(attempt, .failed(.addressDenied))
        }
        switch connect(key) {
        case .failed(let failure):
            giveBack(slot)
            connectFailed(attempt, failure)
        case .exhausted:
            giveBack(slot)
            finish(attempt, .failed(.connectFailed), .beforeSending)
        case .connecting(let descriptor):
            generation &+= 1
            let connection = Connection(slot: slot, generation: generation, descriptor: descriptor, key: key)
            guard poller.addEdge(descriptor, .connection(slot: slot, generation: generation)) else {
                close(descriptor)
                giveBack(slot)
                return finish(attempt, .failed(.connectFailed), .beforeSending)
            }
            while connections.count <= slot { connections.append(nil) }
            connections[slot] = connection
            connection.attempt = attempt
            attempt.connection = connection
            counters.connects += 1
            shareDeadline(attempt)
        }
    }

    /// Out of descriptors or ports, an idle connection is worth less than a new one.
    private func connect(_ key: PoolKey) -> Socket.OpenResult {
        let source = configuration.sourceAddress
        let result = Socket.connect(to: key.address, port: key.port, from: source)
        guard case .exhausted = result, let idle = pool.takeOldestIdle() else { return result }
        closeForgotten(idle)
        return Socket.connect(to: key.address, port: key.port, from: source)
    }

    /// While there are other addresses, one of them may not use up the time of all.
    private func shareDeadline(_ attempt: Attempt) {
        let left = attempt.addresses.count - attempt.nextAddress
        guard left > 0, attempt.deadline > now else { return }
        attempt.hasConnectDeadline = true
        wheel.set(attempt.index, at: now + (attempt.deadline - now) / UInt64(left + 1))
    }

    private func established(_ connection: Connection) {
        guard let attempt = connection.attempt, let url = attempt.request?.endpoint.url else { return }
        if attempt.hasConnectDeadline {
            attempt.hasConnectDeadline = false
            wheel.set(attempt.index, at: attempt.deadline)
        }
        guard connection.key.isTLS else { return send(connection) }
        guard let stream = tls.stream(over: connection.descriptor, connection.key, serverName: url.serverName) else {
            return fail(connection, .tlsFailed)
        }
        connection.tls = stream
        connection.phase = .handshaking
        attempt.phase = .handshaking
        shakeHands(connection)
    }

    private func shakeHands(_ connection: Connection) {
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
            guard let attempt = connection.attempt else { return }
            detach(connection)
            drop(connection)
            connectFailed(attempt, failure)
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
        connection.phase = .exchanging
        attempt.phase = .exchanging
        connection.reader = ResponseReader()
        headBuffer.removeAll(keepingCapacity: true)
        headBuffer.append(contentsOf: request.endpoint.fixedHead)
        headBuffer.append(contentsOf: request.headerLines)
        appendLength(request.body.count)
        if connection.tls != nil {
            // Head and body together: one record where it fits.
            connection.unsent.append(contentsOf: headBuffer)
            connection.unsent.append(contentsOf: request.body)
            if !connection.flush() { writeFailed(connection) }
            return
        }
        let result = headBuffer.withUnsafeBytes { head in
            request.body.withUnsafeBytes { Socket.write(connection.descriptor, head, $0) }
        }
        let written: Int
        switch result {
        case .bytes(let count): written = count
        case .wouldBlock: written = 0
        case .ended, .broken, .tlsBroken: return writeFailed(connection)
        }
        guard written < headBuffer.count + request.body.count else { return }
        connection.unsent.append(contentsOf: headBuffer.dropFirst(written))
        connection.unsent.append(contentsOf: request.body.dropFirst(max(0, written - headBuffer.count)))
    }

    private static let lengthName: StaticString = "Content-Length: "

    private func appendLength(_ length: Int) {
        let name = Self.lengthName
        headBuffer.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        var divisor = 1
        while length / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            headBuffer.append(0x30 + UInt8(length / divisor % 10))
            divisor /= 10
        }
        for _ in 0..<2 {
            headBuffer.append(0x0d)
            headBuffer.append(0x0a)
        }
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
            case .tlsBroken: return lost(connection, connection.reader.hasStarted ? .connectionReset : .tlsFailed)
            }
        }
    }

    /// A success is told as soon as its head is complete, and never taken back.
    private func emitSuccess(_ connection: Connection) {
        guard let status = connection.reader.status, (200..<300).contains(status), let attempt = connection.attempt,
            !attempt.isEmitted
        else { return }
        emit(attempt, .answered(status: status), .none, connection.reader)
    }

    /// The connection broke. What was answered stays answered.
    private func lost(_ connection: Connection, _ failure: AttemptFailure) {
        if connection.reader.status != nil { return conclude(connection, inStep: false) }
        // No byte of an answer on a used connection: it may have been closed before our request came. It is an attempt
        // all the same, for we cannot know.
        fail(connection, connection.exchanges > 0 && !connection.reader.hasStarted ? .reusedConnectionClosed : failure)
    }

    private func fail(_ connection: Connection, _ failure: AttemptFailure) {
        guard let attempt = connection.attempt else { return drop(connection) }
        detach(connection)
        drop(connection)
        finish(attempt, .failed(failure))
    }

    private func conclude(_ connection: Connection, inStep: Bool) {
        guard let attempt = connection.attempt, let status = connection.reader.status else { return drop(connection) }
        finish(attempt, .answered(status: status), .none, connection.reader)
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
        connection.attempt = nil
    }

    func drop(_ connection: Connection) {
        connections[connection.slot] = nil
        connection.close()
        giveBack(connection.slot)
    }

    private func giveBack(_ slot: Int) {
        if let next = pool.closed(slot, now: now) { opens.append(next) }
    }

    /// Closes what the pool has forgotten by itself.
    func closeForgotten(_ slot: Int) {
        connections[slot]?.close()
        connections[slot] = nil
    }
}
