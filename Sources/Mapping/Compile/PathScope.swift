// Hands out slots to the paths of one event, or of the elements of one array, while a file is compiled.

/// Counts the slots of one event, those of its arrays' elements included.
final class SlotCounter {
    var next = 0
}

final class PathScope {
    /// nil inside an array's elements, whose paths all begin at the element.
    private let payload: JSONPointer?
    private let counter: SlotCounter
    private var known: [(pointer: JSONPointer, slot: Int)] = []
    private var payloadPaths: [(tokens: [[UInt8]], slot: Int)] = []
    private var rootPaths: [(tokens: [[UInt8]], slot: Int)] = []
    let firstSlot: Int

    init(payload: JSONPointer?, counter: SlotCounter) {
        self.payload = payload
        self.counter = counter
        firstSlot = counter.next
    }

    func inside() -> PathScope { PathScope(payload: nil, counter: counter) }

    func locator(_ place: Place) -> Locator {
        guard case .pointer(let pointer) = place else { return Locator(place: place, slot: -1) }
        if let slot = known.first(where: { $0.pointer == pointer })?.slot { return Locator(place: place, slot: slot) }
        let slot = counter.next
        counter.next += 1
        known.append((pointer, slot))
        if let payload, let rest = pointer.tokens(behind: payload) {
            payloadPaths.append((rest, slot))
        } else {
            rootPaths.append((pointer.tokens, slot))
        }
        return Locator(place: place, slot: slot)
    }

    /// The slots handed out so far, those of scopes inside included.
    var slots: Range<Int> { firstSlot..<counter.next }
    var payloadTrie: PathTrie { PathTrie(payloadPaths) }
    var rootTrie: PathTrie { PathTrie(rootPaths) }
}
