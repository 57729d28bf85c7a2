import LabSpec
import Quantities

/// The limit for one copy out of a guest to the host.
struct CopyLimit: Sendable, Hashable {
    /// The total length of its files.
    var bytes: ByteCount
    /// The number of files, folders and links.
    var entries = 200_000

    /// The limit for copies that declare none.
    static let standard = CopyLimit(bytes: .gibibytes(4))

    init(bytes: ByteCount) { self.bytes = bytes }

    var bytesExceeded: ArchiveError {
        ArchiveError(
            "the copy has more than \(bytes), its `limit`",
            remedy: "raise its limit: `get: [{path: …, limit: 10GiB}]`, or in Lua `limit = \"10GiB\"`")
    }

    var entriesExceeded: ArchiveError {
        ArchiveError(
            "the copy has more than \(entries) files", remedy: "pack them into one file in the guest and collect that")
    }
}
