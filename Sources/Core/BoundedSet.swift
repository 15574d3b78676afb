// A memory of what was seen last, for questions that are asked soon or never.

package struct BoundedSet<Element: Hashable & Sendable>: Sendable {
    private var elements: Set<Element> = []
    private var inOrder: [Element] = []
    private let kept: Int

    /// - Parameter kept: how many are remembered at least; twice as many at most.
    package init(kept: Int) { self.kept = kept }

    package func contains(_ element: Element) -> Bool { elements.contains(element) }

    package mutating func insert(_ element: Element) {
        guard elements.insert(element).inserted else { return }
        inOrder.append(element)
        guard inOrder.count > 2 * kept else { return }
        for old in inOrder.prefix(kept) { elements.remove(old) }
        inOrder.removeFirst(kept)
    }
}
