// How often something was asked for, by whom, in windows of a minute: what the API's limits count with.

/// What one count came to.
package struct RateVerdict: Equatable, Sendable {
    package let isAllowed: Bool
    package let limit: Int
    /// What is left until the window's end.
    package let remaining: Int
    /// Until the window's end.
    package let resetNanoseconds: UInt64

    /// Whole seconds until the window's end, at least one.
    package var retrySeconds: Int { Int((resetNanoseconds + 999_999_999) / 1_000_000_000) }
}

/// Counts by key. A key's window begins with its first count and lasts a minute; at most `mostKeys` are remembered. When
/// there are more, windows that are over go, and where that is not half of them, all go: then the limit is too generous for
/// once, which is better than one that newcomers cannot pass.
package struct RateWindows<Key: Hashable & Sendable>: Sendable {
    private struct Window {
        var began: UInt64
        var count: Int
    }

    package let limit: Int
    private let mostKeys: Int
    private var windows: [Key: Window] = [:]

    package static var windowNanoseconds: UInt64 { 60_000_000_000 }

    /// - Parameter limit: a minute; at least 1.
    package init(limit: Int, mostKeys: Int = 65_536) {
        precondition(limit > 0 && mostKeys > 0, "a limit of nothing is no limit")
        self.limit = limit
        self.mostKeys = mostKeys
    }

    package var keys: Int { windows.count }

    /// Counts once more.
    /// - Parameter now: monotonic nanoseconds; may be a moment behind an earlier one, as two threads' may.
    package mutating func take(_ key: Key, now: UInt64) -> RateVerdict {
        var window = windows[key] ?? Window(began: now, count: 0)
        if isOver(window, now) { window = Window(began: now, count: 0) }
        let isAllowed = window.count < limit
        if isAllowed { window.count += 1 }
        if windows.count >= mostKeys, windows[key] == nil { forget(now) }
        windows[key] = window
        return RateVerdict(
            isAllowed: isAllowed, limit: limit, remaining: limit - window.count,
            resetNanoseconds: window.began + Self.windowNanoseconds - now)
    }

    private func isOver(_ window: Window, _ now: UInt64) -> Bool { now >= window.began + Self.windowNanoseconds }

    private mutating func forget(_ now: UInt64) {
        windows = windows.filter { !isOver($0.value, now) }
        if windows.count > mostKeys / 2 { windows = [:] }
    }
}
