// A connection each needs a descriptor, and the usual soft limit of 1,024 is less than the engine and the API may open.
internal import Glibc

package enum FileDescriptors {
    /// Raises the soft limit to the hard one.
    /// - Returns: how many descriptors the process may have.
    @discardableResult
    package static func raiseLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }
}
