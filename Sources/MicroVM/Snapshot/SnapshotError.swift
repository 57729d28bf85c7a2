/// Why a machine cannot be saved, or cannot go on from a snapshot.
package struct SnapshotError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
