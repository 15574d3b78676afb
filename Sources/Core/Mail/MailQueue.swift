// The order of mails that wait for their server: as they came, but for those that the server puts off for what they are. Such
// a one stands aside with waits of its own, and the others go on. Without clock and I/O: the sender's thread does what it says.

package struct MailQueue<Job: Sendable>: Sendable {
    /// That stand aside at most. While as many do, one more that is put off keeps its place before the others.
    package static var mostAside: Int { 192 }

    package enum Step: Sendable {
        case `try`(Job)
        /// Nothing is to be tried before this moment, monotonic nanoseconds.
        case wait(until: UInt64)
        case nothing
    }

    private struct Entry: Sendable {
        let job: Job
        var backoff = MailBackoff()
        var nextTry: UInt64 = 0
        /// When the server first put it off; 0 while it has not.
        var putOffSince: UInt64 = 0

        mutating func postpone(_ now: UInt64, byServer: Bool) {
            nextTry = now + backoff.wait()
            if byServer, putOffSince == 0 { putOffSince = now }
        }
    }

    private var waiting: [Entry] = []
    private var aside: [Entry] = []
    private var backoff = MailBackoff()
    /// While the server does not work nobody is tried before this.
    private var pausedUntil: UInt64 = 0
    /// What the last step said to try, and where it stands: in ``aside`` at an index, or first in ``waiting``.
    private var tried: (isAside: Bool, index: Int)?
    /// Those that wait for the first time and those that stand aside take turns, so that neither starves.
    private var asideIsNext = false

    package init() {}

    package var count: Int { waiting.count + aside.count }
    package var asideCount: Int { aside.count }

    package mutating func add(_ job: Job) { waiting.append(Entry(job: job)) }

    /// The next mail to try; one of the functions below says what came of it.
    /// - Parameter now: monotonic nanoseconds.
    package mutating func next(now: UInt64) -> Step {
        tried = nil
        guard count > 0 else { return .nothing }
        guard now >= pausedUntil else { return .wait(until: pausedUntil) }
        let due = aside.indices.filter { aside[$0].nextTry <= now }.min { aside[$0].nextTry < aside[$1].nextTry }
        let isFirstReady = waiting.first.map { $0.nextTry <= now } ?? false
        if let due, asideIsNext || !isFirstReady {
            asideIsNext = false
            tried = (true, due)
            return .try(aside[due].job)
        }
        if isFirstReady {
            asideIsNext = true
            tried = (false, 0)
            return .try(waiting[0].job)
        }
        return .wait(until: min(waiting.first?.nextTry ?? .max, aside.lazy.map(\.nextTry).min() ?? .max))
    }

    /// How long ago the server first put the tried one off, nanoseconds.
    package func putOffFor(now: UInt64) -> UInt64 {
        guard let tried else { return 0 }
        let since = tried.isAside ? aside[tried.index].putOffSince : waiting[tried.index].putOffSince
        return since == 0 ? 0 : now - since
    }

    /// The tried one has come to its end; by the server's word where it was asked.
    package mutating func ended(serverAnswered: Bool) {
        guard let tried else { return }
        _ = take(tried)
        if serverAnswered { answered() }
    }

    /// The tried one is to be tried again, and so would all others be: everybody waits.
    package mutating func paused(now: UInt64) {
        guard tried != nil else { return }
        tried = nil
        pausedUntil = now + backoff.wait()
    }

    /// The tried one is put off for what it is.
    /// - Parameter byServer: whether the server said so, and so works.
    package mutating func setAside(now: UInt64, byServer: Bool) {
        guard let tried else { return }
        if byServer { answered() }
        if !tried.isAside, aside.count >= Self.mostAside {
            self.tried = nil
            return waiting[0].postpone(now, byServer: byServer)
        }
        var entry = take(tried)
        entry.postpone(now, byServer: byServer)
        aside.append(entry)
    }

    /// Takes out what is not to be tried any more.
    package mutating func takeOut(where isOver: (Job) -> Bool) -> [Job] {
        tried = nil
        let over = waiting.filter { isOver($0.job) } + aside.filter { isOver($0.job) }
        guard !over.isEmpty else { return [] }
        waiting.removeAll { isOver($0.job) }
        aside.removeAll { isOver($0.job) }
        answered()
        return over.map(\.job)
    }

    private mutating func answered() {
        backoff.reset()
        pausedUntil = 0
    }

    private mutating func take(_ place: (isAside: Bool, index: Int)) -> Entry {
        tried = nil
        return place.isAside ? aside.remove(at: place.index) : waiting.remove(at: place.index)
    }
}
