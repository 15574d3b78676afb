import Core
import Testing

@Suite struct LedgerTests {
    @Test func watermarkStopsAtTheFirstUnfinishedRecord() {
        var ledger = Ledger()
        for offset in Int64(10)...13 { _ = ledger.open(offset) }
        ledger.settle(11)
        ledger.settle(12)
        #expect(ledger.watermark == 10, "a late success must not commit past an earlier failure")
        ledger.settle(10)
        #expect(ledger.watermark == 13)
        ledger.settle(13)
        #expect(ledger.watermark == 14)
        #expect(ledger.unfinished == 0)
    }

    @Test func recordIsFinishedWhenAllItsEffectsAre() {
        var ledger = Ledger()
        _ = ledger.open(5)
        ledger.add(5)
        ledger.add(5)
        let ends = (ledger.settle(5), ledger.settle(5))
        #expect(ends == (false, false))
        #expect(ledger.watermark == 5)
        let isFinished = ledger.settle(5)
        #expect(isFinished)
        #expect(ledger.watermark == 6)
    }

    @Test func gapsOfTheLogArePassed() {
        var ledger = Ledger()
        _ = ledger.open(0)
        _ = ledger.open(1000)
        #expect(ledger.span == 1001)
        ledger.settle(0)
        #expect(ledger.watermark == 1000)
        ledger.settle(1000)
        #expect(ledger.watermark == 1001)
    }

    /// The broker has deleted a billion records that were not read yet, while one before them is unfinished.
    @Test func aHugeGapTakesNoRoom() {
        var ledger = Ledger()
        _ = ledger.open(5)
        _ = ledger.open(1_000_000_000)
        _ = ledger.open(1_000_000_001)
        ledger.add(1_000_000_001)
        #expect(ledger.span == 3 && ledger.watermark == 5)
        ledger.settle(1_000_000_000)
        #expect(ledger.watermark == 5)
        ledger.settle(5)
        #expect(ledger.watermark == 1_000_000_001)
        ledger.settle(1_000_000_001)
        #expect(ledger.watermark == 1_000_000_001)
        ledger.settle(1_000_000_001)
        #expect(ledger.watermark == 1_000_000_002 && ledger.span == 0)
        _ = ledger.open(1_000_000_002)
        for gap in 1...Int64(16) { _ = ledger.open(1_000_000_002 + gap * 5000) }
        #expect(ledger.span == Ledger.maxSpan, "many of them stop the reading, as many records do")
    }

    @Test func offsetsReadTwiceAreRefused() {
        var ledger = Ledger()
        _ = ledger.open(7)
        let again = (ledger.open(7), ledger.open(3))
        #expect(again == (false, false))
        #expect(ledger.unfinished == 1)
    }

    /// Against a model that keeps every offset: any order of settling, with gaps and several effects.
    @Test func walkAgainstAModel() {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<8 {
            var ledger = Ledger()
            var model: [Int64: Int] = [:]
            var next = Int64.random(in: 0...100, using: &random)
            let first = next
            for _ in 0..<2000 {
                if Int.random(in: 0..<3, using: &random) == 0 || model.isEmpty {
                    next += Int64.random(in: 0...3, using: &random) == 0 ? 2 : 0
                    next += Int64.random(in: 0...200, using: &random) == 0 ? 1_000_000 : 0
                    let isNew = ledger.open(next)
                    #expect(isNew)
                    model[next] = 1
                    next += 1
                } else {
                    let offset = model.keys.sorted().prefix(40).randomElement(using: &random)!
                    if Bool.random(using: &random) {
                        ledger.add(offset)
                        model[offset]! += 1
                    } else {
                        let finished = ledger.settle(offset)
                        model[offset]! -= 1
                        #expect(finished == (model[offset] == 0))
                        if finished { model[offset] = nil }
                    }
                }
                #expect(ledger.unfinished == model.count)
                let lowest = model.keys.min() ?? next
                #expect(ledger.watermark <= lowest)
                if !model.isEmpty { #expect(ledger.watermark == lowest || ledger.watermark >= first) }
            }
        }
    }
}

/// A generator whose runs can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
