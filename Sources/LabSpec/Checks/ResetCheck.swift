import Diagnostics

/// Tasks that want a fresh clone for each run, of guests that are never cloned.
struct ResetCheck {
    /// The groups of guests that always boot from power-on, by guest.
    private let coldGroups: [String: String]

    init(_ groups: [GuestGroup]) {
        var coldGroups: [String: String] = [:]
        for group in groups where group.boot == .cold {
            for guest in group.guests { coldGroups[guest.name] = group.name }
        }
        self.coldGroups = coldGroups
    }

    /// Reports each such task once, with its groups; `drafts` are the same tasks as written.
    func check(_ tasks: [LabTask], _ drafts: [TaskDraft], _ decoding: Decoding) {
        guard !coldGroups.isEmpty else { return }
        for (task, draft) in zip(tasks, drafts) where task.reset == .snapshot {
            var seen: Set<String> = []
            let cold = task.targets.flatMap(\.guests).compactMap { coldGroups[$0] }.filter { seen.insert($0).inserted }
            guard !cold.isEmpty else { continue }
            let names = cold.prefix(3).map { $0.quoted() }.joined(separator: ", ") + (cold.count > 3 ? ", …" : "")
            decoding.error(
                "`reset: snapshot` gives each run a fresh clone, but \(names) \(cold.count > 1 ? "have" : "has") `boot: cold`",
                remedy: "set the guests' `boot` to `auto`, or leave out the task's `reset`",
                at: draft.place.keys["reset"])
        }
    }
}
