import Diagnostics
import HostSystem

/// The host's apt, for the host's own release or for another, without root: it resolves and fetches packages, and installs none.
struct Apt: Sendable {
    /// The release, with a folder for its sources and lists; nil for the host's own, as its apt is set up.
    let release: (name: DebianRelease, folder: String)?

    /// The host's apt as it is.
    static let host = Apt(release: nil)

    /// apt for a release, with its sources and lists in a folder of the cache.
    init(_ release: DebianRelease, cacheDirectory: String) {
        self.init(release: (release, "\(cacheDirectory)/apt/\(release.rawValue)"))
    }

    private init(release: (name: DebianRelease, folder: String)?) {
        self.release = release
    }

    /// A tree with the files of the guest's own apt, to be laid over its root.
    var guestTree: String? { release.map { Self.guestTree(in: $0.folder) } }
    private static func guestTree(in folder: String) -> String { "\(folder)/guest" }
    private static func sources(in folder: String) -> String { "\(guestTree(in: folder))/etc/apt/sources.list.d" }

    /// Options of every call: only the release's sources and lists, and a system in which nothing is installed.
    private var options: [String] {
        guard let folder = release?.folder else { return [] }
        let settings = [
            "Dir::Etc::sourcelist=/dev/null", "Dir::Etc::sourceparts=\(Self.sources(in: folder))",
            "Dir::Etc::preferencesparts=/dev/null", "Dir::State=\(folder)/state", "Dir::State::lists=\(folder)/lists",
            "Dir::State::status=\(folder)/status", "Dir::Cache=\(folder)/cache",
            // Debian's container images set this to nothing, and each call would parse all lists again.
            "Dir::Cache::pkgcache=pkgcache.bin", "Dir::Cache::srcpkgcache=", "Dir::Log=\(folder)/state",
            "Debug::NoLocking=1", "APT::Sandbox::User=", "APT::Architecture=amd64", "APT::Architectures=amd64",
            "APT::Install-Recommends=0", "Acquire::Languages=none", "Acquire::Retries=2",
            // Its other commands print only MD5 sums.
            "Acquire::ForceHash=SHA256",
        ]
        return settings.flatMap { ["-o", $0] }
    }

    /// Runs one of apt's programs, whose messages are parsed: the locale is C.
    func run(
        _ program: String, _ arguments: [String], in folder: String? = nil,
        onLine: (@Sendable (String) -> Void)? = nil
    ) async throws -> ToolResult {
        try await Tool.run(
            program, options + arguments, package: "apt",
            environment: Environment.all.merging(["LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"]) { $1 },
            workingDirectory: folder, onLine: onLine)
    }

    // MARK: Lists

    /// Whether the lists of packages are there.
    private var hasLists: Bool {
        guard let folder = release?.folder else { return true }
        return ((try? FileTree.names(in: "\(folder)/lists")) ?? []).contains { $0.contains("_Packages") }
    }

    /// Makes the lists be there, and if `refreshing` be today's. One process does so at a time. Throws a `Diagnostic` when they
    /// cannot be had.
    func prepare(refreshing: Bool = false, progress: @escaping ImageProgress) async throws {
        guard let (release, folder) = release, refreshing || !hasLists else { return }
        do throws(SystemCallError) {
            try FileTree.makeFolder(Self.sources(in: folder))
            for name in ["state/lists/partial", "lists/partial", "cache/archives/partial"] {
                try FileTree.makeFolder("\(folder)/\(name)")
            }
        } catch {
            throw error.diagnostic("cannot use the image cache \(folder)")
        }
        let lock = try await FileLock.acquire("\(folder)/lock") { holder in
            progress("waiting for \(describe(holder)), which is fetching the lists of Debian \(release.number)", nil)
        }
        defer { lock.release() }
        guard refreshing || !hasLists else { return }
        guard FileTree.exists(DebianSources.keyring) else {
            throw Diagnostic(
                .host, "Debian's keys are missing: \(DebianSources.keyring)",
                remedy: "on Debian and Ubuntu: `apt-get install debian-archive-keyring`")
        }
        let sources = DebianSources(release, targets: try await Self.hostTargets())
        try SmallFile.replace(
            "\(Self.sources(in: folder))/debian.sources", with: Array(sources.text.utf8))
        try SmallFile.replace("\(folder)/status", with: [])
        progress("fetching the lists of Debian \(release.number)", nil)
        let result = try await run("apt-get", ["-q", "update", "--error-on=any"])
        try BuildFailure.check(result, "cannot fetch the lists of Debian \(release.number)", near: folder) {
            "check the network, and that \(sources.archive) has the suite \(release.rawValue); a mirror of your own is "
                + "taken from this host's apt sources"
        }
    }

    private static func hostTargets() async throws -> String {
        let result = try await Tool.run(
            "apt-get", ["indextargets", "--format", DebianSources.targetFormat], package: "apt")
        return result.status.isSuccess ? result.text : ""
    }

    // MARK: Packages

    /// A package that apt does not know, from its message; nil for other messages.
    static func unknownPackage(_ errors: [String]) -> String? {
        for line in errors {
            if line.hasPrefix("E: Unable to locate package ") {
                return String(line.dropFirst("E: Unable to locate package ".count))
            }
            if line.hasPrefix("E: Package '"), line.hasSuffix("' has no installation candidate") {
                return line.split(separator: "'").dropFirst().first.map(String.init)
            }
        }
        return nil
    }

    /// The error for packages that apt cannot resolve, with the nearest name of its lists.
    func problem(_ result: ToolResult, _ names: [String]) async throws -> Diagnostic {
        let place = release.map { "Debian \($0.name.number)" } ?? "apt"
        if let unknown = Self.unknownPackage(result.errors) {
            let known = try await run("apt-cache", ["pkgnames"]).text.split(separator: "\n").map(String.init)
            return Diagnostic(
                .image, "\(place) has no package \(unknown.quoted())",
                remedy: didYouMean(unknown, known) ?? "`apt-cache search WORDS` finds packages; if it is new: "
                    + (release.map { "`vmlab images update debian:\($0.name.number)`" } ?? "`sudo apt-get update`"))
        }
        return Diagnostic(
            .image, "\(place) cannot resolve the packages \(names.joined(separator: ", "))",
            remedy: release == nil ? "fetch apt's lists: `sudo apt-get update`" : nil,
            cause: result.errors.last { $0.hasPrefix("E: ") }, notes: Array(result.errors.suffix(12)))
    }
}
