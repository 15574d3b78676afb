// epoll, and what its 64 bits of user data mean here.
internal import CLinux
internal import Glibc

/// What an event is about.
enum PollTag {
    case wake
    case resolver(descriptor: Int32)
    /// The generation tells an event of a connection from one of its predecessor in the same slot.
    case connection(slot: Int, generation: UInt32)

    private static let kindShift: UInt64 = 62

    var raw: UInt64 {
        switch self {
        case .connection(let slot, let generation): UInt64(generation) << 30 & (1 << 62 - 1) | UInt64(slot)
        case .wake: 1 << Self.kindShift
        case .resolver(let descriptor): 2 << Self.kindShift | UInt64(descriptor)
        }
    }

    init(raw: UInt64) {
        switch raw >> Self.kindShift {
        case 0: self = .connection(slot: Int(raw & (1 << 30 - 1)), generation: UInt32(truncatingIfNeeded: raw >> 30))
        case 1: self = .wake
        default: self = .resolver(descriptor: Int32(truncatingIfNeeded: raw))
        }
    }
}

struct PollFlags {
    let raw: UInt32
    var isReadable: Bool { raw & EPOLLIN.rawValue != 0 }
    var isWritable: Bool { raw & EPOLLOUT.rawValue != 0 }
    /// The peer has closed its half, or the connection is broken.
    var hasEnded: Bool { raw & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 }
}

/// Owned by one thread.
struct Poller: ~Copyable {
    private static let capacity = 512

    private let descriptor: Int32
    private let events: UnsafeMutablePointer<epoll_event>

    init() {
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        precondition(descriptor >= 0, "epoll_create1 failed: out of file descriptors")
        events = .allocate(capacity: Self.capacity)
    }

    deinit {
        close(descriptor)
        events.deallocate()
    }

    /// Registered once with edge triggers for both directions: no further call however the connection is used.
    func addEdge(_ socket: Int32, _ tag: PollTag) -> Bool {
        control(
            EPOLL_CTL_ADD, socket, EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue, tag)
    }

    func add(_ socket: Int32, readable: Bool, writable: Bool, _ tag: PollTag) {
        _ = control(EPOLL_CTL_ADD, socket, levels(readable, writable), tag)
    }

    func change(_ socket: Int32, readable: Bool, writable: Bool, _ tag: PollTag) {
        _ = control(EPOLL_CTL_MOD, socket, levels(readable, writable), tag)
    }

    func remove(_ socket: Int32) { epoll_ctl(descriptor, EPOLL_CTL_DEL, socket, nil) }

    private func levels(_ readable: Bool, _ writable: Bool) -> UInt32 {
        (readable ? EPOLLIN.rawValue : 0) | (writable ? EPOLLOUT.rawValue : 0)
    }

    private func control(_ operation: Int32, _ socket: Int32, _ flags: UInt32, _ tag: PollTag) -> Bool {
        var event = epoll_event()
        event.events = flags
        event.data.u64 = tag.raw
        return epoll_ctl(descriptor, operation, socket, &event) == 0
    }

    /// Waits; the number of events. What interrupts the wait may have taken long (SIGSTOP does both): then what happened
    /// meanwhile is looked for, or answers that are here would be taken for late.
    func wait(milliseconds: Int32) -> Int {
        var count = epoll_wait(descriptor, events, Int32(Self.capacity), milliseconds)
        while count < 0, errno == EINTR { count = epoll_wait(descriptor, events, Int32(Self.capacity), 0) }
        return max(0, Int(count))
    }

    func event(_ position: Int) -> (PollTag, PollFlags) {
        (PollTag(raw: events[position].data.u64), PollFlags(raw: events[position].events))
    }
}
