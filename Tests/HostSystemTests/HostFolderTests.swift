import Glibc
@testable import HostSystem
import LabTestSupport
import Testing

@Suite("A folder held by its descriptor")
struct HostFolderTests {
    @Test(
        "S4: a NUL, a step up and a leading slash are refused where a text becomes a path",
        arguments: [
            ("x\0y", RelativePath.Refusal.hasNUL), ("a/../b", .leaves), ("..", .leaves), ("/etc", .isAbsolute),
            ("a/b/..", .leaves),
        ])
    func refusals(text: String, refusal: RelativePath.Refusal) {
        #expect(throws: refusal) { try RelativePath(text) }
    }

    @Test("a path is its names, whatever bytes they have")
    func names() throws {
        #expect(try RelativePath("./a//b/./c/").names == [Array("a".utf8), Array("b".utf8), Array("c".utf8)])
        #expect(try RelativePath("").names.isEmpty)
        #expect(try RelativePath([0xFF, 0x2F, 0x0A]).names == [[0xFF], [0x0A]])
        #expect(try RelativePath("...").names == [Array("...".utf8)])
    }

    @Test("what lies beneath the root is named as it is by everybody")
    func namesBeneathTheRoot() throws {
        #expect(try HostFolder("/").folder(RelativePath("etc")).path == "/etc")
    }

    @Test("S1: no link on the way is followed, by openat2 and step by step", arguments: [true, false])
    func links(byKernel: Bool) async throws {
        try await withTemporaryFolder { base in
            try FileTree.makeFolder(base + "/root/sub")
            try FileTree.makeFolder(base + "/outside")
            symlink(base + "/outside", base + "/root/out")
            symlink("sub", base + "/root/inner")
            symlink(base + "/outside/file", base + "/root/file")
            let root = try HostFolder(base + "/root")
            func open(_ path: String) throws -> Bool {
                let path = try RelativePath(path)
                let flags = O_WRONLY | O_CREAT
                return byKernel
                    ? try root.open(path, flags).isOpen : try root.walk(path, flags, mode: 0o666).isOpen
            }
            for path in ["out/file", "file", "inner/file"] {
                #expect(throws: SystemCallError.self, "\(path)") { try open(path) }
            }
            #expect(try open("sub/file"))
            #expect(try FileTree.names(in: base + "/outside").isEmpty)
        }
    }

    @Test("S1: folders are not made, and nothing is moved or removed, through a link")
    func entries() async throws {
        try await withTemporaryFolder { base in
            try FileTree.makeFolder(base + "/root")
            try FileTree.makeFolder(base + "/outside/kept")
            symlink(base + "/outside", base + "/root/out")
            let root = try HostFolder(base + "/root")
            let kept = try RelativePath("out/kept")
            #expect(throws: SystemCallError.self) { try root.makeFolder(try RelativePath("out/new")) }
            #expect(throws: SystemCallError.self) { try root.remove(kept) }
            #expect(throws: SystemCallError.self) {
                try root.move(kept, to: root, try RelativePath("mine"), replacing: true)
            }
            #expect(throws: SystemCallError.self) { try root.makeLink(try RelativePath("out/link"), to: [1]) }
            try root.remove(try RelativePath("out"))
            #expect(try FileTree.names(in: base + "/outside") == ["kept"])
            #expect(try FileTree.names(in: base + "/root").isEmpty)
        }
    }

    @Test("what is beneath it is made, listed, linked, moved and removed")
    func changes() async throws {
        try await withTemporaryFolder { base in
            let root = try HostFolder(base)
            let deep = try root.makeFolder(try RelativePath("a/b/c"))
            _ = try deep.open(try RelativePath("file"), O_WRONLY | O_CREAT)
            try root.makeHardLink(try RelativePath("second"), to: try RelativePath("a/b/c/file"))
            try root.makeLink(try RelativePath("link"), to: Array("a/b".utf8))
            try root.move(try RelativePath("second"), to: deep, try RelativePath("moved"), replacing: false)
            #expect(try Set(deep.names()) == [Array("file".utf8), Array("moved".utf8)])
            #expect(try root.status(try RelativePath("link"))?.st_mode == S_IFLNK | 0o777)
            #expect(try root.status(try RelativePath("none")) == nil)
            try root.remove(try RelativePath("a"))
            #expect(try root.names() == [Array("link".utf8)])
        }
    }
}
