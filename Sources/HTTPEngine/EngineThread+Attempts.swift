// An attempt's way: name, judged address, connection, exchange, result. Exactly one result each, whatever happens.
internal import Core
internal import Runtime

extension EngineThread {
    // MARK: Start

    func start(_ request: HTTPRequest) {
        assertOwned()
        let attempt = takeAttempt()
        attempt.startedAt = now
        attempt.startedAtWall = wall
        attempt.deadline = now + UInt64(max(request.timeoutMilliseconds, 1)) * 1_000_000
        attempt.request = request
        counters.inFlight += 1
        wheel.set(attempt.index, at: attempt.deadline)
        if let lease = request.lease, lease.isOver(at: now) { return finishTooLate(attempt) }
        if request.endpoint.literal.isEmpty {
            resolve(attempt, request.endpoint.url.host)
        } else {
            use(request.endpoint.literal, attempt)
        }
    }

    private func takeAttempt() -> Attempt {
        if let free = freeAttempts.popLast() { return attempts[free] }
        let attempt = Attempt(index: attempts.count)
        attempts.append(attempt)
        return attempt
    }

    func isAllowed(_ address: IPAddress, _ port: UInt16) -> Bool {
        if case .denied = policy.judge(address, port: port) {
            counters.addressesDenied += 1
            return false
        }
        return true
    }

    // MARK: Names

    private func resolve(_ attempt: Attempt, _ name: String) {
        if let known = cache.find(name, now: now) {
            counters.dnsCacheHits += 1
            return use(known, attempt)
        }
        attempt.phase = .resolving
        if waitingForName[name] != nil {
            waitingForName[name]!.append(attempt.index)
        } else {
            waitingForName[name] = [attempt.index]
            counters.dnsQueries += 1
            resolver.ask(name)
        }
    }

    func resolved(_ answer: Resolver.Answer) {
        cache.keep(answer.resolution, for: answer.name, seconds: answer.seconds, now: now)
        // None when the name's second family answers after the first one was enough.
        guard let waiting = waitingForName.removeValue(forKey: answer.name) else { return }
        counters.count(answer.resolution)
        for index in waiting { use(answer.resolution, attempts[index]) }
    }

    private func use(_ resolution: Resolution, _ attempt: Attempt) {
        switch resolution {
        case .failed(let failure): finish(attempt, .failed(failure))
        case .addresses(let addresses): use(addresses, attempt)
        }
    }

    private func use(_ addresses: [IPAddress], _ attempt: Attempt) {
        guard let url = attempt.request?.endpoint.url else { return }
        // One denied address denies the name: who mixes them is not to be trusted with the others.
        for address in addresses where !isAllowed(address, url.port) {
            return finish(attempt, .failed(.addressDenied))
        }
        attempt.race = AddressRace(addresses)
        var key = PoolKey(host: url.host, port: url.port, isTLS: url.isTLS, address: addresses[0])
        // Any connection there is beats opening one to the first address.
        if addresses.count > 1 {
            for address in attempt.race.candidates {
                let candidate = PoolKey(host: url.host, port: url.port, isTLS: url.isTLS, address: address)
                guard pool.hasIdle(candidate) else { continue }
                key = candidate
                break
            }
        }
        attempt.key = key
        lease(attempt)
    }

    // MARK: Connections

    /// Gets the attempt a connection to its address: an idle one, a new one, or a place in the queue.
    func lease(_ attempt: Attempt) {
        guard let key = attempt.key else { return }
        switch pool.acquire(key, attempt: attempt.index, owner: attempt.owner, now: now) {
        case .reuse(let slot):
            guard let connection = connections[slot] else { preconditionFailure("the pool lent a closed connection") }
            begin(attempt, on: connection)
        case .open(let slot, let evicted):
            if let evicted { closeForgotten(evicted) }
            open(attempt, slot)
        case .wait:
            attempt.phase = .waiting
            attempt.waitingSince = now
        }
    }

    func begin(_ attempt: Attempt, on connection: Connection) {
        endWaiting(attempt)
        attempt.connection = connection
        attempt.isReused = true
        connection.attempt = attempt
        counters.reuses += 1
        send(connection)
    }

