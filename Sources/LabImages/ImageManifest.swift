import Foundation
import Hashing
import HostSystem

/// What a built image says about itself, in `manifest.json` beside its files.
struct ImageManifest: Codable, Sendable {
    /// One file of the image.
    struct File: Codable, Sendable {
        var name: String
        var size: UInt64
        var sha256: String
    }

    /// The catalog's name.
    var image: String
    /// The recipe's key.
    var key: String
    /// When it was built, in UTC.
    var built: Date
    /// What it was made of.
    var packages: [DebianPackage]
    /// What it consists of.
    var files: [File]

    /// Whether every file is there in its full size. Contents are not read: that would cost more than it finds.
    func isIntact(in folder: String) -> Bool {
        !files.isEmpty && files.allSatisfy { FileStamp("\(folder)/\($0.name)")?.size == $0.size }
    }

    /// What is wrong with the files; nil when nothing is. They are read unless they were `checked` before and have not changed
    /// since, or `again`.
    func damage(in folder: String, checked: CheckedFiles, again: Bool = false) async throws -> String? {
        if files.isEmpty { return "it has no files" }
        for file in files where FileStamp("\(folder)/\(file.name)")?.size != file.size {
            return "\(file.name) is missing or has another length"
        }
        return try await checked.damage(of: files.map { "\(folder)/\($0.name)" }, again: again) {
            for file in files where try await FileHash.sha256(of: "\(folder)/\(file.name)") != file.sha256 {
                return "the contents of \(file.name) have changed"
            }
            return nil
        }
    }

    /// The release of the Linux kernel in it, such as `6.1.0-56-cloud-amd64`.
    var kernelRelease: String? {
        let prefix = "linux-image-"
        return packages.first { $0.name.hasPrefix(prefix) }.map { String($0.name.dropFirst(prefix.count)) }
    }

    /// A hash of the contents: equal ids boot equally.
    var id: String { SHA256.hex(files.map { "\($0.name) \($0.sha256)\n" }.joined()) }
}
