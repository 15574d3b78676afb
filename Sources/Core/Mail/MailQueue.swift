// The order of mails that wait for their server: as they came, but for those that the server puts off for what they are. Such
// a one stands aside with waits of its own, and the others go on. A server that fails holds all of them up; whether it is the
// server or the mail is found out with another mail. Without clock and I/O: the sender's thread does what it says.

package struct MailQueue<Job: Sendable>: Sendable {
    /// That stand aside at most. While as many do, one more that is put off keeps its place before the others.
    package static var mostAside: Int { 192 }
    /// Failures of one mail after which another one is tried, to tell the mail from the server.
    private static var failuresOfOne: Int { 3 }
    /// A mail that took long to fail waits for so many times that long at least: the others get most of the time.
    private static var restsATry: UInt64 { 4 }
    /// Without an answer to any mail for so long, the server is away for all, and no mail is to blame.
    private static var silentNanoseconds: UInt64 { MailTry.shortestDeferralNanoseconds }

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
        /// Tries since the server last answered to it.
        var failures = 0
        /// It failed, and no mail was answered since.
        var isDoubtful = false
        /// Since when its failures are known to be its own; 0 while they are not.
        var blamedSince: UInt64 = 0

        /// Whole rounds of failures: who has fewest is tried first.
        var rounds: Int { failures / MailQueue.failuresOfOne }

        mutating func postpone(_ now: UInt64, byServer: Bool, took: UInt64 = 0) {
            nextTry = now + max(backoff.wait(), took * MailQueue.restsATry)
            guard byServer else { return }
            if putOffSince == 0 { putOffSince = now }
            (failures, isDoubtful, blamedSince) = (0, false, 0)
        }
    }

    private var waiting: [Entry] = []
    private var aside: [Entry] = []
    private var backoff = MailBackoff()
    /// While the server does not work nobody is tried before this.
    private var pausedUntil: UInt64 = 0
    /// What the last step said to try, and where it stands: in ``aside`` at an index, or first in ``waiting``.
    private var tried: (isAside: Bool, index: Int)?
    /// When the server last answered to any mail; 0 for never.
    private var lastAnswer: UInt64 = 0
    /// The last try failed: the next ones find out whose fault it is.
    private var isFailing = false
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
        if isFailing, let place = leastFailed(now) {
            tried = place
            return .try(place.isAside ? aside[place.index].job : waiting[place.index].job)
        }
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

    /// Who is tried while the server fails: one mail a few times, then the next one. nil while none is ready.
    private func leastFailed(_ now: UInt64) -> (isAside: Bool, index: Int)? {
        func rank(_ entry: Entry) -> (Int, Int) { (entry.rounds, entry.failures % Self.failuresOfOne == 0 ? 1 : 0) }
        let first = waiting.indices.filter { waiting[$0].nextTry <= now }.min { rank(waiting[$0]) < rank(waiting[$1]) }
        let due = aside.indices.filter { aside[$0].nextTry <= now }.min { rank(aside[$0]) < rank(aside[$1]) }
        guard let first else { return due.map { (true, $0) } }
        guard let due, rank(aside[due]) < rank(waiting[first]) else { return (false, first) }
        return (true, due)
    }

    private var triedEntry: Entry? { tried.map { $0.isAside ? aside[$0.index] : waiting[$0.index] } }

    /// How long ago the server first put the tried one off, nanoseconds.
    package func putOffFor(now: UInt64) -> UInt64 { Self.span(triedEntry?.putOffSince, now) }

    /// For how long the tried one's failures are known to be its own, nanoseconds.
    package func blamedFor(now: UInt64) -> UInt64 {
        isSilent(now) ? 0 : Self.span(triedEntry?.blamedSince, now)
    }

    private func isSilent(_ now: UInt64) -> Bool { now > lastAnswer + Self.silentNanoseconds }

    private static func span(_ since: UInt64?, _ now: UInt64) -> UInt64 {
        guard let since, since > 0 else { return 0 }
        return now - since
    }

    /// The tried one has come to its end.
    /// - Parameter serverAnswered: whether by the server's word.
    package mutating func ended(now: UInt64, serverAnswered: Bool) {
        guard let tried else { return }
        _ = take(tried)
        if serverAnswered { answered(now) }
    }

    /// The tried one is to be tried again, and so would all others be, as it seems: everybody waits.
    package mutating func paused(now: UInt64) {
        guard let tried else { return }
        self.tried = nil
        let isSilent = isSilent(now)
        change(tried) { entry in
            entry.failures += 1
            entry.isDoubtful = true
            if isSilent { entry.blamedSince = 0 }
        }
        isFailing = true
        pausedUntil = now + backoff.wait()
    }

    /// The tried one is put off for what it is.
    /// - Parameters:
    ///   - byServer: whether the server answered, and so works.
    ///   - took: how long the try took, nanoseconds.
    package mutating func setAside(now: UInt64, byServer: Bool, took: UInt64 = 0) {
        guard let tried else { return }
        if !tried.isAside, aside.count >= Self.mostAside {
            self.tried = nil
            waiting[tried.index].postpone(now, byServer: byServer, took: took)
        } else {
            var entry = take(tried)
            entry.postpone(now, byServer: byServer, took: took)
            aside.append(entry)
        }
        if byServer { answered(now) }
    }

    /// Takes out what is not to be tried any more.
    package mutating func takeOut(where isOver: (Job) -> Bool) -> [Job] {
        tried = nil
        let over = waiting.filter { isOver($0.job) } + aside.filter { isOver($0.job) }
        guard !over.isEmpty else { return [] }
        waiting.removeAll { isOver($0.job) }
        aside.removeAll { isOver($0.job) }
        goOn()
        return over.map(\.job)
    }

    /// The server works: what has failed over and over since it last answered is to blame for that itself, and stands aside.
    private mutating func answered(_ now: UInt64) {
        lastAnswer = now
        goOn()
        for index in aside.indices where aside[index].isDoubtful { Self.judge(&aside[index], now) }
        var index = 0
        while index < waiting.count {
            if waiting[index].isDoubtful, Self.judge(&waiting[index], now), aside.count < Self.mostAside {
                aside.append(waiting.remove(at: index))
            } else {
                index += 1
            }
        }
    }

    /// - Returns: whether the mail is to blame.
    @discardableResult
    private static func judge(_ entry: inout Entry, _ now: UInt64) -> Bool {
        entry.isDoubtful = false
        guard entry.rounds > 0 else { return false }
        entry.postpone(now, byServer: false)
        if entry.blamedSince == 0 { entry.blamedSince = now }
        return true
    }

    private mutating func goOn() {
        backoff.reset()
        pausedUntil = 0
        isFailing = false
    }

    private mutating func change(_ place: (isAside: Bool, index: Int), _ body: (inout Entry) -> Void) {
        if place.isAside { body(&aside[place.index]) } else { body(&waiting[place.index]) }
    }

    private mutating func take(_ place: (isAside: Bool, index: Int)) -> Entry {
        tried = nil
        return place.isAside ? aside.remove(at: place.index) : waiting.remove(at: place.index)
    }
}