    /// Our own queue is not the receiver's fault: the clock stood still meanwhile.
    func endWaiting(_ attempt: Attempt) {
        guard attempt.phase == .waiting else { return }
        let waited = now - attempt.waitingSince
        attempt.startedAt += waited
        attempt.startedAtWall += Int64(waited / 1_000_000)
        attempt.deadline += waited
        wheel.set(attempt.index, at: attempt.deadline)
    }

    // MARK: Ends

    func timedOut(_ attempt: Attempt) {
        switch attempt.phase {
        case .free: return
        case .resolving:
            forgetName(attempt)
            finish(attempt, .failed(.dnsTimeout))
        case .waiting:
            leaveQueue(attempt)
            finish(attempt, .failed(.connectTimeout), .beforeSending)
        case .connecting:
            if now < attempt.deadline { return advance(attempt) }
            finish(attempt, .failed(.connectTimeout))
        case .handshaking:
            closeConnection(of: attempt)
            finish(attempt, .failed(.tlsTimeout))
        case .exchanging:
            let connection = attempt.connection
            closeConnection(of: attempt)
            let status = connection?.reader.status
            finish(attempt, status.map { .answered(status: $0) } ?? .failed(.responseTimeout), .none, connection)
        }
    }

    /// Whoever asked for it may have lost the right to it while it waited for its name, a connection or a handshake.
    func finishTooLate(_ attempt: Attempt) {
        closeConnection(of: attempt)
        counters.startsTooLate += 1
        finish(attempt, .failed(.connectionClosed), .tooLate)
    }

    private func closeConnection(of attempt: Attempt) {
        guard let connection = attempt.connection else { return }
        detach(connection)
        drop(connection)
    }

    func cancelAll() {
        assertOwned()
        for attempt in attempts where attempt.phase != .free {
            if attempt.phase == .waiting { leaveQueue(attempt) }
            if attempt.phase == .resolving { forgetName(attempt) }
            let wasSent = attempt.phase == .exchanging
            let connection = attempt.connection
            let status = wasSent ? connection?.reader.status : nil
            if let connection {
                detach(connection)
                drop(connection)
            }
            if let status {
                finish(attempt, .answered(status: status), .none, connection)
            } else {
                finish(attempt, .failed(.connectionClosed), wasSent ? .afterSending : .beforeSending)
            }
        }
    }

    private func leaveQueue(_ attempt: Attempt) {
        if let key = attempt.key { pool.cancelWaiting(attempt.index, owner: attempt.owner, key: key) }
        // It may have been called up in this very turn; then its slot goes back.
        guard let position = opens.firstIndex(where: { $0.attempt == attempt.index }) else { return }
        let slot = opens.remove(at: position).slot
        if let next = pool.closed(slot, now: now) { opens.append(next) }
    }

    private func forgetName(_ attempt: Attempt) {
        guard let name = attempt.request?.endpoint.url.host else { return }
        waitingForName[name]?.removeAll { $0 == attempt.index }
    }

    /// The result, unless it is out already, and the end of the attempt.
    func finish(
        _ attempt: Attempt, _ outcome: Outcome, _ cancellation: HTTPResult.Cancellation = .none,
        _ connection: Connection? = nil
    ) {
        if !attempt.isEmitted { emit(attempt, outcome, cancellation, connection) }
        closeRacers(attempt)
        wheel.cancel(attempt.index)
        attempt.reset()
        freeAttempts.append(attempt.index)
    }

    func emit(
        _ attempt: Attempt, _ outcome: Outcome, _ cancellation: HTTPResult.Cancellation = .none,
        _ connection: Connection? = nil
    ) {
        guard let token = attempt.request?.token else { preconditionFailure("a result without a request") }
        attempt.isEmitted = true
        counters.inFlight -= 1
        let kept = outcome.isSuccess && connection?.reader.keepsSuccess != true ? nil : connection
        results.append(
            HTTPResult(
                token: token, outcome: outcome, cancellation: cancellation, startedAtWall: attempt.startedAtWall,
                durationMicroseconds: Int(((attempt.headAt ?? now) - attempt.startedAt) / 1000),
                retryAfterSeconds: kept?.reader.retryAfter?.seconds(atWallMilliseconds: wall),
                responseHead: kept?.reader.keptHead ?? [], bodyPrefix: kept?.reader.keptBody ?? [],
                reusedConnection: attempt.isReused))
    }

    /// For a request that came when the engine had stopped.
    func refuse(_ request: HTTPRequest) { results.append(EngineShard.refusal(request)) }
}
