import Diagnostics
import Glibc

/// A failed system call: the one form in which errno leaves this target.
public struct SystemCallError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The call, such as `open`.
    public let call: String
    /// The error number, such as `ENOENT`.
    public let errno: Int32
    /// The call's object: a path or another name that the user may know.
    public let subject: String?

    /// An error as given; `errno` is by default the calling thread's.
    public init(_ call: String, errno: Int32 = Glibc.errno, _ subject: String? = nil) {
        self.call = call
        self.errno = errno
        self.subject = subject
    }

    /// `open /x: No such file or directory`.
    public var description: String {
        subject.map { "\(call) \($0): \(reason)" } ?? "\(call): \(reason)"
    }

    /// `No such file or directory`.
    public var reason: String { strerror(errno).map { String(cString: $0) } ?? "errno \(errno)" }

    /// The error for the user, with the usual remedy if any. `what` names briefly what failed, such as `cannot start QEMU`.
    public func diagnostic(_ what: String) -> Diagnostic {
        Diagnostic(.host, what, remedy: remedy, cause: description)
    }

    /// The same; if the file system of `folder` is full, with the free and the needed space.
    public func diagnostic(_ what: String, in folder: String, needing need: () -> UInt64?) -> Diagnostic {
        var result = diagnostic(what)
        guard errno == ENOSPC || errno == EDQUOT else { return result }
        var facts = statvfs()
        let free = statvfs(folder, &facts) == 0 ? UInt64(facts.f_bavail) * UInt64(facts.f_frsize) : 0
        let needed = need().map { ", \($0 >> 20) MiB are needed" } ?? ""
        result.cause = "no space left in \(folder): \(free >> 20) MiB are free\(needed)"
        return result
    }

    private var remedy: String? {
        switch errno {
        case ENOSPC, EDQUOT: "free some disk space, or point TMPDIR and XDG_CACHE_HOME at a larger file system"
        case EMFILE: "raise the limit of open files of this shell: `ulimit -n 4096` or more"
        case ENFILE: "the host is out of open files: raise the sysctl fs.file-max"
        case EACCES, EPERM: "check its owner, and the permissions of it and its parent folders"
        case ENOMEM: "run fewer guests at once or give them less `memory:`"
        case EAGAIN where call == "clone": "raise the limit of processes: `ulimit -u`, or the cgroup's pids.max"
        case EROFS: "the file system is mounted read-only: choose another directory"
        case ENAMETOOLONG: "choose a shorter path"
        default: nil
        }
    }
}

/// Calls `body` again while it fails with `EINTR`. Throws when it returns -1, with the errno of that call.
@discardableResult
public func systemCall<Result: SignedInteger>(
    _ call: String, _ subject: String? = nil, _ body: () -> Result
) throws(SystemCallError) -> Result {
    while true {
        let result = body()
        guard result == -1 else { return result }
        let error = errno
        guard error == EINTR else { throw SystemCallError(call, errno: error, subject) }
    }
}

extension SystemCallError: OneLineError {
    /// The error as a one-line message.
    public var line: String { diagnostic("the host refused a system call").line }
}
