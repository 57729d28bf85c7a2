/// A guest path with a pattern in its last components, as in shells and GitHub's artifacts: `*` and `?` match any characters of
/// a name, `[a-z]` one of a set, `**` any number of folders. A name with a leading dot is matched only by a pattern with one.
struct GuestPattern {
    /// The pattern's literal folder, absolute.
    let folder: String
    /// The pattern's components below it.
    private let steps: [[Character]]
    private let ignoresCase: Bool

    private static let anyFolders: [Character] = ["*", "*"]

    /// Parses an absolute path; nil for one without a pattern.
    init?(_ path: String, ignoresCase: Bool = false) {
        let parts = path.split(separator: "/").map { Array($0) }
        guard let first = parts.firstIndex(where: { $0.contains { "*?[".contains($0) } }) else { return nil }
        folder = "/" + parts[..<first].map { String($0) }.joined(separator: "/")
        steps = Array(parts[first...])
        self.ignoresCase = ignoresCase
    }

    /// The greatest depth of a match below the folder; nil when unlimited.
    var depth: Int? { steps.contains(Self.anyFolders) ? nil : steps.count }

    /// The matching ones of these paths, relative to the folder, sorted. Descendants of a matching folder are not listed.
    func matches(_ paths: [String]) -> [String] {
        var found: [String] = []
        for path in paths.filter({ matches($0) }).sorted() {
            if found.contains(where: { path.hasPrefix($0 + "/") }) { continue }
            found.append(path)
        }
        return found
    }

    private func matches(_ path: String) -> Bool {
        Self.match(steps[...], path.split(separator: "/").map { Array($0) }[...], same: same)
    }

    private func same(_ a: Character, _ b: Character) -> Bool {
        a == b || ignoresCase && a.lowercased() == b.lowercased()
    }

    private static func match(
        _ steps: ArraySlice<[Character]>, _ names: ArraySlice<[Character]>, same: (Character, Character) -> Bool
    ) -> Bool {
        guard let step = steps.first else { return names.isEmpty }
        if step == anyFolders {
            // A trailing `**` matches everything below.
            if match(steps.dropFirst(), names, same: same) { return !names.isEmpty || steps.count > 1 }
            guard let name = names.first, name.first != "." else { return false }
            return match(steps, names.dropFirst(), same: same)
        }
        guard let name = names.first, name.first != "." || step.first == "." else { return false }
        return matchName(step[...], name[...], same: same)
            && match(steps.dropFirst(), names.dropFirst(), same: same)
    }

    /// Matches one name in time proportional to the product of both lengths: only the last `*` backtracks.
    private static func matchName(
        _ pattern: ArraySlice<Character>, _ name: ArraySlice<Character>, same: (Character, Character) -> Bool
    ) -> Bool {
        var (pattern, name) = (pattern, name)
        var retry: (pattern: ArraySlice<Character>, name: ArraySlice<Character>)?
        while true {
            if pattern.first == "*" {
                pattern = pattern.dropFirst()
                retry = (pattern, name)
                continue
            }
            if let character = name.first, let rest = matchOne(pattern, character, same: same) {
                (pattern, name) = (rest, name.dropFirst())
                continue
            }
            if pattern.isEmpty, name.isEmpty { return true }
            guard let last = retry, !last.name.isEmpty else { return false }
            retry = (last.pattern, last.name.dropFirst())
            (pattern, name) = (last.pattern, last.name.dropFirst())
        }
    }

    /// The pattern after its first character or set, if that matches.
    private static func matchOne(
        _ pattern: ArraySlice<Character>, _ character: Character, same: (Character, Character) -> Bool
    ) -> ArraySlice<Character>? {
        guard let first = pattern.first else { return nil }
        if first == "?" { return pattern.dropFirst() }
        if first == "[", let set = CharacterSet(pattern) {
            return set.contains(character, same: same) ? set.rest : nil
        }
        return same(first, character) ? pattern.dropFirst() : nil
    }

    /// A bracket expression: characters and ranges, negated by `!` or `^`.
    private struct CharacterSet {
        private var ranges: [(Character, Character)] = []
        private var isNegated = false
        let rest: ArraySlice<Character>

        /// The set at the start of a pattern; nil for an unclosed bracket.
        init?(_ pattern: ArraySlice<Character>) {
            var body = pattern.dropFirst()
            if body.first == "!" || body.first == "^" {
                isNegated = true
                body = body.dropFirst()
            }
            var isFirst = true
            while let character = body.first, character != "]" || isFirst {
                isFirst = false
                body = body.dropFirst()
                if body.first == "-", let end = body.dropFirst().first, end != "]" {
                    ranges.append((character, end))
                    body = body.dropFirst(2)
                } else {
                    ranges.append((character, character))
                }
            }
            guard body.first == "]" else { return nil }
            rest = body.dropFirst()
        }

        func contains(_ character: Character, same: (Character, Character) -> Bool) -> Bool {
            ranges.contains { low, high in
                low <= character && character <= high || same(low, character) || same(high, character)
            } != isNegated
        }
    }
}
