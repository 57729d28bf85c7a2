import Diagnostics
import Foundation
import Glibc
import HostSystem

/// Receives a build's progress: the current step, and its fraction from 0 to 1 if known. May be called on any thread.
package typealias ImageProgress = @Sendable (_ step: String, _ fraction: Double?) -> Void

/// One run of a recipe in a scratch folder.
struct ImageBuild: Sendable {
    let recipe: Recipe
    let packages: PackageCache
    /// In which way it is not the catalog's image itself; nil when it is.
    let variant: String?
    /// An empty folder on the cache's file system; the finished image is `out` in it.
    let scratch: String
    let progress: ImageProgress

    /// The time limit; a recipe that takes longer hangs.
    static let limit = Duration.seconds(30 * 60)

    /// Builds and returns the folder with the image's files and manifest. Throws a `Diagnostic` for what the user can fix: a
    /// missing program, a failed download, a full disk, or the script's last output.
    func run() async throws -> String {
        try checkTools()
        let folders = ["files", "debs", "work", "out"].map { "\(scratch)/\($0)" }
        for folder in folders { try FileTree.makeFolder(folder) }
        try write(recipe.script, to: "\(scratch)/files/recipe.sh")
        for (name, bytes) in recipe.support { try write(bytes, to: "\(scratch)/files/\(name)") }

        let fetched = try await packages.fetch(recipe.packages, progress: progress)
        // The script sees only its own packages.
        for package in fetched.all {
            let link = "\(scratch)/debs/\(package.file)"
            try systemCall("symlink", link) { symlink("\(packages.directory)/\(package.file)", link) }
        }
        try write(Array(fetched.essential.map { $0.file + "\n" }.joined().utf8), to: essential)
        try await runScript()
        try await writeManifest(fetched.all)
        return "\(scratch)/out"
    }

    /// The list of the packages that a new system begins with.
    private var essential: String { "\(scratch)/essential" }

    /// Throws one error that names all missing programs.
    private func checkTools() throws {
        var tools = recipe.tools
        tools["bash"] = "bash"
        if !recipe.packages.isEmpty { (tools["apt-get"], tools["apt-cache"]) = ("apt", "apt") }
        do {
            try Tool.require(tools)
        } catch var diagnostic as Diagnostic {
            diagnostic.message = "the image \(recipe.name) cannot be built: \(diagnostic.message)"
            throw diagnostic
        }
    }

    private func runScript() async throws {
        let environment = Environment.all.merging([
            "VMLAB_FILES": "\(scratch)/files", "VMLAB_DEBS": "\(scratch)/debs", "VMLAB_WORK": "\(scratch)/work",
            "VMLAB_OUT": "\(scratch)/out", "VMLAB_ESSENTIAL": essential,
            "VMLAB_APT": packages.apt.guestTree ?? "",
        ]) { $1 }.merging(recipe.variables) { $1 }
        let progress = progress
        progress("starting", nil)
        let result: ToolResult
        do {
            result = try await withDeadline(.now + Self.limit) {
                try await Tool.run(
                    "bash", ["\(scratch)/files/recipe.sh"], environment: environment,
                    workingDirectory: "\(scratch)/work"
                ) { line in
                    if line.hasPrefix("step: ") { progress(String(line.dropFirst("step: ".count)), nil) }
                }
            }
        } catch is DeadlineExceeded {
            throw Diagnostic(.image, "building the image \(recipe.name) took longer than 30 minutes")
        }
        try BuildFailure.check(result, "cannot build the image \(recipe.name)", near: scratch) { nil }
    }

    private func writeManifest(_ packages: [DebianPackage]) async throws {
        let out = "\(scratch)/out"
        guard ["kernel", "root.qcow2", "agent.img"].contains(where: { (FileStamp("\(out)/\($0)")?.size ?? 0) > 0 })
        else {
            throw Diagnostic(.image, "the recipe of the image \(recipe.name) made no kernel and no disk")
        }
        let manifest = ImageManifest(
            image: recipe.name, key: recipe.key, built: Date(), packages: packages, variant: variant,
            files: try await ImageManifest.files(in: out))
        try manifest.write(in: out)
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        do throws(SystemCallError) {
            try SmallFile.replace(path, with: bytes)
        } catch {
            throw BuildFailure.fullDisk(near: scratch) ?? error.diagnostic("cannot write \(path)")
        }
    }
}

enum BuildFailure {
    /// Throws a `Diagnostic` unless the program succeeded; a full disk is reported as such.
    static func check(_ result: ToolResult, _ what: String, near folder: String, remedy: () -> String?) throws {
        if result.status.isSuccess { return }
        let complained = result.errors.contains { $0.contains("No space left on device") }
        if complained || freeSpace(folder) < 1 << 20, let full = fullDisk(near: folder, certain: true) { throw full }
        try result.checked(what, category: .image, remedy: remedy())
    }

    /// The error for a full disk; nil when it is not full.
    static func fullDisk(
        near folder: String, certain: Bool = false,
        remedy: String = "free about 1 GiB there, or set XDG_CACHE_HOME to a folder on a larger disk"
    ) -> Diagnostic? {
        let free = freeSpace(folder)
        guard certain || free < 1 << 20 else { return nil }
        return Diagnostic(.host, "no space is left on the disk of \(folder)", remedy: remedy)
    }

    private static func freeSpace(_ folder: String) -> UInt64 {
        (try? HostFacts.freeSpace(at: folder)) ?? .max
    }
}
