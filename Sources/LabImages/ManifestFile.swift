import Foundation
import HostSystem

/// The `manifest.json` beside the files that it is about, of an image or of a golden.
enum ManifestFile {
    static let name = "manifest.json"

    /// The manifest in a folder; nil when there is none that can be read.
    static func read<Manifest: Decodable>(in folder: String) -> Manifest? {
        guard let bytes = try? SmallFile.bytes("\(folder)/\(name)") else { return nil }
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try? decoder.decode(Manifest.self, from: Data(bytes))
    }

    /// Writes it into a folder.
    static func write(_ manifest: some Encodable, in folder: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        try SmallFile.replace("\(folder)/\(name)", with: Array(try encoder.encode(manifest)))
    }
}
