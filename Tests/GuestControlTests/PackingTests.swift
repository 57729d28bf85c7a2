import Diagnostics
import Glibc
import HostSystem
import LabResults
import LabSpec
import LabTestSupport
import Testing

@testable import GuestControl

/// Files of the host on their way to a guest, and the guests' own program.
@Suite("Files for guests", .timeLimit(.minutes(1)))
struct PackingTests {
    /// Packs for a guest and unpacks as one that has this program does.
    private func copy(
        _ host: String, as guest: String, into root: String, by program: [String] = ["tar", "-xf", "-"],
        links: LinkCopy = .keep, ignore: IgnoreRules? = nil, keepsHoles: Bool = true
    ) async throws {
        let archive = try OwnedDescriptor.temporaryFile()
        _ = try await TreePacker.pack(
            FileCopy(host: host, guest: guest, links: links, ignore: ignore), as: guest, with: .everything,
            keepsHoles: keepsHoles,
            into: archive.number)
        #expect(lseek(archive.number, 0, SEEK_SET) == 0)
        try await Tool.run(
            program[0], Array(program[1...]), workingDirectory: root, standardInput: .descriptor(archive.number)
        ).checked("\(program) could not unpack")
    }

    /// The guests' own program, built for this host.
    static let vmlabFiles = Task {
        let source =
            #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
            + "/Sources/LabImages/Recipes/vmlab-files.c"
        let program = "/tmp/vmlab-test-files-\(getpid())"
        try await Tool.run(
            "cc",
            [
                "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-pic", "-no-pie", "-Os", "-Wall",
                "-Wextra", "-Werror", "-o", program, source,
            ]
        ).checked("vmlab-files could not be compiled")
        return program
    }

    /// What guests unpack with: their own programs, GNU tar, busybox.
    static let unpackers = ["vmlab-files", "tar", "busybox"]

    private static func program(_ unpacker: String) async throws -> [String] {
        switch unpacker {
        case "vmlab-files": [try await vmlabFiles.value, "unpack"]
        case "busybox": ["busybox", "tar", "-xf", "-"]
        default: ["tar", "--xattrs", "--xattrs-include=user.*", "-xf", "-"]
        }
    }

    @Test("a folder keeps modes, empty folders, links and every name", arguments: unpackers)
    func folder(unpacker: String) async throws {
        try await withTemporaryFolder { base in
            try FileFixtures.makeTree(base + "/tree")
            try FileTree.makeFolder(base + "/out")
            try await copy(base + "/tree", as: "/a b/target", into: base + "/out", by: Self.program(unpacker))
            #expect(try FileFixtures.listing(base + "/out/a b/target") == FileFixtures.listing(base + "/tree"))
        }
    }

