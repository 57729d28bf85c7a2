import Diagnostics
import Glibc
import Hashing
import HostSystem

/// What a recipe needs of Debian's packages.
enum PackageRequest: Sendable, Hashable {
    /// These packages and no others. A kernel's meta package stands for the kernel itself.
    case these([String])
    /// A whole system: the essential packages, these, and all that they depend on.
    case system([String])

    var isEmpty: Bool { self == .these([]) }
}

/// The packages of a request.
struct ResolvedPackages: Sendable {
    var all: [DebianPackage]
    /// Those that a new system begins with, before its dpkg can run.
    var essential: [DebianPackage] = []
}

/// The cache of downloaded Debian packages, shared by all images. Uses the host's apt, without root.
struct PackageCache: Sendable {
    let directory: String
    /// The lock file for changes.
    let lock: String
    var apt = Apt.host

    /// Ensures that the packages are complete and match apt's signed lists, and returns them. Keeps complete files and downloads
    /// others again. Throws a `Diagnostic` when apt does not know a package or cannot fetch it.
    func fetch(_ request: PackageRequest, progress: @escaping ImageProgress) async throws -> ResolvedPackages {
        try await apt.prepare(progress: progress)
        let packages = try await resolve(request)
        try FileTree.makeFolder(directory)
        let lock = try await FileLock.acquire(lock) { holder in
            progress("waiting for \(describe(holder)), which is downloading", nil)
        }
        defer { lock.release() }
        var missing: [DebianPackage] = []
        for package in packages.all where try await !isComplete(package) { missing.append(package) }
        if !missing.isEmpty { try await download(missing, progress) }
        return packages
    }

    /// Downloads all in one command; after a failure complete files stay for the next time.
    private func download(_ packages: [DebianPackage], _ progress: @escaping ImageProgress) async throws {
        for package in packages { try? FileTree.remove("\(directory)/\(package.file)") }
        let count = packages.count
        progress("downloading \(count) packages", 0)
        let result = try await apt.run(
            "apt-get", ["download", "-q"] + packages.map { "\($0.name)=\($0.version)" }, in: directory
        ) { line in
            // `Get:3 http://… bookworm/main amd64 libwine amd64 8.0 [100 MB]`
            let words = line.split(separator: " ")
            guard words.count > 4, words[0].hasPrefix("Get:"), let number = Int(words[0].dropFirst(4)) else { return }
            progress("downloading \(words[4]), \(number) of \(count)", Double(number - 1) / Double(count))
        }
        let names = packages.prefix(8).map(\.name).joined(separator: ", ") + (count > 8 ? " and \(count - 8) more" : "")
        try BuildFailure.check(result, "cannot download the Debian packages \(names)", near: directory) {
            "check the network and apt's sources; if its lists are old: \(refresh)"
        }
        for package in packages where try await !isComplete(package) {
            throw Diagnostic(
                .image, "the downloaded package \(package.file) does not match apt's lists",
                remedy: "refresh the lists: \(refresh)")
        }
    }

    private var refresh: String {
        apt.release.map { "`vmlab images update debian:\($0.name.number)`" } ?? "`sudo apt-get update`"
    }

    // MARK: Resolving

    /// The packages that apt would download for a request.
    func resolve(_ request: PackageRequest) async throws -> ResolvedPackages {
        switch request {
        case .these(let names):
            var real: [String] = []
            for name in names { real += Self.isKernel(name) ? try await kernel(of: name) : [name] }
            guard !real.isEmpty else { return ResolvedPackages(all: []) }
            return ResolvedPackages(all: try await packages(["download"] + real, real))
        case .system(let names):
            // Where there is `usr-is-merged`, it stands for `usrmerge`, which would bring perl.
            let merged = ["usr-is-merged"].filter { apt.release?.name.has($0) != false }
            let essential = ["-y", "install", "?essential"] + merged
            let others = names.filter { !merged.contains($0) && apt.release?.name.has($0) != false }
            return ResolvedPackages(
                all: try await packages(essential + ["apt"] + others, names),
                essential: try await packages(essential, []))
        }
    }

    private func packages(_ arguments: [String], _ names: [String]) async throws -> [DebianPackage] {
        let result = try await apt.run("apt-get", ["--print-uris", "-qq"] + arguments)
        guard result.status.isSuccess else { throw try await apt.problem(result, names) }
        let packages = result.text.split(separator: "\n").compactMap { DebianPackage(line: String($0)) }
        guard packages.count >= Set(names).count, !packages.isEmpty else {
            throw Diagnostic(
                .image, "apt does not say where to download \(names.joined(separator: ", "))",
                remedy: "refresh its lists: \(refresh)")
        }
        return packages
    }

    private static let kernelPrefix = "linux-image-"
    private static func isKernel(_ name: String) -> Bool { name.hasPrefix(kernelPrefix) }

    /// The packages with a kernel's files. A meta package depends on the kernel; that of sid's depends on others, with its
    /// parts.
    private func kernel(of name: String) async throws -> [String] {
        var found: [String] = []
        var unread = [name]
        while let name = unread.popLast() {
            let isMeta = Self.isKernel(name) && name.dropFirst(Self.kernelPrefix.count).first?.isNumber == false
            if !isMeta { found.append(name) }
            let result = try await apt.run("apt-cache", ["show", "--no-all-versions", name])
            guard result.status.isSuccess else { throw try await apt.problem(result, [name]) }
            for line in result.text.split(separator: "\n") where line.hasPrefix("Depends:") {
                unread += line.split { $0 == " " || $0 == "," }.map(String.init).filter { word in
                    [Self.kernelPrefix, "linux-base-", "linux-binary-", "linux-modules-"].contains {
                        word.hasPrefix($0)
                    }
                        && word.contains(where: \.isNumber) && !found.contains(word) && !unread.contains(word)
                }
            }
        }
        if found.isEmpty { throw Diagnostic(.image, "the Debian package \(name) depends on no kernel") }
        return found
    }

    private func isComplete(_ package: DebianPackage) async throws -> Bool {
        let path = "\(directory)/\(package.file)"
        guard FileStamp(path)?.size == package.size else { return false }
        return try await FileHash.sha256(of: path) == package.sha256
    }
}

func describe(_ process: pid_t?) -> String { process.map { "process \($0)" } ?? "another process" }
