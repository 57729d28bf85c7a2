import Foundation
import Glibc
import GuestControl
import Hashing
import HostSystem

/// What a golden says about itself. What counts of its files is what they read as: a copy with other times and other holes is as
/// good.
struct GoldenManifest: ManifestFile {
    /// What it depends on.
    var key: GoldenKey
    /// When it was made, in UTC.
    var built: Date
    /// What was saved, with names of files in place of their paths.
    private var machine: SavedMachine
    var files: [CachedFile]

    /// A large file is mostly holes.
    static func hash(_ path: String, size: UInt64) async throws -> String {
        size <= 4 << 20 ? try await FileHash.sha256(of: path) : try await FileHash.sha256(ofSparse: path)
    }

    /// The manifest of a machine that was saved into a folder, whose files are on disk for good when this returns.
    init(of machine: SavedMachine, in folder: String, key: GoldenKey) async throws {
        self.key = key
        self.machine = machine.withFiles { String($0.split(separator: "/").last ?? "") }
        built = Date()
        try await Self.flush(try FileTree.names(in: folder).map { "\(folder)/\($0)" } + [folder])
        files = try await Self.files(in: folder)
    }

    /// What was saved, its files in a folder.
    func machine(in folder: String) -> SavedMachine { machine.withFiles { "\(folder)/\($0)" } }

    /// Has the host write out what it keeps in memory, which takes its time: on a thread of its own.
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
            disks: disks.mapValues { Disk(path: place($0.path), format: $0.format) })
    }
}
