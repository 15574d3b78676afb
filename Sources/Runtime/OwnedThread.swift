// One named pthread that owns its handles. Blocking C calls never run on Swift's cooperative pool.
internal import CLinux
internal import Glibc
internal import Synchronization

package final class OwnedThread: @unchecked Sendable {
    // @unchecked: `thread` is written once in init before the object is shared, and joined once by its owner.
    private let thread: pthread_t
    private let isJoined = Atomic(false)

    /// Starts `body` on a thread of its own.
    /// - Parameter name: shown by `ps -L` and `perf`; the kernel keeps 15 bytes.
    package init(name: String, _ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Body(name: name, run: body))
        var thread = pthread_t()
        let status = pthread_create(&thread, nil, threadMain, box.toOpaque())
        precondition(status == 0, "pthread_create failed: out of threads or memory")
        self.thread = thread
    }

    /// Waits for the thread's end. Called exactly once, not from the thread itself.
    package func join() {
        isJoined.store(true, ordering: .relaxed)
        pthread_join(thread, nil)
    }

    /// A thread that nobody waits for gives its stack back by itself.
    deinit { if !isJoined.load(ordering: .relaxed) { pthread_detach(thread) } }
}

private final class Body: Sendable {
    let name: String
    let run: @Sendable () -> Void
    init(name: String, run: @escaping @Sendable () -> Void) {
        self.name = name
        self.run = run
    }
}

private func threadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    let body = Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue()
    _ = pthread_setname_np(pthread_self(), String(body.name.prefix(15)))
    body.run()
    return nil
}
