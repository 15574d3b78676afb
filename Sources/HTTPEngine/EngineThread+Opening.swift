// How an attempt comes by a new connection: the addresses of its name race, the first to stand is taken.
internal import Core
internal import Glibc

extension EngineThread {
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

    /// Begins with the attempt's own address; others may follow before this one stands.
    func open(_ attempt: Attempt, _ slot: Int) {
        guard let key = attempt.key else { preconditionFailure("an attempt without an address") }
        attempt.phase = .connecting
        attempt.race.began(key.address, now: now)
        guard connect(attempt, key, slot) else { return }
        advance(attempt)
    }

    /// Begins with every further address that is due, and sees to it that the next one gets its turn.
    func advance(_ attempt: Attempt) {
        guard let key = attempt.key else { return }
        while let address = attempt.race.next(now: now) {
            let next = PoolKey(host: key.host, port: key.port, isTLS: key.isTLS, address: address)
            switch pool.acquire(next, attempt: attempt.index, now: now, mayWait: false) {
            case .reuse(let slot):
                guard let connection = connections[slot] else {
                    preconditionFailure("the pool lent a closed connection")
                }
                closeRacers(attempt)
                wheel.set(attempt.index, at: attempt.deadline)
                return begin(attempt, on: connection)
            case .open(let slot, let evicted):
                if let evicted { closeForgotten(evicted) }
                guard connect(attempt, next, slot) else { return }
            case .wait: attempt.race.failed(now: now)
            }
        }
        if attempt.racers.isEmpty {
            return finish(
                attempt, .failed(attempt.connectFailure), attempt.isExhausted ? .beforeSending : .none)
        }
        wheel.set(attempt.index, at: min(attempt.deadline, attempt.race.nextStart ?? .max))
    }

    /// Begins a connection; false if that was the end of the attempt.
    private func connect(_ attempt: Attempt, _ key: PoolKey, _ slot: Int) -> Bool {
        // It may have waited, and the policy changed meanwhile.
        guard isAllowed(key.address, key.port) else {
            giveBack(slot)
            finish(attempt, .failed(.addressDenied))
            return false
        }
        switch connect(key) {
        case .failed(let failure):
            giveBack(slot)
            attempt.connectFailure = failure
            attempt.isExhausted = false
            attempt.race.failed(now: now)
        case .exhausted:
            giveBack(slot)
            exhausted(attempt)
        case .connecting(let descriptor):
            generation &+= 1
            let connection = Connection(slot: slot, generation: generation, descriptor: descriptor, key: key)
            guard poller.addEdge(descriptor, .connection(slot: slot, generation: generation)) else {
                close(descriptor)
                giveBack(slot)
                exhausted(attempt)
                return true
            }
            while connections.count <= slot { connections.append(nil) }
            connections[slot] = connection
            connection.attempt = attempt
            attempt.racers.append(connection)
            counters.connects += 1
            counters.connectionsOpening += 1
        }
        return true
    }

    private func exhausted(_ attempt: Attempt) {
        attempt.connectFailure = .connectFailed
        attempt.isExhausted = true
        attempt.race.failed(now: now)
    }

    /// Out of descriptors or ports, an idle connection is worth less than a new one.
    private func connect(_ key: PoolKey) -> Socket.OpenResult {
        let source = configuration.sourceAddresses.first { $0.isV4 == key.address.isV4 }
        let result = Socket.connect(to: key.address, port: key.port, from: source)
        guard case .exhausted = result, let idle = pool.takeOldestIdle() else { return result }
        closeForgotten(idle)
        return Socket.connect(to: key.address, port: key.port, from: source)
    }

    /// The attempt has its connection, or its end: the others are not needed.
    func closeRacers(_ attempt: Attempt) {
        while let loser = attempt.racers.popLast() {
            loser.attempt = nil
            drop(loser)
        }
    }

    func connectFailed(_ connection: Connection, _ failure: AttemptFailure) {
        guard let attempt = connection.attempt else { return drop(connection) }
        detach(connection)
        drop(connection)
        attempt.connectFailure = failure
        attempt.isExhausted = false
        attempt.race.failed(now: now)
        advance(attempt)
    }

    /// The first of the attempt's connections that stands; the others go.
    func established(_ connection: Connection) {
        guard let attempt = connection.attempt, let url = attempt.request?.endpoint.url else { return }
        attempt.racers.removeAll { $0 === connection }
        closeRacers(attempt)
        attempt.connection = connection
        wheel.set(attempt.index, at: attempt.deadline)
        guard connection.key.isTLS else { return send(connection) }
        guard let stream = tls.stream(over: connection.descriptor, connection.key, serverName: url.serverName) else {
            return fail(connection, .tlsFailed)
        }
        connection.tls = stream
        connection.phase = .handshaking
        attempt.phase = .handshaking
        shakeHands(connection)
    }
}
