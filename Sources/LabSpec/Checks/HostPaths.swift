import Diagnostics
import Glibc
import HostSystem

/// Paths on the host: made absolute, and looked at once.
final class HostPaths {
    enum Kind {
        case file, fileOrFolder
    }

    /// The folder that relative paths start from, absolute.
    let directory: String
    /// What of the host's files the lab may name.
    let access: HostAccess
    private var known: [String: Found] = [:]

    private enum Found {
        case file, folder, other
        case trouble(CInt)
        case refused(HostAccess.Refusal)
    }

    /// Paths that start from a folder. What lies at or below it is open, besides what `access` opens.
    init(directory: String, access: HostAccess) {
        self.directory = Self.withoutDots(FilePath.absolute(directory))
        self.access = access.adding(self.directory)
    }

    /// `path` relative to the lab's folder, `~` expanded, `.` steps dropped.
    func resolve(_ path: String) -> String {
        var whole = path
        if path == "~" || path.hasPrefix("~/"), let home = getenv("HOME") {
            whole = String(cString: home) + path.dropFirst(1)
        } else if !path.hasPrefix("/") {
            whole = directory + "/" + path
        }
        return Self.withoutDots(whole)
    }

    /// An absolute path without `.` and empty steps; `..` stays, for it may follow a link.
    private static func withoutDots(_ path: String) -> String {
        "/" + path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    /// The path from the root. Reports when nothing readable of that kind is there.
    func check(_ path: Located<String>, as kind: Kind, what: String, _ decoding: Decoding) -> String {
        _ = find(path, as: kind, what: what, decoding)
        return resolve(path.value)
    }

    /// Whether something readable of that kind is there; else that is reported. `what` begins the message: "the script".
    func find(_ path: Located<String>, as kind: Kind, what: String, _ decoding: Decoding) -> Bool {
        switch (look(resolve(path.value)), kind) {
        case (.file, _), (.folder, .fileOrFolder): return true
        case (.refused(let refusal), _):
            let problem = refusal.diagnostic(what, path.value)
            decoding.error(problem.message, remedy: problem.remedy, cause: problem.cause, at: path.span)
        case (.folder, .file):
            decoding.error("\(what) \(path.value.quoted()) is a folder", remedy: "name a file", at: path.span)
        case (.other, _):
            decoding.error("\(what) \(path.value.quoted()) is neither a file nor a folder", at: path.span)
        case (.trouble(ENOENT), _), (.trouble(ENOTDIR), _):
            decoding.error(
                "\(what) \(path.value.quoted()) does not exist",
                remedy: path.value.hasPrefix("/") || path.value.hasPrefix("~")
                    ? nil : "relative paths start from the lab file's folder", at: path.span)
        case (.trouble(EACCES), _):
            decoding.error(
                "\(what) \(path.value.quoted()) cannot be read", remedy: "check its permissions", at: path.span)
        case (.trouble(let code), _):
            decoding.error(
                "\(what) \(path.value.quoted()) cannot be read", cause: SystemCallError("open", errno: code).reason,
                at: path.span)
        }
        return false
    }

    /// Whether a path is a folder with a `.git` in it or above.
    func isInGitCheckout(_ path: String) -> Bool {
        guard case .folder = look(path), var folder = FilePath.real(path)?[...] else { return false }
        while !FileTree.exists("\(folder)/.git") {
            guard let slash = folder.lastIndex(of: "/") else { return false }
            folder = folder[..<slash]
        }
        return true
    }

    private func look(_ path: String) -> Found {
        if let found = known[path] { return found }
        let found: Found
        var facts = stat()
        if let refusal = refusal(path) {
            found = .refused(refusal)
        } else if stat(path, &facts) != 0 {
            found = .trouble(errno)
        } else {
            let isFolder = facts.st_mode & S_IFMT == S_IFDIR
            if Glibc.access(path, isFolder ? R_OK | X_OK : R_OK) != 0 {
                found = .trouble(errno)
            } else {
                switch facts.st_mode & S_IFMT {
                case S_IFREG, S_IFBLK: found = .file
                case S_IFDIR: found = .folder
                default: found = .other
                }
            }
        }
        known[path] = found
        return found
    }

    /// Why a path is not for this lab; a missing or unreachable one is reported elsewhere.
    private func refusal(_ path: String) -> HostAccess.Refusal? {
        do throws(HostAccess.Refusal) {
            _ = try access.real(path)
            return nil
        } catch {
            if case .unreachable = error { return nil }
            return error
        }
    }
}
