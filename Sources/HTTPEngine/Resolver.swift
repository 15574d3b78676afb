// DNS by c-ares, served by the engine's own loop: its sockets are in the same epoll, its time-outs in the same wait.
// Lookups of one name are merged. Answers are collected and handed out by the loop, never from inside a c-ares call,
// because c-ares calls back at once for what /etc/hosts knows.
internal import CAres
internal import CLinux
internal import Core
internal import Glibc
internal import Runtime

final class Resolver {
    struct Answer {
        let name: String
        let resolution: Resolution
        let seconds: Int
    }

    private static let queryMilliseconds: Int32 = 1500
    private static let tries: Int32 = 3

    private let channel: OpaquePointer
    private var registered: Set<Int32> = []
    private var answers: [Answer] = []
    private var lookups: [String: NameLookup] = [:]
    /// Those of them with one half that is answer enough in a moment.
    private var halfKnown: [String] = []
    private(set) var pending = 0
    /// Set by the owner before the first lookup; called for each change of a socket c-ares wants watched.
    var watch: ((_ descriptor: Int32, _ readable: Bool, _ writable: Bool, _ isNew: Bool) -> Void)?

    private init(_ channel: OpaquePointer) { self.channel = channel }

    /// Refuses settings c-ares cannot use; called before a thread depends on it.
    static func check(nameservers: [String]) throws(HTTPEngineFault) {
        _ = try Resolver.make(nameservers: nameservers)
    }

    static func make(nameservers: [String]) throws(HTTPEngineFault) -> Resolver {
        ares_library_init(ARES_LIB_INIT_ALL)
        var options = ares_options()
        // The name is complete: search domains of resolv.conf would make it another one.
        options.flags = ARES_FLAG_NOSEARCH
        options.timeout = queryMilliseconds
        options.tries = tries
        let relay = CallbackRelay()
        options.sock_state_cb = { data, descriptor, readable, writable in
            Unmanaged<CallbackRelay>.fromOpaque(data!).takeUnretainedValue()
                .resolver?.socketChanged(descriptor, readable != 0, writable != 0)
        }
        options.sock_state_cb_data = Unmanaged.passUnretained(relay).toOpaque()
        var channel: OpaquePointer?
        let mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB
        let status = ares_init_options(&channel, &options, Int32(mask))
        guard status == Int32(ARES_SUCCESS), let channel else { throw .resolver(text(status)) }
        if !nameservers.isEmpty {
            let status = ares_set_servers_ports_csv(channel, nameservers.joined(separator: ","))
            guard status == Int32(ARES_SUCCESS) else {
                ares_destroy(channel)
                throw .resolver(text(status))
            }
        }
        let resolver = Resolver(channel)
        relay.resolver = resolver
        resolver.relay = relay
        return resolver
    }

    /// c-ares wants its context before there is a resolver to point at.
    private final class CallbackRelay {
        weak var resolver: Resolver?
    }
    private var relay: CallbackRelay?

    deinit { ares_destroy(channel) }

    // MARK: Lookups

    /// What a callback needs: whom to tell and about what.
    private final class Question {
        let resolver: Resolver
        let name: String
        let isV6: Bool
        init(_ resolver: Resolver, _ name: String, isV6: Bool) {
            self.resolver = resolver
            self.name = name
            self.isV6 = isV6
        }
    }

    /// Starts a lookup; its answer comes out of `takeAnswers`, perhaps at once. One whose other half is still missing is
    /// not asked again.
    func ask(_ name: String) {
        if let known = lookups[name]?.known {
            answers.append(Answer(name: name, resolution: known.resolution, seconds: known.seconds))
        }
        guard lookups[name] == nil else { return }
        lookups[name] = NameLookup()
        ask(name, isV6: true)
        ask(name, isV6: false)
    }

