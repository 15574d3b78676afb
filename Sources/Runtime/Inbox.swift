// How threads hand work to an owner thread: batches into one array, swapped out whole; the eventfd rings only when
// the array goes from empty to non-empty.

package final class Inbox<Element: Sendable>: Sendable {
    private let pending = Guarded<[Element]>([])
    package let wake: EventFD

    package init(wake: EventFD) { self.wake = wake }

    package func put(_ element: Element) {
        let wasEmpty = pending.withLock { items in
            items.append(element)
            return items.count == 1
        }
        if wasEmpty { wake.signal() }
    }

    package func put(contentsOf elements: [Element]) {
        guard !elements.isEmpty else { return }
        let wasEmpty = pending.withLock { items in
            let wasEmpty = items.isEmpty
            items.append(contentsOf: elements)
            return wasEmpty
        }
        if wasEmpty { wake.signal() }
    }

    /// Takes everything, in the order it was put; `spare` becomes the new, empty array so that its room is reused.
    package func take(into spare: inout [Element]) {
        spare.removeAll(keepingCapacity: true)
        pending.withLock { swap(&$0, &spare) }
    }
}
