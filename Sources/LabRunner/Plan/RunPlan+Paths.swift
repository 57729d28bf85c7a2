import Diagnostics
import LabSpec

extension RunPlan {
    /// Problems of `put`, `get` and `cwd` paths of another system: `C:\x` on Linux is an error, `/x` on a Windows-like guest a
    /// warning, because Wine guests have a Linux side.
    public var pathProblems: [Diagnostic] {
        let systems = Dictionary(guests.map { ($0.guest.name, $0.os) }) { first, _ in first }
        return lab.tasks.flatMap { task -> [Diagnostic] in
            let paths =
                task.put.map { ("put", $0.guest) } + task.get.map { ("get", $0.path) }
                + (task.folder.map { [("cwd", $0)] } ?? [])
            return paths.compactMap { key, path in
                let isDrive = path.dropFirst().first == ":"
                let guest = task.targets.flatMap(\.guests).first { systems[$0] == (isDrive ? .linux : .windows) }
                guard let guest else { return nil }
                return Diagnostic(
                    .specification,
                    "`\(key)` of the task \(task.name.quoted()): \(path.quoted()) is not a path of "
                        + "\(guest.quoted()), which is \(isDrive ? "Linux" : "Windows-like")",
                    severity: isDrive ? .error : .warning,
                    remedy: isDrive ? "begin it with `/`" : "begin it with `C:\\`", at: task.place(of: path))
            }
        }
    }
}
