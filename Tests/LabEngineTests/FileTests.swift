import Diagnostics
import Glibc
import HostSystem
import LabResults
import LabSpec
import LabTestSupport
import Testing

@testable import LabEngine

/// Files as tar streams, on the host and over a guest's console.
@Suite("Files", .timeLimit(.minutes(1)))
struct FileTests {
    static let hardNames = [
        "plain", "with space", "it's", "a|b", "a&b", "back\\slash", "näme-☃", "\"double\"", "-dash", "$HOME", "a;b",
        "*",
        "tail ", "~", "#x#", "new\nline", "1\\1",
    ]

    /// This process's umask.
    static let mask: mode_t = {
        let line = SmallFile.text("/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix("Umask:") }
        return line?.split(separator: "\t").last.flatMap { mode_t($0, radix: 8) } ?? 0o022
    }()

    /// Everything below a folder: kind, mode, and content or target. With `collected` as it is to be once it came from a
    /// guest: with plain modes, and the link that leaves the tree as text.
    static func listing(_ path: String, at place: String = ".", collected: Bool = false) throws -> [String] {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw SystemCallError("lstat", path) }
        let plain: mode_t = (status.st_mode & 0o100 != 0 ? 0o777 : 0o666) & ~mask
        let mode = String(collected ? plain : status.st_mode & 0o7777, radix: 8)
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            return try ["\(place) folder \(mode)"]
                + FileTree.names(in: path).flatMap {
                    try listing(path + "/" + $0, at: place + "/" + $0, collected: collected)
                }
        case S_IFLNK:
            var buffer = [CChar](repeating: 0, count: 4096)
            let count = readlink(path, &buffer, buffer.count)
            let target = buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }
            if collected, target.first == UInt8(ascii: "/") {
                let text = "symbolic link to `\(String(decoding: target, as: UTF8.self))`\n"
                return ["\(place) file \(String(0o666 & ~mask, radix: 8)) \(text.utf8.count) \(text)"]
            }
            return ["\(place) link \(String(decoding: target, as: UTF8.self))"]
        default:
            return ["\(place) file \(mode) \(try SmallFile.bytes(path).count) \(SmallFile.text(path) ?? "")"]
        }
    }

    /// A tree with all that is hard to copy.
    static func makeTree(_ root: String) throws {
        try FileTree.makeFolder(root + "/empty", mode: 0o700)
        try FileTree.makeFolder(root + "/sub/deep")
        for (index, name) in hardNames.enumerated() {
            try write("\(name): \(index)\n", to: root + "/sub/" + name, mode: index % 2 == 0 ? 0o644 : 0o755)
        }
        try write([0, 255, 10, 13, 3, 0], to: root + "/sub/deep/binary", mode: 0o600)
        symlink("../sub/plain", root + "/sub/link")
        symlink("/nowhere/at all", root + "/broken")
        chmod(root + "/sub/deep", 0o750)
        chmod(root, 0o755)
    }

    private func copy(_ host: String, as guest: String, into root: String) async throws {
        let archive = try TemporaryFile()
        try await TarStream.pack(host: host, guest: guest, into: archive.descriptor)
        try archive.rewind()
        try await Tool.run("tar", ["-xf", "-", "-C", root], standardInput: .descriptor(archive.descriptor))
            .checked("tar could not unpack")
    }

    @Test("a folder keeps modes, empty folders, links and every name")
    func folder() async throws {
        try await withTemporaryFolder { base in
            try Self.makeTree(base + "/tree")
            try FileTree.makeFolder(base + "/out")
            try await copy(base + "/tree", as: "/a b/target", into: base + "/out")
            #expect(try Self.listing(base + "/out/a b/target") == Self.listing(base + "/tree"))
        }
    }

    @Test("names in the target path stand for themselves", arguments: hardNames.filter { !$0.contains("\n") })
    func targets(name: String) async throws {
        try await withTemporaryFolder { base in
            try write("x", to: base + "/file")
            try FileTree.makeFolder(base + "/folder/inner")
            try FileTree.makeFolder(base + "/out")
            try await copy(base + "/file", as: "/to/\(name)", into: base + "/out")
            try await copy(base + "/folder", as: "/dir/\(name)", into: base + "/out")
            #expect(SmallFile.text(base + "/out/to/" + name) == "x")
            #expect(try FileTree.names(in: base + "/out/dir/" + name) == ["inner"])
        }
    }

    @Test("a source may have any name; a final slash places it inside", arguments: hardNames)
    func sources(name: String) async throws {
        try await withTemporaryFolder { base in
            try write("x", to: base + "/" + name)
            try FileTree.makeFolder(base + "/out")
            try await copy(base + "/" + name, as: "/to", into: base + "/out")
            #expect(SmallFile.text(base + "/out/to") == "x")
            guard !name.contains("\n") else { return }
            try await copy(base + "/" + name, as: "/into/", into: base + "/out")
            #expect(try FileTree.names(in: base + "/out/into") == [name])
        }
    }

    @Test("folders merge into what is there; a source with a final slash is the same folder")
    func merging() async throws {
        try await withTemporaryFolder { base in
            try FileTree.makeFolder(base + "/tree")
            try write("new", to: base + "/tree/b")
            try FileTree.makeFolder(base + "/out/t")
            try write("old", to: base + "/out/t/a")
            try write("old", to: base + "/out/t/b")
            try await copy(base + "/tree/", as: "/t", into: base + "/out")
            #expect(SmallFile.text(base + "/out/t/a") == "old")
            #expect(SmallFile.text(base + "/out/t/b") == "new")
        }
    }

    @Test("a missing source and a line break in the target are named")
    func badPaths() async throws {
        let archive = try TemporaryFile()
        await #expect(throws: Diagnostic.self) {
            try await TarStream.pack(host: "/no/such/file", guest: "/x", into: archive.descriptor)
        }
        await #expect(throws: Diagnostic.self) {
            try await TarStream.pack(host: "/etc/hostname", guest: "/x\ny", into: archive.descriptor)
        }
    }

    // MARK: Over the console

    /// A lab whose guest has no exchange disk.
    private func consoleLab(_ tasks: [LabTask]) -> TestLab {
        var lab = TestLab(tasks: tasks)
        lab.image.console.announces = false
        return lab
    }

    @Test("over the console: put, run, get")
    func console() async throws {
        try await withTemporaryFolder { base in
            try Self.makeTree(base + "/tree")
            try write((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) }, to: base + "/big")
            let lab = consoleLab([
                task("t", "cmp \(base)/big \(base)/guest/big && echo same; exit 3").with {
                    $0.put = [
                        FileCopy(host: base + "/tree", guest: base + "/guest/tree"),
                        FileCopy(host: base + "/big", guest: base + "/guest/"),
                    ]
                    $0.get = [base + "/guest/tree", base + "/guest/big", base + "/guest/none"]
                },
                task("after"),
            ])
            let inspect: @Sendable (TestRun) throws -> Void = { run in
                let result = try run.result("t")
                let artifacts = result.artifacts.map { run.results.absolute($0) }
                #expect(artifacts.count == 2)
                #expect(
                    try Self.listing(try #require(artifacts.first)) == Self.listing(base + "/tree", collected: true))
                #expect(try SmallFile.bytes(artifacts[1]) == SmallFile.bytes(base + "/big"))
            }
            let run = try await TestLab.$inspect.withValue(inspect) { try await lab.run() }
            let result = try run.result("t")
            #expect(result.outputTail == "same\n")
            #expect(result.outcome == .failed)
            #expect(result.message?.contains("exit status 3") == true)
            #expect(result.message?.contains("\(base)/guest/none could not be collected") == true)
            #expect(try run.result("after").outcome == .passed)
        }
    }

    @Test("what is missing in the guest fails a task that passed; what is missing on the host is an error")
    func missing() async throws {
        let lab = consoleLab([
            task("get").with { $0.get = ["/no/such/file"] },
            task("put").with { $0.put = [FileCopy(host: "/no/such/file", guest: "/tmp/x")] },
            task("into").with { $0.put = [FileCopy(host: "/etc/hostname", guest: "/proc/no/such")] },
            task("after"),
        ])
        let run = try await lab.run()
        #expect(try run.result("get").outcome == .failed)
        #expect(try run.result("get").message?.contains("there is no such file in the guest") == true)
        #expect(try run.result("put").outcome == .error)
        #expect(try run.result("put").message?.contains("/no/such/file") == true)
        #expect(try run.result("into").outcome == .error)
        #expect(try run.result("after").outcome == .passed)
    }

    @Test("files are collected after a timeout too")
    func afterTimeout() async throws {
        try await withTemporaryFolder { base in
            let lab = consoleLab([
                task("t", "echo partial > \(base)/log; sleep 100").with {
                    $0.timeout = .seconds(3)
                    $0.get = [base + "/log"]
                }
            ])
            let run = try await lab.run()
            #expect(try run.result("t").outcome == .timeout)
            #expect(try run.result("t").artifacts.count == 1)
        }
    }

    @Test("files of one name from two places are both kept, and a second attempt replaces the first's")
    func sameName() async throws {
        try await withTemporaryFolder { base in
            let lab = consoleLab([
                task("t", "mkdir -p \(base)/a \(base)/b; echo 1 > \(base)/a/log; echo 2 > \(base)/b/log").with {
                    $0.get = [base + "/a/log", base + "/b/log"]
                }
            ])
            let inspect: @Sendable (TestRun) throws -> Void = { run in
                let texts = try run.result("t").artifacts.map { SmallFile.text(run.results.absolute($0)) }
                #expect(texts == ["1\n", "2\n"])
            }
            let run = try await TestLab.$inspect.withValue(inspect) { try await lab.run() }
            #expect(run.status == .passed)
        }
    }

    @Test("what a guest sends cannot leave its folder by way of what it sent before")
    func hostileArchives() async throws {
        try await withTemporaryFolder { base in
            try FileTree.makeFolder(base + "/outside")
            try FileTree.makeFolder(base + "/evil1")
            symlink(base + "/outside", base + "/evil1/x")
            try FileTree.makeFolder(base + "/evil2/x")
            try write("owned", to: base + "/evil2/x/file")
            let lab = consoleLab([
                task("t").with { $0.get = [base + "/evil1/x", base + "/evil2/x"] }
            ])
            try await lab.run()
            #expect(try FileTree.names(in: base + "/outside").isEmpty)
        }
    }
}
