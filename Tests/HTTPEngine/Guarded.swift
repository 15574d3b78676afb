// State that a test shares between threads. ThreadSanitizer sees pthread's locks; Synchronization's Mutex takes its futex
// in a library that is not instrumented, and would be told for a race.
import Glibc

final class Guarded<Value>: @unchecked Sendable {
    // @unchecked: the value is touched with the lock held, and nowhere else.
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private var value: Value

    init(_ value: sending Value) {
        lock = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
        self.value = value
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body(&value)
    }
}
