// The limits' counting: a walk at random beside a model that remembers everything, and the bound on what is remembered.
import Core
import Testing

@Suite struct RateWindowsTests {
    private static let minute = RateWindows<Int>.windowNanoseconds

    @Test(arguments: 1...20 as ClosedRange<UInt64>) func countsAsTheModelDoes(_ seed: UInt64) {
        var random = Numbers(seed)
        let limit = Int(random.next() % 7) + 1
        var windows = RateWindows<Int>(limit: limit)
        var taken: [Int: [UInt64]] = [:]
        var began: [Int: UInt64] = [:]
        var now: UInt64 = 5
        for _ in 0..<3000 {
            now += random.next() % (Self.minute / 8)
            let key = Int(random.next() % 5)
            let verdict = windows.take(key, now: now)
            if let start = began[key], now - start < Self.minute {
            } else {
                began[key] = now
                taken[key] = []
            }
            let count = taken[key]!.count
            #expect(verdict.isAllowed == (count < limit))
            if verdict.isAllowed { taken[key]!.append(now) }
            #expect(verdict.remaining == limit - taken[key]!.count && verdict.limit == limit)
            #expect(verdict.resetNanoseconds == began[key]! + Self.minute - now)
            #expect((1...60).contains(verdict.retrySeconds))
        }
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>) func remembersNoMoreThanItMay(_ seed: UInt64) {
        var random = Numbers(seed)
        var windows = RateWindows<UInt64>(limit: 2, mostKeys: 50)
        var now: UInt64 = 0
        for _ in 0..<5000 {
            now += random.next() % (Self.minute / 20)
            let verdict = windows.take(random.next() % 300, now: now)
            #expect(windows.keys <= 50 && verdict.remaining >= 0)
        }
    }

    @Test func whenItForgetsItIsGenerous() {
        var windows = RateWindows<Int>(limit: 1, mostKeys: 4)
        for key in 0..<4 { #expect(windows.take(key, now: 0).isAllowed) }
        #expect(!windows.take(3, now: 1).isAllowed)
        // A newcomer passes, whatever is remembered.
        #expect(windows.take(4, now: 1).isAllowed && windows.keys == 1)
        #expect(windows.take(3, now: 1).isAllowed)
    }

    @Test func whatIsOverGoesFirst() {
        var windows = RateWindows<Int>(limit: 1, mostKeys: 4)
        for key in 0..<3 { _ = windows.take(key, now: 0) }
        _ = windows.take(3, now: Self.minute - 1)
        #expect(windows.take(4, now: Self.minute).isAllowed && windows.keys == 2)
        #expect(!windows.take(3, now: Self.minute).isAllowed)
    }
}

/// SplitMix64.
private struct Numbers {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