    @Test(
        "`ignore: git` copies what git tracks or would: no ignored file, no `.git`, no file that is gone, submodules too"
    )
    func ignoredByGit() async throws {
        try await withTemporaryFolder { base in
            let tree = base + "/tree"
            for (file, text) in [
                (".gitignore", "*.o\nbuild/\n"), ("a b.c", "c"), ("a.o", "o"), ("build/x", "x"), ("gone", "g"),
                ("src/deep/new.c", "n"), ("src/deep/new.o", "o"), ("sub/.gitignore", "*.log\n"), ("sub/kept", "k"),
                ("sub/left.log", "l"),
            ] {
                let path = "\(tree)/\(file)"
                try FileTree.makeFolder(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]))
                try write(text, to: path)
            }
            symlink("a b.c", tree + "/link")
            func git(_ folder: String, _ arguments: String...) async throws {
                try await Tool.run("git", arguments, workingDirectory: folder).checked("git failed")
            }
            try await git(tree + "/sub", "init", "-q")
            try await git(tree, "init", "-q")
            try await git(tree, "add", "gone", "a b.c")
            unlink(tree + "/gone")
            try FileTree.makeFolder(base + "/out")
            try await copy(tree, as: "/target", into: base + "/out", ignore: .git)
            let copied = try await Tool.run("find", ["target", "!", "-type", "d"], workingDirectory: base + "/out").text
            #expect(
                copied.split(separator: "\n").sorted() == [
                    "target/.gitignore", "target/a b.c", "target/link", "target/src/deep/new.c",
                    "target/sub/.gitignore", "target/sub/kept",
                ])
            try await copy(tree + "/src", as: "/part", into: base + "/out", ignore: .git)
            #expect(try FileTree.names(in: base + "/out/part/deep") == ["new.c"])
            try FileTree.makeFolder(base + "/plain")
            await #expect {
                try await copy(base + "/plain", as: "/plain", into: base + "/out", ignore: .git)
            } throws: { error in
                (error as? Diagnostic)?.message == "\(base)/plain is in no git checkout"
            }
        }
    }

    @Test(
        "names in the target path stand for themselves", arguments: FileFixtures.hardNames.filter { !$0.contains("\n") }
    )
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

    @Test("a source may have any name; a final slash places it inside", arguments: FileFixtures.hardNames)
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

    @Test("a missing source is named")
    func badPaths() async throws {
        let archive = try OwnedDescriptor.temporaryFile()
        let error = await #expect(throws: Diagnostic.self) {
            _ = try await TreePacker.pack(
                FileCopy(host: "/no/such/file", guest: "/x"), as: "/x", with: .everything, keepsHoles: true,
                into: archive.number)
        }
        #expect(error?.message.contains("/no/such/file") == true)
    }

    @Test("A14: holes, times to the nanosecond and attributes come to a guest", arguments: unpackers)
    func sparse(unpacker: String) async throws {
        try await withTemporaryFolder { base in
            try FileTree.makeFolder(base + "/out")
            try FileTree.makeSparseFile(base + "/file", size: 400 << 20)
            let file = try OwnedDescriptor.open(base + "/file", O_WRONLY)
            pwrite(file.number, "x", 1, 100 << 20)
            file.setModified(timespec(tv_sec: 1_700_000_000, tv_nsec: 123_456_789))
            let hasAttributes = file.setAttribute(Array("user.test".utf8), [7])
            let knowsHoles = unpacker != "busybox"
            try await copy(
                base + "/file", as: "/copy", into: base + "/out", by: Self.program(unpacker), keepsHoles: knowsHoles)
            var status = stat()
            stat(base + "/out/copy", &status)
            #expect(status.st_size == 400 << 20)
            #expect(status.st_mtim.tv_sec == 1_700_000_000)
            guard knowsHoles else { return }
            #expect(status.st_blocks * 512 < 1 << 20)
            #expect(status.st_mtim.tv_nsec == 123_456_789)
            let copied = try OwnedDescriptor.open(base + "/out/copy", O_RDONLY)
            #expect(try copied.read(upTo: 2, at: 100 << 20) == [UInt8(ascii: "x"), 0])
            if hasAttributes { #expect(copied.userAttributes().map(\.value) == [[7]]) }
        }
    }

    @Test(
        "A13: links below a folder stay links, or are followed where the copy says so; a link that is named is followed"
    )
    func linkRule() async throws {
        try await withTemporaryFolder { base in
            try FileTree.makeFolder(base + "/tree/sub")
            try FileTree.makeFolder(base + "/out")
            try write("x", to: base + "/tree/sub/file")
            symlink("sub/file", base + "/tree/link")
            symlink("sub", base + "/tree/folder")
            symlink("tree", base + "/named")
            symlink("tree/sub/file", base + "/named-file")
            try await copy(base + "/named", as: "/kept", into: base + "/out")
            try await copy(base + "/named", as: "/followed", into: base + "/out", links: .follow)
            try await copy(base + "/named-file", as: "/", into: base + "/out")
            let kept = try FileFixtures.listing(base + "/out/kept")
            #expect(kept.contains("./link link sub/file") && kept.contains("./folder link sub"))
            let followed = try FileFixtures.listing(base + "/out/followed")
            #expect(!followed.contains { $0.contains(" link ") })
            #expect(SmallFile.text(base + "/out/followed/link") == "x")
            #expect(SmallFile.text(base + "/out/followed/folder/file") == "x")
            #expect(SmallFile.text(base + "/out/named-file") == "x")
            // A circle ends.
            symlink("..", base + "/tree/sub/up")
            await #expect(throws: SystemCallError.self) {
                try await copy(base + "/tree", as: "/circle", into: base + "/out", links: .follow)
            }
        }
    }

    @Test("S2: nothing is copied that lies outside of what may be read, also not by way of a link")
    func access() async throws {
        try await withTemporaryFolder { base in
            try FileTree.makeFolder(base + "/lab/sub")
            try write("secret", to: base + "/secret")
            symlink("../secret", base + "/lab/link")
            symlink("../../secret", base + "/lab/sub/link")
            let archive = try OwnedDescriptor.temporaryFile()
            let access = HostAccess(to: [base + "/lab"])
            func pack(_ path: String, _ links: LinkCopy, _ access: HostAccess) async throws {
                _ = try await TreePacker.pack(
                    FileCopy(host: path, guest: "/x", links: links), as: "/x", with: access, keepsHoles: true,
                    into: archive.number)
            }
            for path in ["/secret", "/lab/link", "/lab/../secret"] {
                let error = await #expect(throws: Diagnostic.self) { try await pack(base + path, .keep, access) }
                #expect(error?.remedy?.contains("--allow \(base)/secret") == true)
            }
            await #expect(throws: Diagnostic.self) { try await pack(base + "/lab/sub", .follow, access) }
            try await pack(base + "/lab/sub", .keep, access)
            try await pack(base + "/lab/sub", .follow, HostAccess(to: [base + "/lab", base + "/secret"]))
        }
    }

    @Test("A9, A14: what vmlab-files packs has the files' content, their holes, times and attributes")
    func guestProgram() async throws {
        try await withTemporaryFolder { base in
            try FileFixtures.makeTree(base + "/tree")
            link(base + "/tree/sub/plain", base + "/tree/second")
            try FileTree.makeSparseFile(base + "/tree/sparse", size: 64 << 20)
            let file = try OwnedDescriptor.open(base + "/tree/sparse", O_WRONLY)
            pwrite(file.number, "x", 1, 30 << 20)
            file.setModified(timespec(tv_sec: 1_700_000_000, tv_nsec: 123_456_789))
            let program = try await Self.vmlabFiles.value
            let result = try await Tool.run(
                "sh", ["-c", "\(program) pack ./tree /proc/kallsyms /sys/devices/system/cpu/online > archive"],
                workingDirectory: base)
            #expect(result.status.isSuccess, "\(result.errors)")
            try FileTree.makeFolder(base + "/out")
            let archive = try OwnedDescriptor.open(base + "/archive", O_RDONLY)
            _ = try await TarUnpacker.unpack(
                archive.number, into: try HostFolder(base + "/out"), limit: .standard)
            #expect(
                try FileFixtures.listing(base + "/out/tree") == FileFixtures.listing(base + "/tree", collected: true))
            var status = stat()
            stat(base + "/out/tree/sparse", &status)
            #expect(status.st_blocks * 512 < 1 << 20)
            #expect(status.st_mtim.tv_nsec == 123_456_789)
            #expect(try SmallFile.bytes(base + "/out/proc/kallsyms").count == SmallFile.bytes("/proc/kallsyms").count)
            let setting = "/sys/devices/system/cpu/online"
            #expect(SmallFile.text(base + "/out" + setting) == SmallFile.text(setting))
        }
    }
}
