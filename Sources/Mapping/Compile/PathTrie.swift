// All paths of one event as a trie, so that a record is walked once however many fields are taken from it.
internal import JSON

struct PathTrie: Sendable {
    private struct Node {
        /// Where the value found here goes; -1 when only what is below is wanted.
        var slot = -1
        var edges: Range<Int> = 0..<0
    }

    private struct Edge {
        let token: [UInt8]
        let index: Int?
        let child: Int
    }

    private var nodes: [Node] = []
    private var edges: [Edge] = []

    /// - Parameter paths: the tokens of each path and the slot its value goes to; each path once.
    init(_ paths: [(tokens: [[UInt8]], slot: Int)]) {
        guard !paths.isEmpty else { return }
        nodes.append(Node())
        fill(0, paths[...])
    }

    private mutating func fill(_ node: Int, _ paths: ArraySlice<(tokens: [[UInt8]], slot: Int)>) {
        var branches: [(token: [UInt8], paths: [(tokens: [[UInt8]], slot: Int)])] = []
        for (tokens, slot) in paths {
            guard let first = tokens.first else {
                nodes[node].slot = slot
                continue
            }
            let rest = (tokens: Array(tokens.dropFirst()), slot: slot)
            if let known = branches.firstIndex(where: { $0.token == first }) {
                branches[known].paths.append(rest)
            } else {
                branches.append((first, [rest]))
            }
        }
        let begin = edges.count
        let firstChild = nodes.count
        for (position, branch) in branches.enumerated() {
            nodes.append(Node())
            edges.append(Edge(token: branch.token, index: arrayIndex(branch.token), child: firstChild + position))
        }
        nodes[node].edges = begin..<edges.count
        for (position, branch) in branches.enumerated() { fill(firstChild + position, branch.paths[...]) }
    }

    /// Puts what is found below `root` into its slots; what is not found leaves its slot as it was.
    func walk(_ root: JSONValue, into slots: UnsafeMutableBufferPointer<JSONValue?>) {
        guard !nodes.isEmpty else { return }
        nodes.withUnsafeBufferPointer { nodes in
            edges.withUnsafeBufferPointer { edges in
                Walk(nodes: nodes, edges: edges, slots: slots).visit(nodes[0], root)
            }
        }
    }

    private struct Walk {
        let nodes: UnsafeBufferPointer<Node>
        let edges: UnsafeBufferPointer<Edge>
        let slots: UnsafeMutableBufferPointer<JSONValue?>

        func visit(_ node: Node, _ value: JSONValue) {
            if node.slot >= 0 { slots[node.slot] = value }
            guard !node.edges.isEmpty else { return }
            if value.isObject {
                for member in value.members {
                    for position in node.edges where equal(edges[position].token, member.key) {
                        visit(nodes[edges[position].child], member.value)
                        break
                    }
                }
            } else if value.isArray {
                for position in node.edges {
                    guard let index = edges[position].index, let element = value.element(index) else { continue }
                    visit(nodes[edges[position].child], element)
                }
            }
        }

        private func equal(_ token: [UInt8], _ key: UnsafeRawBufferPointer) -> Bool {
            guard token.count == key.count else { return false }
            for position in 0..<token.count where token[position] != key[position] { return false }
            return true
        }
    }
}
