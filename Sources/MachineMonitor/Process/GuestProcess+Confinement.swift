import HostSystem
import KVM
import QMP

extension GuestProcess {
    /// Paths at which clients come: their sockets are made there and removed in the end.
    private var servedPaths: [String] {
        [configuration.com1, configuration.com2, configuration.monitor].compactMap { endpoint in
            if case .socket(let path) = endpoint { path } else { nil }
        }
    }

    /// Folders in which files are made or removed while the machine runs: those of sockets, and of snapshots.
    private var writtenFolders: [String] {
        let cards = configuration.networks.compactMap { card -> String? in
            if case .sockets(let local, _) = card.link { local } else { nil }
        }
        let files = servedPaths + cards + [configuration.golden].compactMap { $0 }
        return Set(files.map(FilePath.folder) + [configuration.snapshots].compactMap { $0 }).sorted()
    }

    /// Whether the configuration lets the machine be written down there.
    func mayWrite(_ path: String) -> Bool {
        if path == configuration.golden { return true }
        guard let folder = configuration.snapshots, let slash = path.lastIndex(of: "/") else { return false }
        return path[..<slash] == (folder.hasSuffix("/") ? folder.dropLast() : folder[...])
            && ![".", "..", ""].contains(path[slash...].dropFirst())
    }

    /// Gives up all files but those that are open: landlock, which holds for this thread and those that it starts later.
    func confineFiles() throws {
        _ = try Sandbox.confineFiles(to: writtenFolders.map { Sandbox.Place($0, isWritable: true) })
    }

    /// Gives up the system calls that a running machine does not need: seccomp, which holds for all threads, the processors'
    /// too. They are held until this has returned.
    func confineCalls() throws {
        try Sandbox.confineCalls(
            .running(
                ioctls: RunTimeRequests.all, opensFiles: !writtenFolders.isEmpty, accepts: !servedPaths.isEmpty,
                connects: cables.contains { $0.isConnecting }))
    }
}
