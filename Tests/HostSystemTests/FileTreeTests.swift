import Glibc
import HostSystem
import LabTestSupport
import Testing

@Suite("Folders") struct FileTreeTests {
    @Test("a tree that several remove at once is gone, and none of them fails")
    func removedTogether() async throws {
        try await withTemporaryFolder { folder in
            let root = "\(folder)/root"
            for number in 0..<20 {
                try FileTree.makeFolder("\(root)/\(number)/below")
                for file in 0..<20 { try FileTree.makeSparseFile("\(root)/\(number)/below/\(file)", size: 1) }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask { try await HostThread.run("remover") { _ in try FileTree.remove(root) } }
                }
                try await group.waitForAll()
            }
            #expect(try FileTree.names(in: folder).isEmpty)
        }
    }

    @Test("a tree with names that are not UTF-8 is removed, and nothing that its links lead to")
    func removedWhateverItsNames() async throws {
        try await withTemporaryFolder { folder in
            try FileTree.makeFolder("\(folder)/kept")
            let root = try HostFolder(folder).makeFolder(RelativePath("root"))
            let strange = try root.makeFolder(RelativePath(names: [[0xff, 0x61]]))
            _ = try strange.open(RelativePath(names: [[0xfe]]), O_WRONLY | O_CREAT)
            try root.makeLink(RelativePath("link"), to: Array("../kept".utf8))
            try FileTree.remove("\(folder)/root")
            #expect(try FileTree.names(in: folder) == ["kept"])
        }
    }

    @Test("a file is replaced whole or not at all, and nothing is left beside it")
    func replaced() async throws {
        try await withTemporaryFolder { folder in
            let path = "\(folder)/file"
            try SmallFile.replace(path, with: [1, 2, 3])
            let first = try #require(FileStamp(path))
            try SmallFile.replace(path, with: [4])
            #expect(try SmallFile.bytes(path) == [4])
            #expect(FileStamp(path)?.inode != first.inode)
            let failure = #expect(throws: SystemCallError.self) {
                try FileTree.replace(path) { (draft) throws(SystemCallError) in
                    try SmallFile.replace(draft, with: [5])
                    throw SystemCallError("write", errno: ENOSPC, draft)
                }
            }
            #expect(failure?.errno == ENOSPC)
            #expect(try SmallFile.bytes(path) == [4])
            #expect(throws: SystemCallError.self) { try SmallFile.replace("\(folder)/none/file", with: []) }
            #expect(throws: SystemCallError.self) { try SmallFile.replace(folder, with: []) }
            #expect(try FileTree.names(in: folder) == ["file"])
            #expect(!FileTree.exists("\(folder).\(getpid()).tmp"))
        }
    }

    @Test("a pipe that does not block takes all bytes, as its reader makes room", .timeLimit(.minutes(1)))
    func wholeWrites() async throws {
        let pipe = try DescriptorPair.pipe()
        try pipe.second.setNonBlocking()
        let (source, target) = (pipe.first.number, pipe.second.number)
        let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 >> 3) }
        async let written: Void = HostThread.run("writer") { _ in try writeAll(target, bytes[...]) }
        let read = try await HostThread.run("reader") { _ in
            var read: [UInt8] = []
            while read.count < bytes.count {
                read += try SmallFile.bytes("/proc/self/fd/\(source)", limit: bytes.count - read.count)
            }
            return read
        }
        try await written
        #expect(read == bytes)
        _ = consume pipe
    }

    @Test("a file is read and written at offsets, its end told by fewer bytes")
    func offsets() throws {
        let file = try OwnedDescriptor.temporaryFile()
        try writeAll(file.number, [1, 2, 3], at: 2)
        try writeAll(file.number, [9], at: nil)
        #expect(try file.read(upTo: 10, at: 0) == [9, 0, 1, 2, 3])
        #expect(try file.read(upTo: 2, at: 3) == [2, 3])
        #expect(try file.read(upTo: 2, at: 5).isEmpty)
        #expect(lseek(file.number, 0, SEEK_SET) == 0)
        #expect(try file.readAll(limit: 4) == [9, 0, 1, 2])
        #expect(try file.readAll() == [3])
        #expect([0, 0, 0][...].isZeros && ![0, 0, 1][...].isZeros && ![][...].isZeros)
    }

    @Test("a path's folder and the path from the root")
    func paths() throws {
        let folders = ["a": ".", "/": "/", "/a": "/", "/a/": "/", "a/b": "a", "a/b/": "a", "/a/b": "/a", "": "."]
        for (path, folder) in folders { #expect(FilePath.folder(of: path) == folder, "\(path)") }
        let working = try #require(FilePath.real("."))
        #expect(FilePath.absolute("x/y") == "\(working)/x/y")
        #expect(FilePath.absolute(".") == working && FilePath.absolute("/x") == "/x")
        #expect(FilePath.real("/nonexistent") == nil)
    }
}
