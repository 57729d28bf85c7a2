import Foundation
import Hashing
import HostSystem

/// The `manifest.json` of an image or a golden, next to its files. It is written after the files are on disk and closed; they
/// are not modified afterwards.
protocol ManifestFile: Codable, Sendable {
    /// The folder's other files.
    var files: [CachedFile] { get }
    static func hash(_ path: String, size: UInt64) async throws -> String
}

/// One file in a manifest.
struct CachedFile: Codable, Sendable {
    var name: String
    var size: UInt64
    /// The hash by `ManifestFile.hash`.
    var sha256: String
}

let manifestName = "manifest.json"

extension ManifestFile {
    static func hash(_ path: String, size: UInt64) async throws -> String { try await FileHash.sha256(of: path) }

    /// The manifest in a folder; nil when there is no readable one.
    init?(in folder: String) {
        guard let bytes = try? SmallFile.bytes("\(folder)/\(manifestName)") else { return nil }
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        guard let manifest = try? decoder.decode(Self.self, from: Data(bytes)) else { return nil }
        self = manifest
    }

    func write(in folder: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        try SmallFile.replace("\(folder)/\(manifestName)", with: Array(try encoder.encode(self)))
    }

    static func files(in folder: String) async throws -> [CachedFile] {
        var files: [CachedFile] = []
        for name in try FileTree.names(in: folder) {
            let path = "\(folder)/\(name)"
            guard let size = FileStamp(path)?.size else { continue }
            files.append(CachedFile(name: name, size: size, sha256: try await hash(path, size: size)))
        }
        return files
    }

    func paths(in folder: String) -> [String] { files.map { "\(folder)/\($0.name)" } }

    /// The damage to the files in a folder that is visible without reading them; nil when there is none.
    func visibleDamage(in folder: String) -> String? {
        if files.isEmpty { return "it has no files" }
        for file in files {
            guard let facts = FileStamp("\(folder)/\(file.name)") else { return "\(file.name) is missing" }
            if facts.size != file.size { return "\(file.name) has another length" }
        }
        return nil
    }

    /// The damage to the files in a folder; nil when there is none. Files that are recorded in `checked` and unchanged are not
    /// read, unless `again` is set.
    func damage(in folder: String, checked: CheckedFiles, again: Bool = false) async throws -> String? {
        if let damage = visibleDamage(in: folder) { return damage }
        return try await checked.damage(of: paths(in: folder), again: again) {
            for file in files where try await Self.hash("\(folder)/\(file.name)", size: file.size) != file.sha256 {
                return "the contents of \(file.name) have changed"
            }
            return nil
        }
    }
}
