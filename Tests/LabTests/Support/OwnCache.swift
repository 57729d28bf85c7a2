import Foundation
import Glibc
import HostSystem
import LabImages

extension VMLab {
    /// A cache of this folder's own, which has the user's images and no golden.
    struct OwnCache: Sendable {
        let vmlab: VMLab

        init(_ vmlab: VMLab) throws {
            self.vmlab = vmlab
            try FileTree.makeFolder(folder)
            guard symlink("\(ImageStore.defaultDirectory)/images", "\(folder)/images") == 0 else {
                throw SystemCallError("symlink", folder)
            }
        }

        /// What a command's environment has for it.
        var environment: [String: String?] { ["XDG_CACHE_HOME": "\(vmlab.path)/cache"] }

        private var folder: String { "\(vmlab.path)/cache/vmlab" }

        /// The folders of the goldens.
        var goldens: [String] { names(in: "goldens") }

        /// Goldens in the making, and what is left of such.
        var builds: [String] { names(in: "build") }

        private func names(in shelf: String) -> [String] {
            ((try? FileTree.names(in: "\(folder)/\(shelf)")) ?? []).sorted().map { "\(folder)/\(shelf)/\($0)" }
        }

        /// The hash of each file of each golden, with its path, as sha256sum writes them.
        func hashes() async throws -> [String] {
            let files = try goldens.flatMap { golden in try FileTree.names(in: golden).map { "\(golden)/\($0)" } }
            return try await Tool.run("sha256sum", files).checked("cannot read the goldens").text.split(separator: "\n")
                .map(String.init)
        }
    }
}
