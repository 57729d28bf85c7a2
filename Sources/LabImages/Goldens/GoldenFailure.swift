import Diagnostics
import Foundation
import GuestControl
import HostSystem

/// Records that a golden cannot be made because of its guest, so that not every run tries again and says so. It holds until the
/// image changes, which is another key then, or it is forgotten.
package struct GoldenFailure: Sendable, Hashable, ManifestFile {
    package let key: GoldenKey
    /// Why its guest did not come up, one line.
    package let reason: String
    package let failed: Date

    /// How long it is kept without its image, in seconds: changed images leave theirs behind.
    private static let age = 90 * 24 * 3600.0

    init(_ key: GoldenKey, _ reason: String) {
        self.key = key
        self.reason = reason
        failed = Date()
    }

    var files: [CachedFile] { [] }

    /// The error for a user who demands clones.
    var diagnostic: Diagnostic {
        Diagnostic(
            .guest, "the attempt at \(failed.formatted(.iso8601)) failed: \(reason)",
            remedy:
                "`vmlab images rm \(key.image)` has it tried again, as does a change of the image; `boot: cold` needs no golden"
        )
    }

    /// Whether it is still valid. A time in the future was recorded by a wrong clock.
    var isValid: Bool { failed <= Date() && failed.timeIntervalSinceNow > -Self.age }
}

extension GoldenStore {
    /// The recorded failure for this key; nil when the golden may be tried.
    package func failure(of key: GoldenKey) -> GoldenFailure? {
        guard let failure = read(key.name), failure.key == key, failure.isValid else { return nil }
        return failure
    }

    /// Records that the golden of this key cannot be made. In a read-only cache it is tried each time.
    package func noteFailure(of key: GoldenKey, _ reason: String) {
        _ = remember(key, cannotBeCloned: reason)
    }

    /// See the protocol.
    package func remember(_ key: GoldenKey, cannotBeCloned reason: String) -> Bool {
        guard failure(of: key) == nil else { return false }
        let folder = "\(failures)/\(key.name)"
        guard (try? FileTree.makeFolder(folder)) != nil else { return false }
        return (try? GoldenFailure(key, reason).write(in: folder)) != nil
    }

    /// All recorded failures, by image, the latest first.
    package func listFailures() -> [GoldenFailure] {
        failureNames.compactMap(read).filter(\.isValid).sorted {
            ($0.key.image, $1.failed) < ($1.key.image, $0.failed)
        }
    }

    /// Whether any golden or failure of this image is stored.
    func knows(image: String) -> Bool {
        list().contains { $0.image == image } || listFailures().contains { $0.key.image == image }
    }

    /// Forgets failures, so that these goldens are tried again.
    func forgetFailures(where isUnwanted: (GoldenFailure) -> Bool) {
        CacheFolder.remove(in: failures) { read($0).map(isUnwanted) ?? true }
    }

    private var failures: String { "\(directory)/failed" }
    private var failureNames: [String] { (try? FileTree.names(in: failures)) ?? [] }
    private func read(_ name: String) -> GoldenFailure? { GoldenFailure(in: "\(failures)/\(name)") }
}
