import Diagnostics
import Foundation
import GuestControl
import HostSystem

/// Why a golden cannot be made, as its guest showed: it is not tried again in each run.
package struct GoldenFailure: Sendable, Hashable, ManifestFile {
    /// What it would have been made of.
    package let key: GoldenKey
    /// Why its guest did not come up, one line.
    package let reason: String
    package let failed: Date

    /// For so many seconds it is not tried again.
    private static let age = 24 * 3600.0

    init(_ key: GoldenKey, _ reason: String) {
        self.key = key
        self.reason = reason
        failed = Date()
    }

    /// There are none.
    var files: [CachedFile] { [] }

    /// As a user reads it who wants the golden all the same.
    var diagnostic: Diagnostic {
        Diagnostic(
            .guest, "the attempt at \(failed.formatted(.iso8601)) failed: \(reason)",
            remedy:
                "`vmlab images rm \(key.image)` has it tried again, as does waiting a day; `boot: cold` needs no golden"
        )
    }

    /// Whether it still keeps the golden from being tried. One of the future was noted by a wrong clock.
    var isValid: Bool { failed <= Date() && failed.timeIntervalSinceNow > -Self.age }
}

extension GoldenStore {
    /// Why the golden of this key cannot be made; nil when it is to be tried.
    package func failure(of key: GoldenKey) -> GoldenFailure? {
        guard let failure = read(key.name), failure.key == key, failure.isValid else { return nil }
        return failure
    }

    /// Notes for a day that the golden of this key cannot be made. In a cache that cannot be written to it is tried each time.
    package func noteFailure(of key: GoldenKey, _ reason: String) {
        let folder = "\(failures)/\(key.name)"
        guard (try? FileTree.makeFolder(folder)) != nil else { return }
        try? GoldenFailure(key, reason).write(in: folder)
    }

    /// Every failure that is noted, by image, the latest first.
    package func listFailures() -> [GoldenFailure] {
        failureNames.compactMap(read).filter(\.isValid).sorted {
            ($0.key.image, $1.failed) < ($1.key.image, $0.failed)
        }
    }

    /// Whether there is something of an image's goldens.
    func knows(image: String) -> Bool {
        list().contains { $0.image == image } || listFailures().contains { $0.key.image == image }
    }

    /// Has goldens tried again.
    func forgetFailures(where isUnwanted: (GoldenFailure) -> Bool) {
        CacheFolder.remove(in: failures) { read($0).map(isUnwanted) ?? true }
    }

    private var failures: String { "\(directory)/failed" }
    private var failureNames: [String] { (try? FileTree.names(in: failures)) ?? [] }
    private func read(_ name: String) -> GoldenFailure? { GoldenFailure(in: "\(failures)/\(name)") }
}
