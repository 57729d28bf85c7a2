/// Why a machine cannot be saved, or cannot go on from a snapshot.
struct SnapshotError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A sentence.
    let description: String

    init(_ description: String) { self.description = description }
}
