import Diagnostics
import Glibc
import HostSystem
import LabSpec
import LabTestSupport
import Quantities
import Testing

@testable import GuestControl

/// A tar stream made by hand, true or false.
struct HandMadeArchive {
    var bytes: [UInt8] = []

    mutating func add(
        _ path: String, kind: Character = "0", content: [UInt8] = [], mode: Int = 0o644, target: String = "",
        change: (inout TarBlock) -> Void = { _ in }
    ) {
        var block = TarBlock()
        block.set(.name, Array(path.utf8))
        block.set(.mode, mode)
        block.set(.size, content.count)
        block.set(.modified, 1_700_000_000)
        block.set(.kind, [kind.asciiValue ?? 0])
        block.set(.linkName, Array(target.utf8))
        change(&block)
        block.seal()
        bytes += block.bytes + content
        bytes += [UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512)
    }

    /// The records that stand before a member.
    mutating func describe(_ records: [(String, String)]) {
        var pax = PAXRecords()
        for (key, value) in records { pax.append(Array(key.utf8), Array(value.utf8)) }
        add("pax", kind: "x", content: pax.bytes)
    }

    mutating func end() { bytes += [UInt8](repeating: 0, count: 1024) }
}

@Suite("Archives from guests", .timeLimit(.minutes(1)))
struct ArchiveTests {
    /// Unpacks a stream into `out` of a folder; the folder's other files are no part of it.
    private func unpack(
        _ archive: [UInt8], limit: CopyLimit = .standard, _ inspect: (String, [String]) throws -> Void
    ) async throws {
        try await withTemporaryFolder { base in
            let file = try OwnedDescriptor.temporaryFile()
            try writeAll(file.number, archive[...])
            #expect(lseek(file.number, 0, SEEK_SET) == 0)
            try FileTree.makeFolder(base + "/out")
            let notes = try await TarUnpacker.unpack(file.number, into: try HostFolder(base + "/out"), limit: limit)
            try inspect(base + "/out", notes)
            #expect(try FileTree.names(in: base) == ["out"])
        }
    }

