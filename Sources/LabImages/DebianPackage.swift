import Diagnostics
import Glibc
import Hashing
import HostSystem

/// A package that apt would download.
struct DebianPackage: Codable, Sendable, Hashable {
    var name: String
    var version: String
    /// The file's name, as apt writes it.
    var file: String
    var size: UInt64
    /// The SHA-256 from the archive's signed index; other kinds of hash are not supported.
    var sha256: String

    /// Parses a line of `apt-get --print-uris download`: URI, file, size, hash. Nil for other text.
    init?(line: String) {
        let fields = line.split(separator: " ")
        guard fields.count == 4, fields[0].hasPrefix("'"), let size = UInt64(fields[2]),
            fields[3].hasPrefix("SHA256:"), !fields[1].contains("/")
        else { return nil }
        let parts = fields[1].split(separator: "_")
        guard parts.count == 3 else { return nil }
        name = String(parts[0])
        version = parts[1].split(separator: "%3a", omittingEmptySubsequences: false).joined(separator: ":")
        file = String(fields[1])
        self.size = size
        sha256 = String(fields[3].dropFirst("SHA256:".count))
    }
}

/// The cache of downloaded Debian packages, shared by all images. Uses the host's apt and its sources, without root.
struct PackageCache: Sendable {
    let directory: String
    /// The lock file for changes.
    let lock: String

    /// Ensures that the packages are complete and match apt's signed lists, and returns them. Keeps complete files and downloads
    /// others again. Throws a `Diagnostic` when apt does not know a package or cannot fetch it.
    func fetch(_ names: [String], progress: @escaping ImageProgress) async throws -> [DebianPackage] {
        let packages = try await resolve(names)
        try FileTree.makeFolder(directory)
        let lock = try await FileLock.acquire(lock) { holder in
            progress("waiting for \(describe(holder)), which is downloading", nil)
        }
        defer { lock.release() }
        var missing: [DebianPackage] = []
        for package in packages where try await !isComplete(package) { missing.append(package) }
        if !missing.isEmpty { try await download(missing, progress) }
        return packages
    }

    /// Downloads all in one command; after a failure complete files stay for the next time.
    private func download(_ packages: [DebianPackage], _ progress: @escaping ImageProgress) async throws {
        for package in packages { try? FileTree.remove("\(directory)/\(package.file)") }
        let count = packages.count
        progress("downloading \(count) packages", 0)
        let result = try await Tool.run(
            "apt-get", ["download", "-q"] + packages.map { "\($0.name)=\($0.version)" }, package: "apt",
            environment: Self.environment, workingDirectory: directory
        ) { line in
            // `Get:3 http://… bookworm/main amd64 libwine amd64 8.0 [100 MB]`
            let words = line.split(separator: " ")
            guard words.count > 4, words[0].hasPrefix("Get:"), let number = Int(words[0].dropFirst(4)) else { return }
            progress("downloading \(words[4]), \(number) of \(count)", Double(number - 1) / Double(count))
        }
        let names = packages.map(\.name).joined(separator: ", ")
        try BuildFailure.check(result, "cannot download the Debian packages \(names)", near: directory) {
            "check the network and apt's sources; if its lists are old: `sudo apt-get update`"
        }
        for package in packages where try await !isComplete(package) {
            throw Diagnostic(
                .image, "the downloaded package \(package.file) does not match apt's lists",
                remedy: "refresh the lists: `sudo apt-get update`")
        }
    }

    /// The packages that apt would download for these names. A kernel's meta package resolves to the kernel itself.
    func resolve(_ names: [String]) async throws -> [DebianPackage] {
        var real: [String] = []
        for name in names {
            let isMeta = name.hasPrefix("linux-image-") && name.dropFirst("linux-image-".count).first?.isNumber == false
            real.append(isMeta ? try await kernel(of: name) : name)
        }
        guard !real.isEmpty else { return [] }
        let result = try await apt("apt-get", ["--print-uris", "-qq", "download"] + real)
        let packages = result.text.split(separator: "\n").compactMap { DebianPackage(line: String($0)) }
        guard packages.count == Set(real).count else {
            throw Diagnostic(
                .image, "apt does not say where to download \(real.joined(separator: ", "))",
                remedy: "refresh its lists: `sudo apt-get update`", notes: Array(result.errors.suffix(6)))
        }
        return packages
    }

    private func kernel(of meta: String) async throws -> String {
        let result = try await apt("apt-cache", ["show", "--no-all-versions", meta])
        for line in result.text.split(separator: "\n") where line.hasPrefix("Depends:") {
            for word in line.split(whereSeparator: { $0 == " " || $0 == "," }) where word.hasPrefix("linux-image-") {
                return String(word)
            }
        }
        throw Diagnostic(.image, "the Debian package \(meta) depends on no kernel")
    }

    private func apt(_ program: String, _ arguments: [String]) async throws -> ToolResult {
        let result = try await Tool.run(program, arguments, package: "apt", environment: Self.environment)
        return try result.checked(
            "apt does not know a package of the image", category: .image,
            remedy: "fetch apt's lists: `sudo apt-get update`")
    }

    private func isComplete(_ package: DebianPackage) async throws -> Bool {
        let path = "\(directory)/\(package.file)"
        guard FileStamp(path)?.size == package.size else { return false }
        return try await FileHash.sha256(of: path) == package.sha256
    }

    /// apt's messages are parsed, so the locale is C.
    private static var environment: [String: String] {
        Environment.all.merging(["LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"]) { $1 }
    }
}

func describe(_ process: pid_t?) -> String { process.map { "process \($0)" } ?? "another process" }
