// "Did you mean": the nearest known word to one that is not known, for keys, variables, commands and options.

package enum Suggestion {
    /// The known word nearest to `word`, or nil when none is near enough to be meant.
    package static func nearest(to word: String, in known: some Sequence<String>) -> String? {
        let wanted = normal(word)
        guard !wanted.isEmpty else { return nil }
        var best: (word: String, distance: Int)?
        for candidate in known {
            // The last part alone is compared too: who forgets the section still finds the key.
            let last = candidate.split(separator: ".").last.map(String.init) ?? candidate
            let distance = min(Self.distance(wanted, normal(candidate)), Self.distance(wanted, normal(last)) + 1)
            if distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        guard let best, best.distance <= max(1, wanted.count / 3) else { return nil }
        return best.word
    }

    /// `; did you mean x?`'s second half, or nothing.
    package static func text(for word: String, in known: some Sequence<String>) -> String {
        nearest(to: word, in: known).map { "did you mean \($0)?" } ?? ""
    }

    /// Case and separators do not count: `allow_http` is `allowHTTP`.
    private static func normal(_ word: String) -> [UInt8] {
        word.lowercased().utf8.filter { $0 != UInt8(ascii: "_") && $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: ".") }
    }

    /// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        guard left.count <= 100, right.count <= 100 else { return .max / 2 }
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for i in 0..<left.count {
            var row = [i + 1]
            for j in 0..<right.count {
                var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (left[i] == right[j] ? 0 : 1))
                if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                    cost = min(cost, beforeLast[j - 1] + 1)
                }
                row.append(cost)
            }
            (beforeLast, last) = (last, row)
        }
        return last[right.count]
    }
}