    private func unpack(_ make: (inout HandMadeArchive) -> Void) async throws {
        var archive = HandMadeArchive()
        make(&archive)
        archive.end()
        try await unpack(archive.bytes) { _, _ in }
    }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode : 0
    }

    @Test("A22, S6: setuid bits, odd modes, devices and FIFOs of a guest are not the host's")
    func plainModes() async throws {
        var archive = HandMadeArchive()
        archive.add("d/", kind: "5", mode: 0o7777)
        archive.add("d/setuid", content: [1], mode: 0o6755)
        archive.add("d/secret", content: [1], mode: 0o000)
        archive.add("d/disk", kind: "4")
        archive.add("d/tty", kind: "3")
        archive.add("d/fifo", kind: "6")
        archive.end()
        let mask = FileFixtures.mask
        try await unpack(archive.bytes) { out, notes in
            let names = try FileTree.names(in: out + "/d")
            #expect(names == ["secret", "setuid"])
            #expect(mode(out + "/d") == S_IFDIR | 0o777 & ~mask)
            #expect(mode(out + "/d/setuid") == S_IFREG | 0o777 & ~mask)
            #expect(mode(out + "/d/secret") == S_IFREG | 0o666 & ~mask)
            #expect(
                notes == [
                    "`d/disk` is a block device: left out", "`d/tty` is a character device: left out",
                    "`d/fifo` is a FIFO: left out",
                ])
        }
    }

    @Test(
        "A22: a link that leaves what was collected is written as text and named; one that stays is a link",
        arguments: [
            ("/etc/shadow", false), ("../../etc/shadow", false), ("../x", false), ("a/../../x", false), ("a/..", false),
            ("", false), ("../../../d", false), ("file", true), ("./sub/x", true), ("sub//x", true),
        ])
    func links(target: String, stays: Bool) async throws {
        var archive = HandMadeArchive()
        archive.add("d/link", kind: "2", target: target)
        archive.end()
        try await unpack(archive.bytes) { out, notes in
            #expect((mode(out + "/d/link") & S_IFMT == S_IFLNK) == stays)
            #expect(notes.isEmpty == stays)
            if !stays { #expect(SmallFile.text(out + "/d/link") == "symbolic link to \(target.quoted())\n") }
        }
    }

    @Test("A22: a link may go up as far as the folder that it was collected in")
    func upwardLinks() async throws {
        var archive = HandMadeArchive()
        archive.add("d/a/b/link", kind: "2", target: "../../x")
        archive.add("d/a/b/far", kind: "2", target: "../../../x")
        archive.add("top", kind: "2", target: "d")
        archive.end()
        try await unpack(archive.bytes) { out, notes in
            #expect(mode(out + "/d/a/b/link") & S_IFMT == S_IFLNK)
            #expect(mode(out + "/d/a/b/far") & S_IFMT == S_IFREG)
            #expect(mode(out + "/top") & S_IFMT == S_IFREG)
            #expect(notes.count == 2)
        }
    }

    @Test("S1: a member below a link is refused, so is one with a step up; absolute ones lie in the folder")
    func leaving() async throws {
        await #expect(throws: SystemCallError.self) {
            try await unpack {
                $0.add("d/sub/", kind: "5")
                $0.add("d/x", kind: "2", target: "sub")
                $0.add("d/x/file", content: [1])
            }
        }
        await #expect(throws: ArchiveError.self) { try await unpack { $0.add("d/../../x", content: [1]) } }
        await #expect(throws: ArchiveError.self) {
            try await unpack {
                $0.describe([("path", "d/x\0y")])
                $0.add("d")
            }
        }
        var archive = HandMadeArchive()
        archive.add("/etc/passwd", content: [1])
        archive.end()
        try await unpack(archive.bytes) { out, _ in
            let bytes = try SmallFile.bytes(out + "/etc/passwd")
            #expect(bytes == [1])
        }
    }

    @Test("hard links are second names of what was collected, and of nothing else")
    func hardLinks() async throws {
        var archive = HandMadeArchive()
        archive.add("d/first", content: Array("x".utf8))
        archive.add("d/second", kind: "1", target: "d/first")
        archive.add("d/third", kind: "1", target: "/etc/hostname")
        archive.add("d/fourth", kind: "1", target: "../../etc/hostname")
        archive.end()
        try await unpack(archive.bytes) { out, notes in
            #expect(SmallFile.text(out + "/d/second") == "x")
            let names = try FileTree.names(in: out + "/d")
            #expect(names == ["first", "second"])
            #expect(notes.count == 2)
        }
    }

    /// Headers that lie, each in its way.
    static let lies: [(name: String, make: @Sendable (inout HandMadeArchive) -> Void)] = [
        ("2^62 bytes", { $0.add("f") { $0.set(.size, 1 << 62) } }),
        ("2^62 bytes of a folder", { $0.add("f", kind: "5") { $0.set(.size, 1 << 62) } }),
        (
            "2^62 bytes by PAX",
            {
                $0.describe([("size", "\(1 << 62)")]); $0.add("f")
            }
        ),
        (
            "more than 64 bits by PAX",
            {
                $0.describe([("size", "99999999999999999999")]); $0.add("f")
            }
        ),
        ("a negative size", { $0.add("f") { $0.set(.size, [UInt8](repeating: 0xFF, count: 12)) } }),
        (
            "a negative size by PAX",
            {
                $0.describe([("size", "-1")]); $0.add("f")
            }
        ),
        ("a size of letters", { $0.add("f") { $0.set(.size, Array("12345abcdef\0".utf8)) } }),
        ("a long name without end", { $0.add("././@LongLink", kind: "L") { $0.set(.size, 1 << 40) } }),
        ("a PAX header without end", { $0.add("pax", kind: "x") { $0.set(.size, 1 << 40) } }),
        ("a PAX line that is longer than it is", { $0.add("pax", kind: "x", content: Array("99 a=b\n".utf8)) }),
        ("a PAX line of no length", { $0.add("pax", kind: "x", content: Array("0 a=b\n".utf8)) }),
        ("a PAX line without a value", { $0.add("pax", kind: "x", content: Array("5 ab\n".utf8)) }),
        ("a continuation of nothing", { $0.add("f", kind: "M", content: [1]) }),
        (
            "a continuation far off",
            {
                $0.add("f"); $0.add("f", kind: "M", content: [1]) { $0.set(.offset, 1 << 62) }
            }
        ),
        (
            "two of one name",
            {
                $0.add("f"); $0.add("f")
            }
        ),
        (
            "a file where a folder is",
            {
                $0.add("f/x"); $0.add("f")
            }
        ),
        (
            "a map that is longer than its file",
            { $0.sparse("f", size: 10, map: "1\n0\n512\n", data: [UInt8](repeating: 1, count: 512)) }
        ),
        (
            "a map that overlaps itself",
            { $0.sparse("f", size: 4096, map: "2\n0\n512\n100\n512\n", data: [UInt8](repeating: 1, count: 1024)) }
        ),
        ("a map of more than there is", { $0.sparse("f", size: 4096, map: "1\n0\n1024\n", data: [1, 2]) }),
        ("a map of 2^62 bytes", { $0.sparse("f", size: 1 << 62, map: "1\n\(1 << 61)\n1024\n", data: [1, 2]) }),
        ("a map of letters", { $0.sparse("f", size: 4096, map: "x\n", data: []) }),
        (
            "a sparse file of an old form",
            {
                $0.describe([("GNU.sparse.major", "0")]); $0.add("f")
            }
        ),
    ]

    @Test("S5: a header that lies is an error with its path, at once", arguments: lies.indices)
    func lying(index: Int) async throws {
        var archive = HandMadeArchive()
        Self.lies[index].make(&archive)
        archive.end()
        do {
            try await unpack(archive.bytes) { _, _ in }
            Issue.record("\(Self.lies[index].name) was believed")
        } catch let error as ArchiveError {
            let text = error.diagnostic("`/root/f` could not be collected").cause ?? ""
            #expect(!text.isEmpty)
        }
    }

    @Test("S5: what is no archive, and one that was cut, is an error", arguments: [0, 100, 512, 700])
    func garbage(count: Int) async throws {
        var archive = HandMadeArchive()
        archive.add("f", content: [UInt8](repeating: 7, count: 1000))
        let cut = Array(archive.bytes.prefix(count))
        await #expect(throws: ArchiveError.self) { try await unpack(cut) { _, _ in } }
        let noise = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 3) }
        await #expect(throws: ArchiveError.self) { try await unpack(noise) { _, _ in } }
    }

    @Test("S5: a copy has a limit in bytes, holes included, and in files")
    func limits() async throws {
        var archive = HandMadeArchive()
        archive.add("d/a", content: [UInt8](repeating: 1, count: 600))
        archive.add("d/b", content: [UInt8](repeating: 1, count: 600))
        archive.sparse("d/c", size: 1 << 40, map: "0\n", data: [])
        archive.end()
        var limit = CopyLimit(bytes: ByteCount(1000))
        let error = await #expect(throws: ArchiveError.self) {
            try await unpack(archive.bytes, limit: limit) { _, _ in }
        }
        #expect(error == limit.bytesExceeded.about(Array("d/b".utf8)))
        await #expect(throws: ArchiveError.self) { try await unpack(archive.bytes) { _, _ in } }
        limit = .standard
        limit.entries = 2
        await #expect(throws: ArchiveError.self) { try await unpack(archive.bytes, limit: limit) { _, _ in } }
    }

    @Test("A14: sparse files, times to the nanosecond and long names come as they are")
    func forms() async throws {
        let long = String(repeating: "n", count: 200)
        var archive = HandMadeArchive()
        archive.sparse("d/sparse", size: 1 << 30, map: "1\n1048576\n512\n", data: [UInt8](repeating: 9, count: 512))
        archive.describe([("mtime", "1700000000.123456789"), ("path", "d/\(long)")])
        archive.add("short", content: [1])
        archive.add("d/chunks", content: [1, 2])
        archive.add("d/chunks", kind: "M", content: [3]) { $0.set(.offset, 1 << 20) }
        archive.add("d/chunks", kind: "M") { $0.set(.offset, 2 << 20) }
        archive.end()
        try await unpack(archive.bytes) { out, notes in
            var status = stat()
            stat(out + "/d/sparse", &status)
            #expect(status.st_size == 1 << 30)
            #expect(status.st_blocks * 512 < 1 << 20)
            stat(out + "/d/" + long, &status)
            #expect(status.st_mtim.tv_sec == 1_700_000_000)
            #expect(status.st_mtim.tv_nsec == 123_456_789)
            stat(out + "/d/chunks", &status)
            #expect(status.st_size == 2 << 20)
            let chunks = try SmallFile.bytes(out + "/d/chunks")
            #expect(chunks[...2] == [1, 2, 0])
            #expect(chunks[1 << 20] == 3)
            #expect(notes.isEmpty)
        }
    }

    @Test("what GNU tar and busybox's tar write is read", arguments: ["tar --format=posix --sparse", "busybox tar"])
    func programs(tar: String) async throws {
        try await withTemporaryFolder { base in
            try FileFixtures.makeTree(base + "/tree")
            try FileTree.makeSparseFile(base + "/tree/sparse", size: 10 << 20)
            let result = try await Tool.run("sh", ["-c", "cd \(base) && \(tar) -cf archive ./tree"])
            #expect(result.status.isSuccess)
            try FileTree.makeFolder(base + "/out")
            let file = try OwnedDescriptor.open(base + "/archive", O_RDONLY)
            let notes = try await TarUnpacker.unpack(
                file.number, into: try HostFolder(base + "/out"), limit: .standard)
            #expect(
                try FileFixtures.listing(base + "/out/tree") == FileFixtures.listing(base + "/tree", collected: true))
            #expect(
                notes == [
                    "`tree/broken` is a symbolic link to `/nowhere/at all`, which is not in the copy: written as a text file"
                ])
        }
    }
}

extension HandMadeArchive {
    /// A sparse file in GNU's form 1.0.
    mutating func sparse(_ path: String, size: Int, map: String, data: [UInt8]) {
        describe([
            ("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", path),
            ("GNU.sparse.realsize", "\(size)"),
        ])
        let padding = [UInt8](repeating: 0, count: 512 - map.utf8.count % 512)
        add("GNUSparseFile.0/\(path)", content: Array(map.utf8) + padding + data)
    }
}
