// SIGTERM, SIGINT and SIGHUP as something to wait for. Blocked in every thread, so that no handler interrupts anything.
internal import CLinux
internal import Glibc

struct StopSignals {
    /// What a signal asks for.
    enum Request {
        /// SIGTERM or SIGINT.
        case stop
        /// SIGHUP: read the mapping files again.
        case reload
    }

    private let descriptor: Int32

    /// Before any thread is started, so that all of them inherit the mask.
    init() {
        var mask = sigset_t()
        sigemptyset(&mask)
        for signal in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&mask, signal) }
        pthread_sigmask(SIG_BLOCK, &mask, nil)
        descriptor = signalfd(-1, &mask, Int32(SFD_NONBLOCK | SFD_CLOEXEC))
    }

    /// Waits for a signal until the time is over.
    func next(milliseconds: Int32) -> Request? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, milliseconds) > 0 else { return nil }
        var information = signalfd_siginfo()
        guard read(descriptor, &information, MemoryLayout<signalfd_siginfo>.size) > 0 else { return nil }
        return information.ssi_signo == UInt32(SIGHUP) ? .reload : .stop
    }

    /// Waits until the process is asked to stop, or the time is over; for commands that have nothing to reload.
    /// - Returns: whether it was asked to.
    func wait(milliseconds: Int32) -> Bool { next(milliseconds: milliseconds) == .stop }
}
