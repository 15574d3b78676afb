// One series each: what is counted costs one atomic, what is measured two. Any thread.
internal import Synchronization

/// Label names and values, in the order they are written.
package typealias MetricLabels = KeyValuePairs<String, String>

package final class Counter: Sendable {
    private let value = Atomic<Int>(0)
    init() {}

    package func add(_ amount: Int = 1) { value.add(amount, ordering: .relaxed) }
    var current: Int { value.load(ordering: .relaxed) }
}

package final class Gauge: Sendable {
    private let value = Atomic<Int>(0)
    init() {}

    package func set(_ new: Int) { value.store(new, ordering: .relaxed) }
    var current: Int { value.load(ordering: .relaxed) }
}

/// How long things took, in buckets that are fixed when it is made.
package final class Histogram: @unchecked Sendable {
    // @unchecked: the pointer is never changed, and what it points at is atomics.
    let bounds: [Int]
    /// One a bound, and one for what is longer than the last.
    private let buckets: UnsafeMutablePointer<Atomic<Int>>
    private let sum = Atomic<Int>(0)

    init(microseconds bounds: [Int]) {
        precondition(!bounds.isEmpty && zip(bounds, bounds.dropFirst()).allSatisfy(<), "bounds must ascend")
        self.bounds = bounds
        buckets = .allocate(capacity: bounds.count + 1)
        for index in 0...bounds.count { (buckets + index).initialize(to: Atomic(0)) }
    }

    deinit {
        buckets.deinitialize(count: bounds.count + 1)
        buckets.deallocate()
    }

    package func observe(microseconds: Int) {
        var index = 0
        while index < bounds.count, microseconds > bounds[index] { index += 1 }
        buckets[index].add(1, ordering: .relaxed)
        sum.add(microseconds, ordering: .relaxed)
    }

    /// By bucket, not cumulated.
    var counts: [Int] { (0...bounds.count).map { buckets[$0].load(ordering: .relaxed) } }
    var sumMicroseconds: Int { sum.load(ordering: .relaxed) }
}
