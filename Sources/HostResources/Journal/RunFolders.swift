import Diagnostics
import Glibc
import HostSystem

/// Where runs keep their journals and their temporary files.
public struct RunFolders: Sendable {
    /// Holds one folder per run with its journal: `$XDG_STATE_HOME/vmlab/runs`.
    public let journals: String
    /// Holds one folder per run for sockets, overlays and scratch disks.
    public let temporary: String

    /// Folders as given.
    public init(journals: String, temporary: String) {
        self.journals = journals
        self.temporary = temporary
    }

    /// This user's folders. Temporary files go to `$TMPDIR` or `/var/tmp`, not to `$XDG_RUNTIME_DIR`: they are disks, and the
    /// latter is a tmpfs in RAM.
    public static var standard: RunFolders {
        let home = Environment["HOME"] ?? "/tmp"
        let state = absolute(Environment["XDG_STATE_HOME"]) ?? home + "/.local/state"
        let temporary = absolute(Environment["TMPDIR"]) ?? "/var/tmp"
        return RunFolders(journals: state + "/vmlab/runs", temporary: "\(temporary)/vmlab-\(geteuid())")
    }

    private static func absolute(_ path: String?) -> String? {
        guard let path, path.hasPrefix("/") else { return nil }
        return path
    }

    /// Makes the folder for temporary files if it is missing, and checks its owner. `/var/tmp` is writable by all: throws when
    /// another user made the folder, or a link in its place.
    func makeTemporary() throws {
        do throws(SystemCallError) {
            try FileTree.makeFolder(temporary, mode: 0o700)
        } catch {
            throw error.diagnostic("cannot make the folder for temporary files")
        }
        try checkTemporary()
    }

    /// Checks that the folder for temporary files, if it exists, belongs to this user alone. Throws a `Diagnostic`.
    public func checkTemporary() throws {
        var status = stat()
        guard lstat(temporary, &status) == 0 else { return }
        let isOurs = status.st_mode & S_IFMT == S_IFDIR && status.st_uid == geteuid()
        guard isOurs && status.st_mode & 0o077 == 0 else {
            throw Diagnostic(
                .host, "the folder \(temporary) is not this user's alone",
                remedy: "remove it, or set TMPDIR to a folder of your own", cause: "owner \(status.st_uid)")
        }
    }
}
