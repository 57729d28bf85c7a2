import Diagnostics

/// Tasks that want a fresh clone for each run, of guests that are never cloned.
enum ResetCheck {
    /// Reports each such task once, with its groups; `drafts` are the same tasks as written, `groups` those of the guests by name.
    static func check(_ tasks: [LabTask], _ drafts: [TaskDraft], groups: [String: GuestGroup], _ decoding: Decoding) {
        for (task, draft) in zip(tasks, drafts) where task.reset == .snapshot {
            var seen: Set<String> = []
            let cold = task.targets.flatMap(\.guests).compactMap { groups[$0] }
                .filter { $0.boot == .cold && seen.insert($0.name).inserted }.map(\.name)
            guard !cold.isEmpty else { continue }
            let names = cold.prefix(3).map { $0.quoted() }.joined(separator: ", ") + (cold.count > 3 ? ", …" : "")
            decoding.error(
                "`reset: snapshot` gives each run a fresh clone, but \(names) \(cold.count > 1 ? "have" : "has") `boot: cold`",
                remedy: "set the guests' `boot` to `auto`, or leave out the task's `reset`",
                at: draft.place.keys["reset"])
        }
    }
}
