import Diagnostics
import HostSystem

/// The files of a git checkout that git does not ignore.
enum GitFiles {
    /// What to copy of a folder: paths below it, of files that git tracks or would and of the folders that they are in.
    /// Submodules and checkouts within are asked the same. Throws a `Diagnostic` when git is missing or knows no checkout there,
    /// and `CancellationError`.
    static func list(in folder: String) async throws -> Set<[UInt8]> {
        var found: Set<[UInt8]> = []
        // What a hook of git has set is about another checkout.
        var environment = Environment.all.filter { !$0.key.hasPrefix("GIT_") }
        environment["LC_ALL"] = "C"
        // The checkout's own file system monitor would be a program of its choice.
        let result = try await Tool.run(
            "git",
            [
                "--no-optional-locks", "-c", "core.fsmonitor=false", "ls-files", "--cached", "--others",
                "--exclude-standard", "-z",
            ], package: "git", environment: environment, workingDirectory: folder)
        let isUnknown = result.errors.contains { $0.contains("not a git repository") }
        try result.checked(
            isUnknown ? "\(folder) is in no git checkout" : "git cannot list the files of \(folder)",
            remedy: isUnknown ? "leave `ignore: git` out, or run `git init` there" : nil)
        for listed in result.output.split(separator: 0) {
            let names = listed.split(separator: UInt8(ascii: "/"))
            for count in names.indices.map({ $0 + 1 }) {
                found.insert(Array(names[..<count].joined(separator: [0x2F])))
            }
            guard let path = String(validating: names.joined(separator: [0x2F]), as: UTF8.self), !path.isEmpty,
                FileTree.exists("\(folder)/\(path)/.git")
            else { continue }
            for inner in try await list(in: "\(folder)/\(path)") { found.insert(Array(path.utf8) + [0x2F] + inner) }
        }
        return found
    }
}
