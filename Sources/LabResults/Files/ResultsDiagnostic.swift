import Diagnostics
import Glibc
import HostSystem

extension SystemCallError {
    /// The error as a user reads it, with the remedy that fits what a run writes.
    func ofResults(_ message: String) -> Diagnostic {
        let remedy =
            switch errno {
            case ENOSPC, EDQUOT: "free some space, or keep the results elsewhere with --out DIR"
            case EACCES, EPERM, EROFS: "choose a place that you may write to with --out DIR"
            case ENOTDIR, EEXIST: "move the file in the way, or choose another place with --out DIR"
            case EMFILE, ENFILE: "raise the limit of open files (ulimit -n)"
            default: "choose another place with --out DIR"
            }
        return Diagnostic(.host, message, remedy: remedy, cause: reason)
    }
}

/// Runs an operation on the results on disk. `what` names the failure, such as `cannot write results.json`.
func onDisk<Result: ~Copyable>(
    _ what: @autoclosure () -> String, _ body: () throws(SystemCallError) -> Result
) throws(Diagnostic) -> Result {
    do throws(SystemCallError) {
        return try body()
    } catch {
        throw error.ofResults(what())
    }
}
