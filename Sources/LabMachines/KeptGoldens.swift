import LabEngine
import LabImages

/// The image cache's goldens, for runs.
public struct KeptGoldens: GoldenStoring {
    private let store: GoldenStore

    /// Goldens in a store, by default that of this user.
    public init(in store: GoldenStore = GoldenStore()) { self.store = store }

    /// A golden. See the protocol.
    public func golden(
        _ shape: GoldenShape, progress: @escaping @Sendable (String) -> Void,
        make: @escaping @Sendable (_ folder: String) async throws -> Void
    ) async throws -> any GoldenFolder {
        let key = GoldenKey(image: shape.image, imageID: shape.imageID, facts: shape.facts)
        let golden = try await store.golden(key, progress: { step, _ in progress(step) }, build: make)
        return Folder(golden: golden, store: store)
    }

    private struct Folder: GoldenFolder {
        let golden: Golden
        let store: GoldenStore

        var path: String { golden.folder }

        func discard() async {
            // What cannot be thrown away is found wanting again by the next who asks.
            try? await store.discard(golden)
        }
    }
}
