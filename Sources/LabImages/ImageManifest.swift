import Foundation
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

    static let fileName = "manifest.json"

    /// The manifest in an image's folder; nil when there is none that can be read.
    static func read(in folder: String) -> ImageManifest? {
        guard let bytes = try? SmallFile.bytes("\(folder)/\(fileName)") else { return nil }
        return try? decoder.decode(ImageManifest.self, from: Data(bytes))
    }

    /// Writes it into an image's folder.
    func write(in folder: String) throws {
        try Self.encoder.encode(self).write(to: URL(fileURLWithPath: "\(folder)/\(Self.fileName)"))
    }

    /// Whether every file is there in its full size. Contents are not read: that would cost more than it finds.
    func isIntact(in folder: String) -> Bool {
        !files.isEmpty && files.allSatisfy { FileFacts("\(folder)/\($0.name)")?.size == $0.size }
    }

    /// The release of the Linux kernel in it, such as `6.1.0-56-cloud-amd64`.
    var kernelRelease: String? {
        let prefix = "linux-image-"
        return packages.first { $0.name.hasPrefix(prefix) }.map { String($0.name.dropFirst(prefix.count)) }
    }

    /// A hash of the contents: equal ids boot equally.
    var id: String { SHA256.hex(files.map { "\($0.name) \($0.sha256)\n" }.joined()) }

    private static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        return encoder
    }

    private static var decoder: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return decoder
    }
}
