// A value behind a lock that ThreadSanitizer can see. Synchronization's Mutex takes its futex in a library that is not
// instrumented, so that what it guards is told for a race; pthread's lock costs a few nanoseconds more a batch.
internal import Glibc

package final class Guarded<Value>: @unchecked Sendable {
    // @unchecked: the value is touched with the lock held, and nowhere else.
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private var value: Value

    package init(_ value: sending Value) {
        lock = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
        self.value = value
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    /// - Parameter body: short, and never takes another lock.
    package func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return try body(&value)
    }
}
