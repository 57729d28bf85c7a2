/// The candidate that a user who wrote `word` most likely meant, or nil when none is near.
///
/// Near means: letter case aside, at most a third of the longer word's characters (at least one) inserted, left out,
/// replaced or swapped with their neighbour. Of equally near ones the first is taken. Words above 64 characters have
/// no neighbours.
public func closest(to word: String, in candidates: some Sequence<String>) -> String? {
    let wanted = Array(word.lowercased())
    guard !wanted.isEmpty, wanted.count <= 64 else { return nil }
    var best: (candidate: String, distance: Int)?
    for candidate in candidates where candidate != word {
        let other = Array(candidate.lowercased())
        guard !other.isEmpty, other.count <= 64 else { continue }
        let bound = min(max(1, max(wanted.count, other.count) / 3), best.map { $0.distance - 1 } ?? .max)
        guard let distance = editDistance(wanted, other, atMost: bound) else { continue }
        best = (candidate, distance)
        if distance == 0 { break }
    }
    return best?.candidate
}

/// ``closest(to:in:)`` as a remedy: "did you mean `count`?".
public func didYouMean(_ word: String, _ candidates: some Sequence<String>) -> String? {
    closest(to: word, in: candidates).map { "did you mean \($0.quoted())?" }
}

/// Damerau-Levenshtein distance (of neighbours, each stretch edited once), or nil when it exceeds `bound`.
func editDistance(_ left: [Character], _ right: [Character], atMost bound: Int) -> Int? {
    guard bound >= 0, abs(left.count - right.count) <= bound else { return nil }
    guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for row in 1...left.count {
        var current = [row]
        current.reserveCapacity(right.count + 1)
        for column in 1...right.count {
            let same = left[row - 1] == right[column - 1]
            var cost = min(last[column] + 1, current[column - 1] + 1, last[column - 1] + (same ? 0 : 1))
            if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                cost = min(cost, beforeLast[column - 2] + 1)
            }
            current.append(cost)
        }
        // Every later distance is at least the least of this row.
        if let least = current.min(), least > bound { return nil }
        (beforeLast, last) = (last, current)
    }
    return last[right.count] <= bound ? last[right.count] : nil
}
