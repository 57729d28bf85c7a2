import Diagnostics
import Foundation
import GuestControl
import LabImages

/// The image cache's goldens, for runs. One whose guest showed that it does not come up is not tried again for a day.
package struct KeptGoldens: GoldenStoring {
    private let store: GoldenStore

    /// Goldens in a store, by default that of this user.
    package init(in store: GoldenStore = GoldenStore()) { self.store = store }

    /// A golden. See the protocol.
    package func golden(
        _ shape: GoldenShape, progress: @escaping @Sendable (String) -> Void,
        make: @escaping @Sendable (_ folder: String) async throws -> Void
    ) async throws -> any GoldenFolder {
        let key = GoldenKey(image: shape.image, imageID: shape.imageID, facts: shape.facts)
        let golden = try await store.golden(key, progress: { step, _ in progress(step) }) { folder in
            // Who waited for another that failed does not try again either.
            if let failure = store.failure(of: key) { throw Self.isKnown(failure) }
            do {
                try await make(folder)
            } catch let loss as GuestLoss where loss.isGuestsDoing && !Task.isCancelled {
                store.noteFailure(of: key, loss.message)
                throw loss
            }
        }
        return Folder(golden: golden, store: store)
    }

    private static func isKnown(_ failure: GoldenFailure) -> Diagnostic {
        let image = failure.key.image
        return Diagnostic(
            .guest, "the attempt at \(failure.failed.formatted(.iso8601)) failed: \(failure.reason)",
            remedy: "`vmlab images rm \(image)` has it tried again, as does waiting a day; `boot: cold` needs no golden"
        )
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
