/// A package that apt would download.
struct DebianPackage: Codable, Sendable, Hashable {
    var name: String
    var version: String
    /// The file's name, as apt writes it.
    var file: String
    var size: UInt64
    /// The SHA-256 from the archive's signed index; other kinds of hash are not supported.
    var sha256: String

    /// Parses a line of `apt-get --print-uris download`: URI, file, size, hash. Nil for other text.
    init?(line: String) {
        let fields = line.split(separator: " ")
        guard fields.count == 4, fields[0].hasPrefix("'"), let size = UInt64(fields[2]),
            fields[3].hasPrefix("SHA256:"), !fields[1].contains("/")
        else { return nil }
        let parts = fields[1].split(separator: "_")
        guard parts.count == 3 else { return nil }
        name = String(parts[0])
        version = parts[1].split(separator: "%3a", omittingEmptySubsequences: false).joined(separator: ":")
        file = String(fields[1])
        self.size = size
        sha256 = String(fields[3].dropFirst("SHA256:".count))
    }
}
