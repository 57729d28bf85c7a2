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
}