    private func ask(_ name: String, isV6: Bool) {
        pending += 1
        var hints = ares_addrinfo_hints()
        hints.ai_family = isV6 ? AF_INET6 : AF_INET
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        // Sorting by c-ares opens a socket per address: 200 addresses would be 200 sockets.
        hints.ai_flags = ARES_AI_NOSORT
        let question = Unmanaged.passRetained(Question(self, name, isV6: isV6)).toOpaque()
        ares_getaddrinfo(
            channel, name, nil, &hints,
            { argument, status, _, info in
                let question = Unmanaged<Question>.fromOpaque(argument!).takeRetainedValue()
                question.resolver.finished(question, status, info)
            }, question)
    }

    private func finished(_ question: Question, _ status: Int32, _ info: UnsafeMutablePointer<ares_addrinfo>?) {
        defer { if let info { ares_freeaddrinfo(info) } }
        pending -= 1
        let name = question.name
        guard var lookup = lookups.removeValue(forKey: name) else { return }
        let answer = lookup.finished(
            isV6: question.isV6, Self.half(status, info, isV6: question.isV6), now: Clock.monotonic())
        if let answer { answers.append(Answer(name: name, resolution: answer.resolution, seconds: answer.seconds)) }
        guard !lookup.isComplete else { return }
        lookups[name] = lookup
        if lookup.answerDue != nil { halfKnown.append(name) }
    }

    private static func half(_ status: Int32, _ info: UnsafeMutablePointer<ares_addrinfo>?, isV6: Bool)
        -> NameLookup.Half
    {
        guard status == Int32(ARES_SUCCESS), let info else { return .failed(failure(status)) }
        var addresses: [IPAddress] = []
        var seconds = Int(Int32.max)
        var node = info.pointee.nodes
        while let current = node {
            node = current.pointee.ai_next
            seconds = min(seconds, Int(current.pointee.ai_ttl))
            // A mapped address in an AAAA record is IPv4 as far as anything here is concerned, and is judged as such.
            guard let name = current.pointee.ai_addr, let address = Socket.address(name) else { continue }
            addresses.append(address)
        }
        return addresses.isEmpty ? .failed(.dnsNotFound) : .addresses(addresses, seconds: seconds)
    }

    private static func failure(_ status: Int32) -> AttemptFailure {
        switch status {
        case Int32(ARES_ENOTFOUND), Int32(ARES_ENODATA), Int32(ARES_ENONAME), Int32(ARES_EBADNAME): .dnsNotFound
        case Int32(ARES_ETIMEOUT): .dnsTimeout
        default: .dnsFailed
        }
    }

    private static func text(_ status: Int32) -> String { String(cString: ares_strerror(status)) }

    func takeAnswers(now: UInt64) -> [Answer] {
        if !halfKnown.isEmpty {
            for name in halfKnown {
                guard let answer = lookups[name]?.takeDue(now: now) else { continue }
                answers.append(Answer(name: name, resolution: answer.resolution, seconds: answer.seconds))
            }
            halfKnown.removeAll { lookups[$0]?.answerDue == nil }
        }
        guard !answers.isEmpty else { return [] }
        defer { answers = [] }
        return answers
    }

    /// Ends every lookup; their answers say that they failed.
    func cancel() { ares_cancel(channel) }

    // MARK: The loop's part

    private func socketChanged(_ descriptor: Int32, _ readable: Bool, _ writable: Bool) {
        let isNew = readable || writable ? registered.insert(descriptor).inserted : false
        if !readable && !writable { registered.remove(descriptor) }
        watch?(descriptor, readable, writable, isNew)
    }

    func process(_ descriptor: Int32, readable: Bool, writable: Bool) {
        ares_process_fd(channel, readable ? descriptor : -1, writable ? descriptor : -1)
    }

    /// Serves time-outs.
    func tick() { ares_process_fd(channel, -1, -1) }

    /// When `tick` or `takeAnswers` is needed; nil without lookups.
    func nextLook(now: UInt64) -> UInt64? {
        guard pending > 0 else { return nil }
        var next = UInt64.max
        var result = timeval()
        if ares_timeout(channel, nil, &result) != nil {
            next = now + UInt64(result.tv_sec) * 1_000_000_000 + UInt64(result.tv_usec) * 1000
        }
        for name in halfKnown { if let due = lookups[name]?.answerDue { next = min(next, due) } }
        return next == .max ? nil : next
    }
}
