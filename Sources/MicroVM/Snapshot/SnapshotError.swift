/// Why a machine cannot be saved, or cannot go on from a snapshot.
public struct SnapshotError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A sentence.
    public let description: String

    /// An error in words.
    public init(_ description: String) { self.description = description }
}
