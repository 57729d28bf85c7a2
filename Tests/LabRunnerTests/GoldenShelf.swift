import HostSystem
import GuestControl
import Synchronization

/// Keeps goldens in a folder, and counts them.
final class GoldenShelf: GoldenStoring {
    private let path: String
    private let state = Mutex((made: 0, discarded: 0))

    init(in path: String) { self.path = path }

    /// How often one was made to the end.
    var made: Int { state.withLock { $0.made } }

    /// How many were thrown away.
    var discarded: Int { state.withLock { $0.discarded } }

    /// The folders of goldens, whole or not.
    var folders: [String] { (try? FileTree.names(in: path))?.map { "\(path)/\($0)" } ?? [] }

    func golden(
        _ shape: GoldenShape, progress: @escaping @Sendable (String) -> Void,
        make: @escaping @Sendable (_ folder: String) async throws -> Void
    ) async throws -> any GoldenFolder {
        let facts = shape.facts.map { "\($0.name) \($0.value)" }.joined(separator: ",")
        let folder = "\(path)/\(shape.image) \(facts.replacing("/", with: "-"))"
        if try FileTree.names(in: path).contains(where: { folder == "\(path)/\($0)" }) {
            return Kept(path: folder, shelf: self)
        }
        do {
            try FileTree.makeFolder(folder)
            try await make(folder)
        } catch {
            try FileTree.remove(folder)
            throw error
        }
        state.withLock { $0.made += 1 }
        return Kept(path: folder, shelf: self)
    }

    private struct Kept: GoldenFolder {
        let path: String
        let shelf: GoldenShelf

        func discard() async {
            try? FileTree.remove(path)
            shelf.state.withLock { $0.discarded += 1 }
        }
    }
}
