// The memory of the duplicate guard: exact, bounded, and silent about what cannot come twice.
import Core
import Testing

@Suite struct SettledAttemptsTests {
    private func id(_ number: Int) -> DeliveryID { DeliveryID(high: 1, low: UInt32(number)) }

    @Test func remembersDeliveryAndAttempt() {
        var settled = SettledAttempts()
        #expect(!settled.contains(id(1), generation: 1, attempt: 1))
        settled.note(id(1), generation: 1, attempt: 1, isSuccess: false)
        #expect(settled.contains(id(1), generation: 1, attempt: 1))
        #expect(!settled.contains(id(1), generation: 1, attempt: 2))
        #expect(!settled.contains(id(2), generation: 1, attempt: 1))
        #expect(!settled.contains(id(1), generation: 2, attempt: 1), "a webhook switched on again begins anew")
        settled.note(id(2), generation: 1, attempt: 3, isSuccess: true)
        #expect(settled.contains(id(2), generation: 1, attempt: 3))
    }

    @Test func aFirstAttemptThatSucceedsIsNotKept() {
        var settled = SettledAttempts()
        settled.note(id(1), generation: 1, attempt: 0, isSuccess: true)
        #expect(settled.count == 0)
        settled.note(id(1), generation: 1, attempt: 0, isSuccess: false)
        #expect(settled.contains(id(1), generation: 1, attempt: 0))
    }

    @Test func theLastAreCertainAndTheRestIsForgotten() {
        var settled = SettledAttempts(capacity: 100)
        for number in 0..<10_000 {
            settled.note(id(number), generation: 1, attempt: 1, isSuccess: false)
            #expect(settled.count <= 200)
            #expect(settled.contains(id(max(0, number - 99)), generation: 1, attempt: 1))
        }
        #expect(!settled.contains(id(0), generation: 1, attempt: 1))
    }
}
