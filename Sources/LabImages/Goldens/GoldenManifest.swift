import Foundation
import Glibc
import GuestControl
import Hashing
import HostSystem

/// The manifest of a golden. Files are compared by content: a copy with other times and holes is valid.
struct GoldenManifest: ManifestFile {
    var key: GoldenKey
    /// When it was made, in UTC.
    var built: Date
    /// The saved machine, with file names instead of paths.
    private var machine: SavedMachine
    var files: [CachedFile]

    /// Skips holes, which are most of a large file.
    static func hash(_ path: String, size: UInt64) async throws -> String {
        size <= 4 << 20 ? try await FileHash.sha256(of: path) : try await FileHash.sha256(ofSparse: path)
    }

    /// The manifest of a machine that was saved into a folder; the files are synced to disk when this returns.
    init(of machine: SavedMachine, in folder: String, key: GoldenKey) async throws {
        self.key = key
        self.machine = machine.withFiles { String($0.split(separator: "/").last ?? "") }
        built = Date()
        try await Self.flush(try FileTree.names(in: folder).map { "\(folder)/\($0)" } + [folder])
        files = try await Self.files(in: folder)
    }

    func machine(in folder: String) -> SavedMachine { machine.withFiles { "\(folder)/\($0)" } }

    /// Syncs files to disk, on a thread of its own because this may take long.
    private static func flush(_ paths: [String]) async throws {
        try await HostThread.run("flush") { flag in
            for path in paths {
                try flag.check()
                try OwnedDescriptor.open(path, O_RDONLY).flush(path)
            }
        }
    }
}

extension SavedMachine {
    fileprivate func withFiles(_ place: (String) -> String) -> SavedMachine {
        SavedMachine(
            state: place(state), memory: memory.map(place),
            disks: disks.mapValues { Disk(path: place($0.path), format: $0.format) }, needs: needs)
    }
}
