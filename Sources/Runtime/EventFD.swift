// A wake-up for an owner thread: an eventfd that other threads signal and its epoll waits for.
internal import CLinux
internal import Glibc

package final class EventFD: Sendable {
    package let descriptor: Int32

    package init() {
        descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        precondition(descriptor >= 0, "eventfd failed: out of file descriptors")
    }

    deinit { close(descriptor) }

    /// Wakes the owner; never blocks, any thread.
    package func signal() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Takes back all signals so far; the owner calls it after a wake-up and before it looks for work.
    package func clear() {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
    }

    /// Blocks until a signal comes or the time is over.
    package func wait(milliseconds: Int) {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        _ = poll(&entry, 1, Int32(clamping: milliseconds))
    }
}
