import Foundation
import Hashing

/// The manifest of a built image.
struct ImageManifest: ManifestFile {
    var image: String
    var key: String
    /// When it was built, in UTC.
    var built: Date
    var packages: [DebianPackage]
    /// In which way it is not the catalog's image itself; nil when it is.
    var variant: String?
    /// What was learned of a guest of a lab's own disk; nil for others.
    var learned: LearnedGuest?
    var files: [CachedFile]

    /// The release of its Linux kernel, such as `6.1.0-56-cloud-amd64`.
    var kernelRelease: String? {
        let prefix = "linux-image-"
        // A system may have packages of kernels, too, that it is not started with.
        return files.contains { $0.name == "kernel" }
            ? packages.first { $0.name.hasPrefix(prefix) }.map { String($0.name.dropFirst(prefix.count)) } : nil
    }

    /// A hash of the contents: images with equal ids boot alike.
    var id: String { SHA256.hex(files.map { "\($0.name) \($0.sha256)\n" }.joined()) }
}
