import Diagnostics
import Hashing
import HostSystem
import LabSpec

extension ImageStore {
    /// The largest file that is fetched, in bytes, and how long it may take.
    private static let largestDownload: UInt64 = 64 << 30
    private static let downloadTime = Duration.seconds(2 * 60 * 60)

    /// The file of a download, fetched first when it is not there. What is kept has the sum that was asked for, so it needs no
    /// network again. Throws a `Diagnostic` at `span`: another sum, no network, no space; and `CancellationError`.
    func fetch(
        _ download: DiskDownload, at span: SourceSpan?, progress: @escaping ImageProgress
    ) async throws -> String {
        let folder = "\(directory)/downloads"
        let path = "\(folder)/\(download.sha256)"
        if FileTree.exists(path) { return path }
        do throws(SystemCallError) {
            for folder in [folder, "\(directory)/locks"] { try FileTree.makeFolder(folder) }
        } catch {
            throw error.diagnostic("cannot use the image cache \(directory)")
        }
        let lock = try await FileLock.acquire("\(directory)/locks/download-\(download.sha256.prefix(16))") { holder in
            progress("waiting for \(describe(holder)), which is fetching it", nil)
        }
        defer { lock.release() }
        if FileTree.exists(path) { return path }
        let part = "\(path).part"
        progress("fetching \(download.url)", nil)
        let what = "the disk \(download.url) cannot be fetched"
        do {
            try await withDeadline(.now + Self.downloadTime) {
                var result = try await curl(download.url, to: part)
                // A server that cannot go on where it was cut off, or a file that has become another.
                if !result.status.isSuccess, FileTree.exists(part), BuildFailure.fullDisk(near: folder) == nil,
                    result.status == .exited(33) || result.status == .exited(22)
                {
                    try FileTree.remove(part)
                    result = try await curl(download.url, to: part)
                }
                if !result.status.isSuccess, let full = BuildFailure.fullDisk(near: folder) {
                    try FileTree.remove(part)
                    throw full
                }
                guard result.status.isSuccess else {
                    // After its reason curl may go on with advice.
                    let reason = result.errors.last { $0.hasPrefix("curl: ") } ?? result.errors.last
                    throw Diagnostic(
                        .image, what,
                        remedy: "run it again, what has come is kept; a file that is already here is a `path:`",
                        cause: reason ?? "curl: \(result.status)")
                }
            }
        } catch is DeadlineExceeded {
            throw Diagnostic(.image, what, cause: "it took longer than two hours", at: span)
        } catch let problem as Diagnostic {
            throw problem.placed(at: span)
        }
        progress("checking what was fetched", nil)
        let sum = try await FileHash.sha256(of: part)
        guard sum == download.sha256 else {
            try? FileTree.remove(part)
            throw Diagnostic(
                .image, "the disk \(download.url) is not what the lab asks for",
                remedy: "compare with what its publisher says; if it is a new version, write its sum",
                cause: "its SHA-256 is \(sum), not \(download.sha256)", at: span)
        }
        do throws(SystemCallError) {
            try FileTree.move(part, to: path)
        } catch {
            throw error.diagnostic("cannot keep what was fetched")
        }
        return path
    }

    private func curl(_ url: String, to file: String) async throws -> ToolResult {
        try await Tool.run(
            "curl",
            [
                "--fail", "--location", "--silent", "--show-error", "--proto", "=https", "--proto-redir", "=https",
                "--max-redirs", "5", "--connect-timeout", "30", "--speed-limit", "1024", "--speed-time", "60",
                "--retry", "3", "--max-filesize", "\(Self.largestDownload)", "--continue-at", "-", "--output", file,
                "--", url,
            ], package: "curl", environment: Environment.all.merging(fetchEnvironment) { $1 })
    }
}
