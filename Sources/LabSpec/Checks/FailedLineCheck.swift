import Diagnostics

/// Scripts that use the status of a failed line, after which `sh -e` runs nothing.
enum FailedLineCheck {
    /// Warns of each such `run:`; `drafts` are the same tasks as written, `groups` those of the guests by name.
    static func check(_ tasks: [LabTask], _ drafts: [TaskDraft], groups: [String: GuestGroup], _ decoding: Decoding) {
        for (task, draft) in zip(tasks, drafts) where task.shell == nil {
            guard case .run(let script) = task.action, let line = lineInVain(of: script),
                task.targets.flatMap(\.guests).contains(where: { groups[$0]?.shell == nil })
            else { continue }
            decoding.warning(
                "a script stops at its first failing line, so the line \(line.quoted()) never sees a failure",
                remedy: "write `command || status=$?`, or `shell: sh` to continue after failing lines",
                at: draft.place.keys["run"])
        }
    }

    /// The first line that asks for the status of what stands before it, as far as that can be told from single lines.
    static func lineInVain(of script: String) -> String? {
        guard !script.hasPrefix("#!"), !script.contains("set +e"), !script.contains("set +o errexit") else {
            return nil
        }
        var before = ""
        for line in script.split(whereSeparator: \.isNewline).map({ String($0.trimmed) }) where !line.hasPrefix("#") {
            if let place = line.firstRange(of: "$?") {
                let start = line[..<place.lowerBound]
                let isGuarded = ["||", "&&", "trap ", "then ", "else ", "'"].contains { start.contains($0) }
                let follows = start.contains(";") || !before.isEmpty && !opens(before)
                if follows, !isGuarded { return line }
            }
            before = line
        }
        return nil
    }

    /// Whether what follows the line does not follow a command that it ends with.
    private static func opens(_ line: String) -> Bool {
        let ends = ["||", "&&", "|", "\\", "{", "(", "then", "else", "do", "fi", "done", "esac", "}", ")", ";;"]
        return ends.contains { line.hasSuffix($0) }
    }
}
