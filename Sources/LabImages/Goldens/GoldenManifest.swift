import Foundation
import Glibc
import Hashing
import HostSystem

/// What a golden says about itself, in `manifest.json` beside its files.
///
/// It is written when its files are on disk and closed. From then on nobody writes to them. What counts is what they read as:
/// a copy with other times and other holes is as good.
struct GoldenManifest: Codable, Sendable {
    /// One file of the golden.
    struct File: Codable, Sendable {
        var name: String
        var size: UInt64
        /// The hash of its bytes; of a large file see `FileHash.sha256(ofSparse:)`.
        var sha256: String

        /// The hash of its bytes as they are now; `size` is its own.
        func hash(in folder: String) async throws -> String {
            let path = "\(folder)/\(name)"
            return size <= 4 << 20
                ? try await FileHash.sha256(of: path) : try await FileHash.sha256(ofSparse: path)
        }
    }

    /// What it depends on.
    var key: GoldenKey
    /// When it was made, in UTC.
    var built: Date
    /// What it consists of.
    var files: [File]

    /// The manifest of all files in a folder, which are on disk for good when this returns.
    init(of folder: String, key: GoldenKey) async throws {
        self.key = key
        built = Date()
        files = []
        let names = try FileTree.names(in: folder)
        try await Self.flush(names.map { "\(folder)/\($0)" } + [folder])
        for name in names {
            guard let facts = FileStamp("\(folder)/\(name)") else { continue }
            files.append(File(name: name, size: facts.size, sha256: ""))
        }
        for index in files.indices { files[index].sha256 = try await files[index].hash(in: folder) }
    }

    /// What is wrong with the files in a folder, as far as their facts tell; nil when nothing is.
    func visibleDamage(in folder: String) -> String? {
        if files.isEmpty { return "it has no files" }
        for file in files {
            guard let facts = FileStamp("\(folder)/\(file.name)") else { return "\(file.name) is missing" }
            if facts.size != file.size { return "\(file.name) has another length" }
        }
        return nil
    }

    /// What is wrong with the files in a folder; nil when nothing is. They are read unless they were `checked` before and have
    /// not changed since, or `again`.
    func damage(in folder: String, checked: CheckedFiles, again: Bool = false) async throws -> String? {
        if let damage = visibleDamage(in: folder) { return damage }
        return try await checked.damage(of: paths(in: folder), again: again) {
            for file in files where try await file.hash(in: folder) != file.sha256 {
                return "the contents of \(file.name) have changed"
            }
            return nil
        }
    }

    /// Where the files are.
    func paths(in folder: String) -> [String] { files.map { "\(folder)/\($0.name)" } }

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
