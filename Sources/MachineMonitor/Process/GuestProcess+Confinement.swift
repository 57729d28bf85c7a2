import HostSystem
import KVM
import QMP

extension GuestProcess {
    /// The paths of listening sockets, created here and removed at the end.
    private var servedPaths: [String] {
        [configuration.com1, configuration.com2, configuration.monitor].compactMap { endpoint in
            if case .socket(let path) = endpoint { path } else { nil }
        }
    }

    /// Folders in which files are created or removed while the machine runs: those of sockets, and of snapshots.
    private var writtenFolders: [String] {
        let cards = configuration.networks.compactMap { card -> String? in
            if case .sockets(let local, _) = card.link { local } else { nil }
        }
        let files = servedPaths + cards + [configuration.golden].compactMap { $0 }
        return Set(files.map(FilePath.folder) + [configuration.snapshots].compactMap { $0 }).sorted()
    }

    /// Whether the configuration permits a snapshot there.
    func mayWrite(_ path: String) -> Bool {
        if path == configuration.golden { return true }
        guard let folder = configuration.snapshots, let slash = path.lastIndex(of: "/") else { return false }
        return path[..<slash] == (folder.hasSuffix("/") ? folder.dropLast() : folder[...])
            && ![".", "..", ""].contains(path[slash...].dropFirst())
    }

    /// Drops access to all files that are not open: landlock, which applies to this thread and those it starts later.
    func confineFiles() throws {
        _ = try Sandbox.confineFiles(to: writtenFolders.map { Sandbox.Place($0, isWritable: true) })
    }

    /// Drops system calls that a running machine does not need (seccomp), for all threads; the vCPUs are paused until this returns.
    func confineCalls() throws {
        try Sandbox.confineCalls(
            .running(
                ioctls: RunTimeRequests.all, opensFiles: !writtenFolders.isEmpty, accepts: !servedPaths.isEmpty,
                connects: cables.contains { $0.isConnecting }))
    }
}
