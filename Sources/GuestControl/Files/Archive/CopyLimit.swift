import LabSpec
import Quantities

/// What one copy out of a guest may come to on the host.
struct CopyLimit: Sendable, Hashable {
    /// The lengths of all its files together.
    var bytes: ByteCount
    /// How many files, folders and links there may be.
    var entries = 200_000

    /// What a copy may come to that does not say otherwise.
    static let standard = CopyLimit(bytes: .gibibytes(4))

    /// A limit of so many bytes.
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
