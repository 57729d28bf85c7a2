extension Lab {
    /// The lab with only the tasks whose names match a shell-style pattern (`*`, `?`), what they need, and their groups.
    public func filtered(_ patterns: [String]) -> Lab {
        guard !patterns.isEmpty else { return self }
        var wanted = Set(
            tasks.map(\.name).filter { name in patterns.contains { wildcard($0[...], matches: name[...]) } })
        var size = -1
        while wanted.count != size {
            size = wanted.count
            for task in tasks where wanted.contains(task.name) { wanted.formUnion(task.needs) }
        }
        var lab = self
        lab.tasks = tasks.filter { wanted.contains($0.name) }
        let used = Set(lab.tasks.flatMap(\.targets).flatMap(\.guests))
        lab.groups = groups.filter { $0.guests.contains { used.contains($0.name) } }
        return lab
    }
}

/// Whether a pattern of characters, `*` and `?` matches the whole text.
private func wildcard(_ pattern: Substring, matches text: Substring) -> Bool {
    var pattern = pattern
    var text = text
    // Where to continue when what follows the last `*` does not fit here: one character further.
    var retry: (pattern: Substring, text: Substring)?
    while true {
        if pattern.first == "*" {
            pattern = pattern.dropFirst()
            retry = (pattern, text)
        } else if let wanted = pattern.first, let found = text.first, wanted == "?" || wanted == found {
            pattern = pattern.dropFirst()
            text = text.dropFirst()
        } else if pattern.isEmpty && text.isEmpty {
            return true
        } else if let (rest, from) = retry, !from.isEmpty {
            pattern = rest
            text = from.dropFirst()
            retry = (rest, text)
        } else {
            return false
        }
    }
}
