import Diagnostics
import Foundation
import HostSystem
import Synchronization
import Testing

@testable import GuestControl
@testable import LabImages

@Suite("Goldens that cannot be made", .timeLimit(.minutes(1)))
struct GoldenFailureTests {
    private static let key = GoldenKey(image: "own", imageID: "abc", facts: [("memory", "128MiB")])

    private static func loss(isGuestsDoing: Bool) -> GuestLoss {
        GuestLoss(
            outcome: .error, message: "no network card: needs virtio_net", consoleTail: [], isGuestsDoing: isGuestsDoing
        )
    }

    private func withStore(_ body: (GoldenStore) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("vmlab-kept-\(UUID())").path
        defer { try? FileTree.remove(folder) }
        try await body(GoldenStore(cacheDirectory: folder))
    }

    /// Whether the golden of a key is tried, and what the one who wants it is told; every try ends with `loss`.
    private func want(_ key: GoldenKey, in store: GoldenStore, _ loss: GuestLoss) async -> (Bool, any Error) {
        let isTried = Mutex(false)
        do {
            _ = try await store.golden(key, progress: { _ in }) { _ in
                isTried.withLock { $0 = true }
                throw loss
            }
            return (isTried.withLock { $0 }, CancellationError())
        } catch {
            return (isTried.withLock { $0 }, error)
        }
    }

    @Test("N6: a golden whose guest fails as it comes up is tried in one run, until it is forgotten or changes")
    func triedOnce() async throws {
        try await withStore { store in
            let loss = Self.loss(isGuestsDoing: true)
            let first = await want(Self.key, in: store, loss)
            #expect(first.0 && first.1 as? GuestLoss == loss)
            let second = await want(Self.key, in: store, loss)
            let problem = try #require((second.1 as? KnownGoldenFailure)?.diagnostic)
            #expect(!second.0 && problem.message.contains("failed: no network card: needs virtio_net"), "\(problem)")
            #expect(problem.remedy?.contains("`vmlab images rm own`") == true, "\(problem)")
            #expect(store.listFailures().map(\.reason) == [loss.message])
            let changed = GoldenKey(
                image: "own", imageID: "its kernel has the driver", facts: [("memory", "128MiB")])
            #expect(await want(changed, in: store, loss).0)
            _ = store.remove(image: "own")
            #expect(await want(Self.key, in: store, loss).0)
        }
    }

    @Test("why guests cannot be cloned is news once, until it is forgotten")
    func saidOnce() async throws {
        try await withStore { store in
            #expect(store.remember(Self.key, cannotBeCloned: "no shell"))
            #expect(!store.remember(Self.key, cannotBeCloned: "no shell"))
            store.forgetFailures { _ in true }
            #expect(store.remember(Self.key, cannotBeCloned: "no shell"))
        }
    }

    @Test("N6: one that a busy host may have kept from coming up is tried again")
    func triedAgain() async throws {
        try await withStore { store in
            for _ in 0..<2 { #expect(await want(Self.key, in: store, Self.loss(isGuestsDoing: false)).0) }
            #expect(store.listFailures().isEmpty)
        }
    }
}
