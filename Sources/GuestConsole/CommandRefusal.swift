/// Why a guest cannot run a command as asked, before any of it has run.
public enum CommandRefusal: Sendable, Hashable {
    /// The guest has no such user.
    case noUser(String)
    /// The session's user may not become this one, or the guest has no tool for it.
    case cannotBecome(String)
    /// The working directory is none that the user, if one is named, can enter.
    case noFolder(String, user: String?)
    /// Standard error cannot be kept apart.
    case noFolderOfItsOwn

    /// What and why, in words, and what to do.
    var words: (message: String, remedy: String) {
        switch self {
        case .noUser(let name):
            ("the guest has no user `\(name)`", "create the user in an earlier task, or correct `user`")
        case .cannotBecome(let name):
            (
                "the guest's session cannot become the user `\(name)`",
                "this needs a session of root and `setpriv` or `su` in the guest"
            )
        case .noFolder(let path, nil):
            ("the guest has no folder \(path) to run the command in", "create it in an earlier task, or correct `cwd`")
        case .noFolder(let path, let user?):
            (
                "the guest has no folder \(path) that the user `\(user)` can enter",
                "create it in an earlier task, or correct `cwd`"
            )
        case .noFolderOfItsOwn:
            (
                "the guest cannot prepare the command's input or keep its standard error apart",
                "this needs a `/tmp` that can be written, and `mkfifo` and `tee` in the guest"
            )
        }
    }
}
