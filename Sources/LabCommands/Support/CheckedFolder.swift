import Diagnostics
import Glibc
import HostSystem
import HostResources
import LabImages
import LabResults
import LabSpec
import Quantities

/// A folder that runs write to, as `doctor` looks at it: by writing to it, for what its mode says is not all.
struct CheckedFolder {
    /// What it is for.
    let subject: String
    let path: String
    /// Less free space than this is little, in bytes.
    let little: UInt64
    /// What to set for another folder.
    let remedy: String
    /// Whether no lab runs without it.
    let isNeeded: Bool
    /// What is wrong with it beyond what writing shows.
    var check: () throws -> Void = {}

    static var all: [CheckedFolder] {
        let run = RunFolders.standard
        return [
            CheckedFolder(
                subject: "image cache", path: ImageStore.defaultDirectory, little: 2 << 30,
                remedy: "set XDG_CACHE_HOME to a folder of your own with about 2GiB free", isNeeded: true),
            CheckedFolder(
                subject: "state", path: run.journals, little: 1 << 20,
                remedy: "set XDG_STATE_HOME to a folder of your own", isNeeded: true),
            CheckedFolder(
                subject: "temporary files", path: run.temporary, little: 1 << 30,
                remedy: "set TMPDIR to a folder of your own with some GiB free: guests' disks are kept there",
                isNeeded: true,
                check: { try run.checkTemporary() }),
            CheckedFolder(
                subject: "results", path: "./results", little: 1 << 26,
                remedy: "run labs in another folder, or with `--out DIR`", isNeeded: false),
        ]
    }

    var finding: DoctorVerb.Finding {
        do {
            try check()
            let place = existing
            try Self.write(in: place)
            let free = try HostFacts.freeSpace(at: place)
            return .fair(free >= little, subject, "\(path), \(ByteCount(free)) free", remedy: remedy)
        } catch {
            let problem = error as? Diagnostic
            return DoctorVerb.Finding(
                level: isNeeded ? .bad : .limited, subject: subject,
                text: "\(path) cannot be written to: \(problem.map { $0.cause ?? $0.message } ?? "\(error)")",
                remedy: problem?.remedy ?? remedy)
        }
    }

    /// Writes a block to a file, which does not stay.
    private static func write(in folder: String) throws {
        let file = try OwnedDescriptor.temporaryFile(in: folder)
        try writeAll(file.number, [UInt8](repeating: 0, count: 4096)[...], at: nil, folder)
    }

    /// The folder, or the nearest above it that is there.
    private var existing: String {
        var path = path
        while access(path, F_OK) != 0, errno == ENOENT, path != "." { path = FilePath.folder(of: path) }
        return path
    }
}
